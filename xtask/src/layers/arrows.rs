//! Arrows: which room uses which, and where it says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use syn::{Item, Visibility};

use super::{crates::Sources, modules::Module, paths::Paths};
use crate::fault::Fault;

/// A line that uses something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

/// For each room what it uses (`room` of the same crate, `crate/room` or `crate` of others), and the lines that do.
pub(super) type Arrows = BTreeMap<String, BTreeMap<String, Vec<Line>>>;

/// The arrows of one crate.
pub(super) fn of(this: &Sources, all: &[Sources]) -> Arrows {
    let mut arrows = Arrows::new();
    for tree in &this.trees {
        for module in &tree.modules {
            let uses = arrows.entry(module.room.clone()).or_default();
            // What the root shows of its rooms is the crate's front door; whoever comes in by it uses the room behind.
            let is_door = |item: &&Item| {
                module.path.is_empty() && matches!(item, Item::Use(item) if !matches!(item.vis, Visibility::Inherited))
            };
            let paths = Paths::of(module.items.iter().filter(|item| !is_door(item)));
            for path in &paths.named {
                let target = match within(module, &path.segments) {
                    Some(inside) => Some(tree.room_of(&inside).to_owned()),
                    None => outside(this, all, &path.segments),
                };
                if let Some(target) = target.filter(|target| *target != module.room) {
                    uses.entry(target).or_default().push(Line { file: module.file.clone(), line: path.line });
                }
            }
        }
    }
    arrows.values_mut().flat_map(BTreeMap::values_mut).for_each(|lines| {
        lines.sort();
        lines.dedup();
    });
    arrows
}

/// The path from the crate's root of a path that stays in the crate. A single name is a local one.
fn within(module: &Module, path: &[String]) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" | "super" => {
            let ups = path.iter().take_while(|name| *name == "super" || *name == "self");
            let up = ups.clone().filter(|name| *name == "super").count();
            let kept = module.path.len().checked_sub(up)?;
            Some(module.path[..kept].iter().chain(&path[ups.count()..]).cloned().collect())
        }
        child => {
            let is_path = !rest.is_empty() && module.children.contains(child);
            is_path.then(|| module.path.iter().chain(path).cloned().collect())
        }
    }
}

/// The target of a path that begins with the name of a crate of the workspace. The name alone may be a variable's.
fn outside(this: &Sources, all: &[Sources], path: &[String]) -> Option<String> {
    let (first, rest) = path.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let other = all.iter().find(|other| other.library == *first)?;
    let library = other.trees.iter().find(|tree| tree.root == "lib");
    let room = library.and_then(|library| rest.first().filter(|room| library.top_level().contains(room.as_str())));
    Some(match room {
        // A program uses the library of its own package.
        _ if other.package == this.package => room.map_or("lib", String::as_str).to_owned(),
        Some(room) => format!("{}/{room}", other.package),
        None => other.package.clone(),
    })
}

