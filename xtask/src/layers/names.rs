//! No public type name twice in a crate: two types of one name make every sentence about them ambiguous.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use syn::{Ident, Item, Visibility};

use super::{crates::Sources, test_builds::only_in_tests};
use crate::{fault::Fault, workspace};

/// Names that are defined twice, and exceptions that are no longer needed.
pub(super) fn faults(this: &Sources, excepted: &BTreeMap<String, String>) -> Vec<Fault> {
    let mut places: BTreeMap<String, BTreeSet<(PathBuf, usize)>> = BTreeMap::new();
    for module in this.trees.iter().flat_map(|tree| &tree.modules) {
        for name in module.items.iter().filter_map(public_type) {
            let line = name.span().start().line;
            // A set, because the programs of a crate may share a module.
            places.entry(name.to_string()).or_default().insert((module.file.clone(), line));
        }
    }
    places.retain(|_, places| places.len() > 1);
    let needless = excepted.keys().filter(|name| !places.contains_key(*name));
    let needless = needless
        .map(|name| Fault::new(format!("{}: `{name}` is no longer there twice: remove the exception", this.package)));
    let twice = places.iter().filter(|(name, _)| !excepted.contains_key(*name)).map(|(name, places)| {
        let shown = |(file, line): &(PathBuf, usize)| format!("{}:{line}", workspace::relative(file).display());
        let places: Vec<_> = places.iter().map(shown).collect();
        Fault::new(format!(
            "{}: the public type name `{name}` is there {} times: {}",
            this.package,
            places.len(),
            places.join(", ")
        ))
    });
    twice.chain(needless).collect()
}

/// The name of a type that is `pub` in any form.
fn public_type(item: &Item) -> Option<&Ident> {
    let (attributes, visibility, name) = match item {
        Item::Struct(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Enum(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Union(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Trait(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Type(item) => (&item.attrs, &item.vis, &item.ident),
        _ => return None,
    };
    (!matches!(visibility, Visibility::Inherited) && !only_in_tests(attributes)).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::faults;
    use crate::layers::fixture::Fixture;

    fn faults_of(second: &str, excepted: &[&str]) -> Vec<String> {
        let fixture = Fixture::new(&[("lib.rs", "mod a; mod b;"), ("a.rs", "pub struct Relay;"), ("b.rs", second)]);
        let excepted: BTreeMap<_, _> = excepted.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        faults(&fixture.sources("app", "lib.rs"), &excepted).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_that_is_there_twice_is_told_with_both_places() {
        for second in ["pub(crate) enum Relay {}", "pub(super) trait Relay {}", "pub type Relay = u8;"] {
            let faults = faults_of(second, &[]);
            assert_eq!(faults.len(), 1);
            assert!(faults[0].contains("a.rs:1") && faults[0].contains("b.rs:1"), "{}", faults[0]);
        }
    }

    #[test]
    fn private_types_and_those_of_unit_tests_do_not_count() {
        assert!(faults_of("struct Relay; #[cfg(test)] pub mod tests { pub struct Relay; }", &[]).is_empty());
    }

    #[test]
    fn an_exception_lets_a_name_be_there_twice() {
        assert!(faults_of("pub struct Relay;", &["Relay"]).is_empty());
    }

    #[test]
    fn an_exception_that_is_no_longer_needed_is_a_fault() {
        assert_eq!(faults_of("", &["Relay"]), ["app: `Relay` is no longer there twice: remove the exception"]);
    }
}
