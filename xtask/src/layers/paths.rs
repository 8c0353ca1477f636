//! Every path that a module names, in `use` trees, in code, in the arguments of macros and in attributes.
//!
//! Links in documentation are not among them: nothing is compiled for a link.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, ItemUse, Macro, Meta, TraitItem, UseTree, VisRestricted,
    visit::{self, Visit},
};

use super::test_builds::only_in_tests;

/// A path as it is written; [`GLOB`] stands for a `*` at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
}

const GLOB: &str = "*";

/// What the items of a module name.
#[derive(Default)]
pub(super) struct Paths {
    pub(super) named: Vec<Named>,
    /// What a `use` makes of a short name.
    pub(super) imports: BTreeMap<String, Vec<String>>,
}

impl Paths {
    /// The paths of a module's items, but for what is compiled for unit tests only.
    pub(super) fn of<'a>(items: impl IntoIterator<Item = &'a Item>) -> Self {
        let mut paths = Self::default();
        for item in items {
            paths.visit_item(item);
        }
        paths
    }

    /// A path with its first name replaced by what was imported under it.
    pub(super) fn in_full(&self, path: &Named) -> Vec<String> {
        let import = path.segments.first().and_then(|first| self.imports.get(first));
        match import {
            Some(import) => import.iter().chain(&path.segments[1..]).cloned().collect(),
            None => path.segments.clone(),
        }
    }

    fn add(&mut self, segments: Vec<String>, line: usize) {
        self.named.push(Named { segments, line });
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: &dyn ToString| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(path) => self.add_tree(&path.tree, &with(&path.ident)),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.add_tree(tree, before)),
            UseTree::Glob(glob) => self.add(with(&GLOB), line(glob.star_token.spans[0])),
            UseTree::Name(name) => {
                let path = if name.ident == "self" { before.to_vec() } else { with(&name.ident) };
                self.import(path.last().cloned(), path, line(name.ident.span()));
            }
            UseTree::Rename(name) => {
                let path = if name.ident == "self" { before.to_vec() } else { with(&name.ident) };
                self.import(Some(name.rename.to_string()), path, line(name.ident.span()));
            }
        }
    }

    fn import(&mut self, name: Option<String>, path: Vec<String>, line: usize) {
        // `use serde;` says nothing about `serde::…`, and a name that stands for itself would be replaced for ever.
        if let Some(name) = name.filter(|_| path.len() > 1) {
            self.imports.insert(name, path.clone());
        }
        self.add(path, line);
    }

    /// Paths in tokens that nobody has parsed: names with `::` between them.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Option<Named> = None;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    match &mut path {
                        Some(path) if colons == 2 => path.segments.push(name.to_string()),
                        _ => {
                            self.named.extend(path.take());
                            path = Some(Named { segments: vec![name.to_string()], line: line(name.span()) });
                        }
                    }
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.named.extend(path.take());
                    colons = 0;
                    match other {
                        TokenTree::Group(group) => self.add_tokens(group.stream()),
                        TokenTree::Literal(literal) => self.add_text(&literal.to_string(), line(literal.span())),
                        _ => {}
                    }
                }
            }
        }
        self.named.extend(path);
    }

    /// A path in a string, as in `#[serde(with = "crate::config::duration")]`.
    fn add_text(&mut self, literal: &str, line: usize) {
        let text = literal.trim_matches('"');
        let is_name =
            |name: &str| name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') && !name.is_empty();
        if text.contains("::") && text.split("::").all(is_name) {
            self.add(text.split("::").map(str::to_owned).collect(), line);
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if !only_in_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !only_in_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let tests = matches!(item, TraitItem::Fn(item) if only_in_tests(&item.attrs));
        if !tests {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.add(segments, line(first.ident.span()));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.add_tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::List(list) => self.add_tokens(list.tokens.clone()),
            Meta::NameValue(_) | Meta::Path(_) => {}
        }
    }

    /// `pub(in path)` says who may look in, and uses nothing.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn line(span: proc_macro2::Span) -> usize {
    span.start().line
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::Paths;

    fn paths(source: &str) -> Vec<(String, usize)> {
        let file = syn::parse_file(source).unwrap();
        let named = Paths::of(&file.items).named;
        named
            .into_iter()
            .map(|path| (path.segments.join("::"), path.line))
            .filter(|(path, _)| path.contains("::"))
            .collect()
    }

    fn named(source: &str) -> Vec<String> {
        paths(source).into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn a_use_tree_is_all_its_leaves_each_with_its_line() {
        let source = "use crate::{\n    outage::{self, Action as Deed},\n    store::*,\n};";
        let expected = [("crate::outage", 2), ("crate::outage::Action", 2), ("crate::store::*", 3)];
        assert_eq!(paths(source), expected.map(|(path, line)| (path.to_owned(), line)));
    }

    #[test]
    fn code_types_and_patterns_name_paths() {
        let source = "fn f(a: crate::a::A) -> Vec<crate::b::B> { match a { crate::c::C::D => crate::d::e() } }";
        assert_eq!(named(source), ["crate::a::A", "crate::b::B", "crate::c::C::D", "crate::d::e"]);
    }

    #[test]
    fn arguments_of_macros_are_searched() {
        let source = "fn f() { println!(\"{}\", [crate::a::b(), x.y]); }";
        assert_eq!(named(source), ["crate::a::b"]);
    }

    #[test]
    fn attributes_are_searched_and_documentation_is_not() {
        let source =
            "/// See [`crate::c::d`].\nstruct S { #[serde(with = \"crate::a::b\", default = crate::c)] x: u8 }";
        assert_eq!(named(source), ["crate::a::b", "crate::c"]);
    }

    #[test]
    fn what_only_unit_tests_compile_is_left_out() {
        let source = "#[cfg(test)] mod tests { use crate::a::B; }\n#[cfg(all(test, unix))] use crate::c::D;\n\
             #[cfg(not(test))] use crate::e::F;\nimpl X { #[cfg(test)] fn f() { crate::g::h() } }";
        assert_eq!(named(source), ["crate::e::F"]);
    }

    #[test]
    fn who_may_look_in_is_no_use() {
        assert_eq!(named("pub(in crate::a) struct S;"), Vec::<String>::new());
    }

    #[test]
    fn an_imported_name_is_followed() {
        let paths =
            Paths::of(&syn::parse_file("use std::time::Instant as Clock; fn f() { Clock::now(); }").unwrap().items);
        let call = paths.named.iter().find(|path| path.segments == ["Clock", "now"]).unwrap();
        assert_eq!(paths.in_full(call).join("::"), "std::time::Instant::now");
    }
}
