//! The modules of a crate, found as the compiler finds them: by following `mod` from each root.
//!
//! What is compiled for unit tests only (`#[cfg(test)]`) is left out. The laws are about the program that ships; a unit
//! test may build its fixture from any room, and is no reason to permit that arrow to the program.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use syn::{Attribute, Item, Meta};

use super::{paths::Paths, test_builds::only_in_tests};

/// One module with its own items; modules inside it are [`Module`]s of their own.
pub(super) struct Module {
    /// Names from the crate's root down; empty for the root itself.
    pub(super) path: Vec<String>,
    pub(super) room: String,
    pub(super) file: PathBuf,
    pub(super) items: Vec<Item>,
    /// Names of the modules declared in it.
    pub(super) children: BTreeSet<String>,
}

/// One root file (`lib.rs`, `main.rs`) with all modules below it.
pub(super) struct Tree {
    /// The room of the root file itself.
    pub(super) root: String,
    pub(super) modules: Vec<Module>,
    /// What the root file imports, by its short name.
    imports: BTreeMap<String, Vec<String>>,
}

impl Tree {
    /// Reads the tree below a root file. A program in `src/bin` is one room.
    pub(super) fn load(root: &Path) -> Result<Self> {
        let stem = file_stem(root);
        let parent = root.parent().unwrap_or(root);
        let in_bin = |folder: &Path| folder.ends_with("src/bin");
        let whole = if in_bin(parent) {
            Some(stem.clone())
        } else {
            parent.parent().filter(|folder| in_bin(folder)).map(|_| file_stem(parent))
        };
        let mut tree = Self { root: whole.clone().unwrap_or(stem), modules: Vec::new(), imports: BTreeMap::new() };
        let text = read(root)?;
        let place = Place { file: root.to_owned(), folder: parent.to_owned(), path: Vec::new() };
        tree.add(&place, whole.as_deref(), parse(root, &text)?)?;
        tree.imports = Paths::of(&tree.modules[0].items).imports;
        Ok(tree)
    }

    /// The rooms below the root: the modules it declares.
    pub(super) fn top_level(&self) -> BTreeSet<&str> {
        let declared = self.modules.iter().filter(|module| module.path.len() == 1);
        declared.map(|module| module.path[0].as_str()).collect()
    }

    /// The room that holds a path from the crate's root. What the root has from another room is in that one.
    pub(super) fn room_of(&self, path: &[String]) -> &str {
        let Some(first) = path.first() else { return &self.root };
        let named = |name: &String| {
            let room = self.modules.iter().find(|module| module.path.as_slice() == [name.clone()])?;
            Some(room.room.as_str())
        };
        let imported = || {
            let import = self.imports.get(first)?;
            import.iter().find(|name| *name != "crate" && *name != "self")
        };
        named(first).or_else(|| named(imported()?)).unwrap_or(&self.root)
    }

    fn add(&mut self, place: &Place, whole: Option<&str>, items: Vec<Item>) -> Result<()> {
        let (declared, items): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| matches!(item, Item::Mod(module) if !only_in_tests(&module.attrs)));
        let mut children = BTreeSet::new();
        let index = self.modules.len();
        let room = whole.map_or_else(|| place.path.first().unwrap_or(&self.root).clone(), str::to_owned);
        let empty = BTreeSet::new();
        self.modules.push(Module { path: place.path.clone(), room, file: place.file.clone(), items, children: empty });
        for item in declared {
            let Item::Mod(module) = item else { continue };
            let name = module.ident.to_string();
            children.insert(name.clone());
            match module.content {
                Some((_, items)) => self.add(&place.inside(&name), whole, items)?,
                None => {
                    let below = place.file_of(&name, &module.attrs)?;
                    let text = read(&below.file)?;
                    let items = parse(&below.file, &text)?;
                    self.add(&below, whole, items)?;
                }
            }
        }
        self.modules[index].children = children;
        Ok(())
    }
}

/// Where a module is, and where the files of its own modules are.
struct Place {
    file: PathBuf,
    folder: PathBuf,
    path: Vec<String>,
}

impl Place {
    fn inside(&self, name: &str) -> Self {
        Self { file: self.file.clone(), folder: self.folder.join(name), path: self.path_to(name) }
    }

    fn file_of(&self, name: &str, attributes: &[Attribute]) -> Result<Self> {
        let path = self.path_to(name);
        if let Some(given) = attributes.iter().find_map(path_attribute) {
            let file = self.file.parent().unwrap_or(&self.folder).join(given);
            let folder = file.parent().unwrap_or(&self.folder).to_owned();
            return Ok(Self { file, folder, path });
        }
        let folder = self.folder.join(name);
        for file in [self.folder.join(format!("{name}.rs")), folder.join("mod.rs")] {
            if file.is_file() {
                return Ok(Self { file, folder, path });
            }
        }
        bail!("{} declares the module `{name}`, which has no file", self.file.display())
    }

    fn path_to(&self, name: &str) -> Vec<String> {
        self.path.iter().cloned().chain([name.to_owned()]).collect()
    }
}

/// `#[path = "…"]`
fn path_attribute(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) = &pair.value else { return None };
    pair.path.is_ident("path").then(|| text.value())
}

fn file_stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn parse(file: &Path, text: &str) -> Result<Vec<Item>> {
    Ok(syn::parse_file(text).with_context(|| format!("{} is not Rust", file.display()))?.items)
}
