//! A kernel of another series than the machine's own, with its modules: Debian's image for every machine, which
//! also has PPP; the one for virtual machines lacks it.
//!
//! In: a series, such as `6.1`. Out: the newest image of it among Debian's suites, unpacked below `target/kernels`, where
//! a second run finds it. Nothing is installed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use super::debian::{Mirror, PrivateApt};
use crate::workspace;

/// Suites that have images, oldest first.
const SUITES: [&str; 7] = ["bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "forky", "sid"];

/// End of the names of images.
const FLAVOUR: &str = "-amd64";

/// What stands before it in the names of other images: drivers of virtual machines only, real time.
const OTHER_FLAVOURS: [&str; 2] = ["-cloud", "-rt"];

/// A kernel that can be booted.
pub(crate) struct KernelImage {
    /// What `uname -r` will say.
    pub(crate) release: String,
    /// The kernel.
    pub(crate) vmlinuz: PathBuf,
    /// The folder of its modules.
    pub(crate) modules: PathBuf,
}

impl KernelImage {
    /// The first two numbers of the release.
    pub(crate) fn version(&self) -> (u32, u32) {
        let mut numbers = self.release.split('.').map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }
}

/// Fetches a kernel of the series unless it is there.
pub(crate) fn fetch(series: &str) -> Result<KernelImage> {
    let numbers = series.split('.').all(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    ensure!(numbers && series.contains('.'), "`{series}` is no series of kernels: name one like 6.1");
    let folder = workspace::target().join("kernels").join(format!("{series}{FLAVOUR}"));
    if !folder.is_dir() {
        download(series, &folder)?;
    }
    unpacked(&folder).with_context(|| format!("{} does not hold a kernel: remove it and try again", folder.display()))
}

fn download(series: &str, folder: &Path) -> Result<()> {
    let mirror = Mirror::of_this_system().context("kernels come from Debian's packages")?;
    let scratch = workspace::target().join("setup/kernel");
    for suite in SUITES {
        eprintln!("setup: looking for a kernel {series} in {suite} of {}", mirror.uri());
        let apt = match PrivateApt::new(&mirror, &[suite], scratch.join(suite)) {
            Ok(apt) => apt,
            // Mirrors drop old suites; another may have it.
            Err(error) => {
                eprintln!("setup: not there ({error:#})");
                continue;
            }
        };
        let Some(package) = newest(apt.packages(&format!("linux-image-{series}."))?) else { continue };
        let versions = apt.versions(&package)?;
        let Some(version) = versions.first() else { continue };
        eprintln!("setup: unpacking {package} {version} of {suite}");
        let files = apt.unpack(&package, version)?;
        let parent = folder.parent().context("the kernel's folder has no parent")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        fs::rename(&files, folder).with_context(|| format!("cannot create {}", folder.display()))?;
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
        eprintln!("setup: it is in {}; remove that folder to be rid of it", folder.display());
        return Ok(());
    }
    bail!("none of {} has a kernel {series}", SUITES.join(", "))
}

/// The newest of the images.
fn newest(packages: Vec<String>) -> Option<String> {
    let is_ours = |name: &String| {
        name.strip_suffix(FLAVOUR).is_some_and(|rest| !OTHER_FLAVOURS.iter().any(|other| rest.ends_with(other)))
    };
    packages.into_iter().filter(is_ours).max_by_key(|name| numbers(name))
}

/// The numbers in a name, in order: `6.12.9` is older than `6.12.10`.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|character: char| !character.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// The image in a folder of unpacked packages.
fn unpacked(folder: &Path) -> Result<KernelImage> {
    for entry in fs::read_dir(folder.join("boot"))? {
        let vmlinuz = entry?.path();
        let name = vmlinuz.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(release) = name.strip_prefix("vmlinuz-") else { continue };
        let modules = ["lib/modules", "usr/lib/modules"].map(|modules| folder.join(modules).join(release));
        let modules = modules.into_iter().find(|modules| modules.is_dir()).context("no modules")?;
        return Ok(KernelImage { release: release.to_owned(), vmlinuz, modules });
    }
    bail!("no vmlinuz")
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_newest_image_is_chosen_by_its_numbers() {
        let of = |names: &[&str]| newest(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(
            of(&[
                "linux-image-6.1.0-9-amd64",
                "linux-image-6.1.0-50-amd64",
                "linux-image-6.1.0-60-cloud-amd64",
                "linux-image-6.1.0-60-rt-amd64",
            ]),
            Some("linux-image-6.1.0-50-amd64".to_owned())
        );
        assert_eq!(of(&["linux-image-6.1.0-50-amd64-unsigned"]), None);
    }
}