/// Arrows that the table lacks, and arrows in the table that nobody uses.
pub(super) fn faults(package: &str, arrows: &Arrows, rooms: &BTreeMap<String, BTreeSet<String>>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (room, uses) in arrows {
        let Some(permitted) = rooms.get(room) else {
            faults.push(Fault::new(format!("{package}: the room `{room}` is not in the table")));
            continue;
        };
        for (target, lines) in uses.iter().filter(|(target, _)| !permitted.contains(*target)) {
            let sentence = format!("{package}: `{room}` must not use `{target}`");
            faults.extend(lines.iter().map(|line| Fault::at(&line.file, line.line, &sentence)));
        }
    }
    for (room, permitted) in rooms {
        let Some(uses) = arrows.get(room) else {
            faults.push(Fault::new(format!("{package}: the table has a room `{room}`, and the crate has none")));
            continue;
        };
        let unused = permitted.iter().filter(|target| !uses.contains_key(*target));
        faults.extend(unused.map(|target| {
            Fault::new(format!("{package}: the table lets `{room}` use `{target}`, and nothing there does"))
        }));
    }
    faults
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::{collections::BTreeMap, fs};

    use super::{Arrows, faults, of};
    use crate::layers::{crates::Sources, fixture::Fixture, table::Table};

    /// All arrows as `room -> target`.
    fn shown(arrows: &Arrows) -> Vec<String> {
        let shown = |(room, uses): (&String, &BTreeMap<_, _>)| {
            let room = room.clone();
            uses.keys().map(move |target| format!("{room} -> {target}")).collect::<Vec<_>>()
        };
        arrows.iter().flat_map(shown).collect()
    }

    fn arrows(files: &[(&str, &str)]) -> Vec<String> {
        let fixture = Fixture::new(files);
        let all = [
            fixture.sources("app", "lib.rs"),
            Sources { package: "core".into(), ..fixture.sources("core", "other.rs") },
        ];
        shown(&of(&all[0], &all))
    }

    #[test]
    fn rooms_are_the_modules_of_the_root() {
        let files = [
            ("lib.rs", "mod mail; mod outage;"),
            ("mail.rs", "mod words; use crate::outage::Machine;"),
            ("mail/words.rs", "fn f() { super::super::outage::g(); super::h(); }"),
            ("outage/mod.rs", "pub struct Machine;"),
            ("other.rs", ""),
        ];
        assert_eq!(arrows(&files), ["mail -> outage"]);
    }

    #[test]
    fn the_root_is_a_room_too() {
        let files = [
            ("lib.rs", "mod a; mod b; use a::A; pub struct Shared(A);"),
            ("a.rs", "pub struct A;"),
            ("b.rs", "use crate::Shared;"),
            ("other.rs", ""),
        ];
        assert_eq!(arrows(&files), ["b -> lib", "lib -> a"]);
    }

    #[test]
    fn what_the_root_shows_is_used_in_its_room() {
        let files = [
            ("lib.rs", "mod a; mod b; pub use a::{A, inner::Deep as Flat};"),
            ("a.rs", "pub struct A; pub mod inner { pub struct Deep; }"),
            ("b.rs", "use crate::{A, Flat};"),
            ("other.rs", ""),
        ];
        assert_eq!(arrows(&files), ["b -> a"]);
    }

    #[test]
    fn another_crate_is_used_room_by_room() {
        let files = [
            ("lib.rs", "mod a;"),
            ("a.rs", "use core_lib::mail::Letter; fn f() { core_lib::top(); std::mem::take(x) }"),
            ("other.rs", "pub mod mail { pub struct Letter; }"),
        ];
        let fixture = Fixture::new(&files);
        fs::rename(fixture.path("other.rs"), fixture.path("core_lib.rs")).unwrap();
        let mut other = fixture.sources("core", "core_lib.rs");
        other.library = "core_lib".into();
        other.trees[0].root = "lib".into();
        let all = [fixture.sources("app", "lib.rs"), other];
        assert_eq!(shown(&of(&all[0], &all)), ["a -> core", "a -> core/mail"]);
    }

    fn faults_of(table: &str) -> Vec<String> {
        let fixture = Fixture::new(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "\nuse crate::b::B;"),
            ("b.rs", "pub struct B;"),
            ("c.rs", ""),
        ]);
        let app = [fixture.sources("app", "lib.rs")];
        let table = Table::parse(table).unwrap();
        let rooms = table.crates["app"].rooms.as_ref().unwrap();
        faults("app", &of(&app[0], &app), rooms).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_table_as_it_is_has_no_faults() {
        assert_eq!(faults_of("[crates.app.rooms]\nlib = []\na = ['b']\nb = []\nc = []\n"), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_that_the_table_lacks_is_named_with_its_line() {
        let faults = faults_of("[crates.app.rooms]\nlib = []\na = []\nb = []\nc = []\n");
        assert_eq!(faults.len(), 1);
        assert!(faults[0].ends_with("a.rs:2: app: `a` must not use `b`"), "{}", faults[0]);
    }

    #[test]
    fn an_arrow_that_nobody_uses_is_a_fault() {
        let faults = faults_of("[crates.app.rooms]\nlib = []\na = ['b', 'c']\nb = []\nc = []\n");
        assert_eq!(faults, ["app: the table lets `a` use `c`, and nothing there does"]);
    }

    #[test]
    fn rooms_of_the_table_and_of_the_crate_are_the_same() {
        let faults = faults_of("[crates.app.rooms]\nlib = []\na = ['b']\nb = []\nd = []\n");
        assert_eq!(
            faults,
            ["app: the room `c` is not in the table", "app: the table has a room `d`, and the crate has none"]
        );
    }
}
