//! How long files and functions are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use syn::{
    Block, ImplItemFn, ItemFn, Signature, TraitItemFn,
    visit::{self, Visit},
};

/// A function, or a file as a whole.
pub(super) struct Measured {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) function: Option<String>,
    pub(super) lines: usize,
}

/// The file and every function in it, nested ones too.
pub(super) fn file(name: &Path, text: &str) -> Result<Vec<Measured>> {
    let parsed = syn::parse_file(text).with_context(|| format!("{} is not Rust", name.display()))?;
    let whole = Measured { file: name.to_owned(), line: 1, function: None, lines: text.lines().count() };
    let mut functions = Functions { file: name, found: vec![whole] };
    functions.visit_file(&parsed);
    Ok(functions.found)
}

struct Functions<'a> {
    file: &'a Path,
    found: Vec<Measured>,
}

impl Functions<'_> {
    fn add(&mut self, signature: &Signature, body: &Block) {
        let first = signature.fn_token.span.start().line;
        let last = body.brace_token.span.close().end().line;
        self.found.push(Measured {
            file: self.file.to_owned(),
            line: first,
            function: Some(signature.ident.to_string()),
            lines: last - first + 1,
        });
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::file;

    fn measured(text: &str) -> Vec<(Option<String>, usize, usize)> {
        let found = file(Path::new("a.rs"), text).expect("this is Rust");
        found.into_iter().map(|measured| (measured.function, measured.line, measured.lines)).collect()
    }

    #[test]
    fn a_function_is_its_signature_and_its_body() {
        let text = "/// Says\n/// much.\n#[inline]\nfn f(\n    a: u8,\n) {\n    g();\n}\n";
        assert_eq!(measured(text), [(None, 1, 8), (Some("f".to_owned()), 4, 5)]);
    }

    #[test]
    fn methods_and_nested_functions_count_too() {
        let text = "impl A {\n    fn a() {\n        fn b() {}\n    }\n}\ntrait T {\n    fn c();\n    fn d() {}\n}\n";
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(measured(text)[1..], [(name("a"), 2, 3), (name("b"), 3, 1), (name("d"), 8, 1)]);
    }
}
