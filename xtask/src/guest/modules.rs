//! The kernel modules that a network of namespaces needs, each after those that it depends on.
//!
//! Debian's packages have no list of dependencies (it is made when they are installed), but every module names its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

/// Virtual cables and switches, what TC needs for our filter and somebody else's, and the interfaces of real gateways. A
/// kernel may have them built in.
const WANTED: [&str; 19] = [
    "veth",
    "bridge",
    "8021q",
    "sch_ingress",
    "cls_bpf",
    "cls_u32",
    "bonding",
    "ip6_gre",
    "ip6_tunnel",
    "ip_gre",
    "ipip",
    "ipvlan",
    "macvlan",
    "ppp_async",
    "pppoe",
    "sit",
    "vrf",
    "vxlan",
    "wireguard",
];

/// The modules below `folder`, name and content, in the order in which they can be loaded.
pub(super) fn load_order(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = BTreeMap::new();
    collect(folder, &mut files)?;
    let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
    for name in WANTED {
        add(name, &files, &mut seen, &mut order)?;
    }
    Ok(order)
}

fn add(
    name: &str,
    files: &BTreeMap<String, PathBuf>,
    seen: &mut BTreeSet<String>,
    order: &mut Vec<(String, Vec<u8>)>,
) -> Result<()> {
    // One without a file is built in.
    let Some(file) = files.get(name).filter(|_| seen.insert(name.to_owned())) else { return Ok(()) };
    let content = content(file)?;
    for dependency in depends(&content).with_context(|| format!("{} is no kernel module", file.display()))? {
        add(&dependency, files, seen, order)?;
    }
    order.push((name.to_owned(), content));
    Ok(())
}

/// Every module below the folder by its name.
fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if let Some((name, _)) = path.file_name().and_then(|name| name.to_str()?.split_once(".ko")) {
            files.insert(name.replace('-', "_"), path.clone());
        }
    }
    Ok(())
}

fn content(file: &Path) -> Result<Vec<u8>> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => fs::read(file).with_context(|| format!("cannot read {}", file.display())),
        Some("xz") => {
            let output = Command::new("xz").arg("-dc").arg(file).stderr(Stdio::inherit()).output();
            let output = output.context("`xz` is needed to unpack kernel modules (package xz-utils)")?;
            ensure!(output.status.success(), "`xz` cannot unpack {}", file.display());
            Ok(output.stdout)
        }
        _ => bail!("{} is packed in a way that is not known here", file.display()),
    }
}

/// The modules that a module names as its dependencies: `depends=A,B` among the NUL-terminated texts of its `.modinfo`.
fn depends(module: &[u8]) -> Option<Vec<String>> {
    let text = module.split(|byte| *byte == 0).find_map(|text| text.strip_prefix(b"depends="))?;
    let names = std::str::from_utf8(text).ok()?.split(',').filter(|name| !name.is_empty());
    Some(names.map(|name| name.replace('-', "_")).collect())
}

#[cfg(test)]
mod tests {
    use super::depends;

    #[test]
    fn a_module_names_its_dependencies() {
        assert_eq!(depends(b"ELF\0license=GPL\0depends=stp,llc\0"), Some(vec!["stp".to_owned(), "llc".to_owned()]));
        assert_eq!(depends(b"\0depends=\0name=llc\0"), Some(Vec::new()));
        assert_eq!(depends(b"\0license=GPL\0"), None);
    }
}
