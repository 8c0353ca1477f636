//! Small crates for the unit tests of these laws.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{crates::Sources, modules::Tree};

/// A folder of sources that is removed with the value.
pub(super) struct Fixture(TempDir);

impl Fixture {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let fixture = Self(TempDir::new().unwrap());
        for (name, text) in files {
            let path = fixture.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fixture
    }

    pub(super) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// The crate with this root, used by others under its own name.
    pub(super) fn sources(&self, package: &str, root: &str) -> Sources {
        let trees = vec![Tree::load(&self.path(root)).unwrap()];
        Sources { package: package.to_owned(), library: package.to_owned(), trees }
    }
}
