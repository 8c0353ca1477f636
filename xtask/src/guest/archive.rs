//! A file system for a kernel to start with: the "newc" format of cpio (Linux, Documentation/driver-api/early-userspace/
//! buffer-format.rst).

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const SYMLINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// What a path is.
enum Entry {
    Directory,
    File(Vec<u8>),
    Symlink(String),
    /// Major and minor number.
    Device(u32, u32),
}

/// Files by their absolute path.
pub(super) struct Archive(BTreeMap<PathBuf, Entry>);

impl Archive {
    /// An archive with nothing but a console for the first process.
    pub(super) fn new() -> Self {
        let mut archive = Self(BTreeMap::new());
        archive.put("/dev/console", Entry::Device(5, 1));
        archive
    }

    pub(super) fn folder(&mut self, path: impl AsRef<Path>) {
        self.put(path, Entry::Directory);
    }

    /// A file with this content; everyone may run it.
    pub(super) fn file(&mut self, path: impl AsRef<Path>, content: impl Into<Vec<u8>>) {
        self.put(path, Entry::File(content.into()));
    }

    /// A copy of a file of this machine.
    pub(super) fn copy(&mut self, path: impl AsRef<Path>, from: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.file(path, content);
        Ok(())
    }

    pub(super) fn symlink(&mut self, path: impl AsRef<Path>, target: &str) {
        self.put(path, Entry::Symlink(target.to_owned()));
    }

    /// Folders come before what is in them, as the kernel wants it: so they are ordered by path.
    fn put(&mut self, path: impl AsRef<Path>, entry: Entry) {
        let path: PathBuf = path.as_ref().components().filter(|part| matches!(part, Component::Normal(_))).collect();
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            self.0.entry(parent.to_owned()).or_insert(Entry::Directory);
        }
        self.0.insert(path, entry);
    }

    /// The archive's bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, (path, entry)) in (1..).zip(&self.0) {
            let name = path.as_os_str().as_encoded_bytes();
            match entry {
                Entry::Directory => record(&mut bytes, number, name, DIRECTORY, (0, 0), &[]),
                Entry::File(content) => record(&mut bytes, number, name, PROGRAM, (0, 0), content),
                Entry::Symlink(target) => record(&mut bytes, number, name, SYMLINK, (0, 0), target.as_bytes()),
                Entry::Device(major, minor) => {
                    record(&mut bytes, number, name, CHARACTER_DEVICE, (*major, *minor), &[]);
                }
            }
        }
        record(&mut bytes, 0, b"TRAILER!!!", 0, (0, 0), &[]);
        bytes
    }
}

fn record(bytes: &mut Vec<u8>, number: u32, name: &[u8], mode: u32, device: (u32, u32), content: &[u8]) {
    bytes.extend(b"070701");
    let size = content.len() as u32;
    // inode, mode, uid, gid, links, mtime, size, device it is on (two), device it is (two), length of the name, checksum
    for field in [number, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name.len() as u32 + 1, 0] {
        bytes.extend(format!("{field:08x}").bytes());
    }
    bytes.extend(name);
    bytes.push(0);
    pad(bytes);
    bytes.extend(content);
    pad(bytes);
}

/// Names and contents end on a multiple of four.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn folders_come_before_their_files_and_all_is_aligned() {
        let mut archive = Archive::new();
        archive.file("/bin/sh", *b"12345");
        archive.symlink("/a", "target");
        let bytes = archive.bytes();
        assert!(bytes.len().is_multiple_of(4));
        let text = String::from_utf8_lossy(&bytes);
        let at = |name: &str| text.find(&format!("{name}\0")).unwrap_or(usize::MAX);
        assert!(at("a") < at("bin") && at("bin") < at("bin/sh") && at("bin/sh") < at("dev"));
        assert!(at("dev/console") < at("TRAILER!!!") && at("TRAILER!!!") < bytes.len());
        // The first: inode 1, a link, one owner, as long as its target.
        assert!(text.starts_with("070701000000010000a1ff00000000000000000000000100000000000000060000"), "{text}");
        assert!(text.contains("12345\u{0}\u{0}\u{0}070701"), "{text}");
    }
}
