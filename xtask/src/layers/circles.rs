//! Circles: rooms that use each other, directly or by way of others.

use std::collections::{BTreeMap, BTreeSet};

use super::arrows::Arrows;
use crate::{fault::Fault, workspace};

/// The circles of one crate: the largest sets of rooms of which each reaches each.
pub(super) fn of(arrows: &Arrows) -> Vec<BTreeSet<&str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        arrows.keys().map(|room| (room.as_str(), reach(arrows, room))).collect();
    let mut circles = Vec::new();
    for (room, there) in &reached {
        let back = |other: &&str| reached.get(*other).is_some_and(|back| back.contains(room));
        let circle: BTreeSet<_> = there.iter().copied().filter(|other| back(other)).collect();
        if circle.first() == Some(room) {
            circles.push(circle);
        }
    }
    circles
}

/// All rooms that can be reached by one arrow or more.
fn reach<'a>(arrows: &'a Arrows, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(room) = open.pop() {
        let uses = arrows.get(room).into_iter().flat_map(BTreeMap::keys);
        let news = uses.filter_map(|target| found.insert(target.as_str()).then_some(target.as_str()));
        open.extend(news.collect::<Vec<_>>());
    }
    found
}

/// One fault for each circle, with a line for each of its arrows.
pub(super) fn faults(package: &str, arrows: &Arrows) -> Vec<Fault> {
    of(arrows).into_iter().map(|circle| Fault::new(sentence(package, arrows, &circle))).collect()
}

fn sentence(package: &str, arrows: &Arrows, circle: &BTreeSet<&str>) -> String {
    let names: Vec<_> = circle.iter().copied().collect();
    let mut sentence = format!("{package}: a circle of {} rooms: {}", names.len(), names.join(", "));
    for room in circle {
        for (target, lines) in arrows.get(*room).into_iter().flatten() {
            if let (true, Some(first)) = (circle.contains(target.as_str()), lines.first()) {
                let place = workspace::relative(&first.file).display();
                let more = lines.len() - 1;
                sentence += &format!("\n    {room} -> {target} at {place}:{} and {more} more", first.line);
            }
        }
    }
    sentence
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{faults, of};
    use crate::layers::arrows::{Arrows, Line};

    fn arrows(pairs: &[(&str, &str)]) -> Arrows {
        let mut arrows = Arrows::new();
        for (from, to) in pairs {
            let line = Line { file: "a.rs".into(), line: 1 };
            arrows.entry((*from).to_owned()).or_default().insert((*to).to_owned(), vec![line]);
            arrows.entry((*to).to_owned()).or_default();
        }
        arrows
    }

    #[test]
    fn arrows_in_one_direction_are_no_circle() {
        assert!(of(&arrows(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    }

    #[test]
    fn each_circle_is_found_once_with_all_its_rooms() {
        let arrows = arrows(&[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("e", "f"), ("f", "e")]);
        assert_eq!(of(&arrows), [BTreeSet::from(["a", "b", "c"]), BTreeSet::from(["e", "f"])]);
    }

    #[test]
    fn a_circle_is_told_with_a_line_for_each_arrow() {
        let faults = faults("app", &arrows(&[("a", "b"), ("b", "a")]));
        let expected =
            "app: a circle of 2 rooms: a, b\n    a -> b at a.rs:1 and 0 more\n    b -> a at a.rs:1 and 0 more";
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
}
