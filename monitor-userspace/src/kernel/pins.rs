//! The files that keep maps and links alive without a process, and folders that remember what needs no file to live.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aya::programs::TcAttachType;
use monitor_common::{map, program};

use super::{error::KernelError, tc};

/// Begin of the name of the folder that stands for the filter that watches egress.
const EGRESS_FILTER: &str = "filter_egress_";

/// Of the one where there is no link-layer header.
const EGRESS_IP_FILTER: &str = "filter_rb_egress_ip_";

/// Begins of those that stand for the filters that watch ingress.
const INGRESS_FILTER: &str = "filter_rb_ingress_tc_";
const INGRESS_IP_FILTER: &str = "filter_rb_ingress_ip_tc_";

/// Of the one that stands for the filter of the stand-in page.
const STAND_IN_FILTER: &str = "filter_rb_standin_";

/// Begins of the names of all folders that stand for filters, which are followed by the interface's index, and the filters.
const FILTERS: [(&str, TcAttachType, &str); 7] = [
    (INGRESS_FILTER, TcAttachType::Ingress, program::INGRESS_TC),
    (INGRESS_IP_FILTER, TcAttachType::Ingress, program::INGRESS_IP_TC),
    (STAND_IN_FILTER, TcAttachType::Ingress, program::STAND_IN),
    (EGRESS_FILTER, TcAttachType::Egress, program::EGRESS),
    (EGRESS_IP_FILTER, TcAttachType::Egress, program::EGRESS_IP),
    ("filter_rb_gate_in_", TcAttachType::Ingress, program::GATE_IN),
    ("filter_rb_gate_out_", TcAttachType::Egress, program::GATE_OUT),
];

/// The pin of a map.
pub(super) fn map_path(pin_dir: &Path, name: &str) -> PathBuf {
    pin_dir.join(name)
}

/// The pin of the XDP link of an interface. By index: a BPF file system takes no dots, interface names have some.
pub(super) fn xdp_path(pin_dir: &Path, ifindex: u32) -> PathBuf {
    pin_dir.join(format!("link_xdp_{ifindex}"))
}

/// The pin of the TC ingress link of an interface.
pub(super) fn ingress_path(pin_dir: &Path, ifindex: u32) -> PathBuf {
    pin_dir.join(format!("link_ingress_{ifindex}"))
}

/// The folder that says that our filter watches the interface's ingress.
pub(super) fn ingress_filter_path(pin_dir: &Path, program: &str, ifindex: u32) -> PathBuf {
    let begin = if program == program::INGRESS_TC { INGRESS_FILTER } else { INGRESS_IP_FILTER };
    pin_dir.join(format!("{begin}{ifindex}"))
}

/// The pin of the TC egress link of an interface.
pub(super) fn egress_path(pin_dir: &Path, ifindex: u32) -> PathBuf {
    pin_dir.join(format!("link_egress_{ifindex}"))
}

/// The folder that says that our filter is on an interface, where TC egress is no link. A BPF file system holds pins and
/// folders, nothing else.
pub(super) fn filter_path(pin_dir: &Path, program: &str, ifindex: u32) -> PathBuf {
    let begin = if program == program::EGRESS { EGRESS_FILTER } else { EGRESS_IP_FILTER };
    pin_dir.join(format!("{begin}{ifindex}"))
}

/// The same for the stand-in page's filter.
pub(super) fn stand_in_path(pin_dir: &Path, ifindex: u32) -> PathBuf {
    pin_dir.join(format!("{STAND_IN_FILTER}{ifindex}"))
}

/// Removes the stand-in page's filters and their folders, but for those in `kept`.
pub(super) fn remove_stand_in(pin_dir: &Path, kept: &[PathBuf]) -> Result<(), KernelError> {
    let found = present(pin_dir)?.into_iter().filter(|pin| is_stand_in(pin) && !kept.contains(pin));
    found.into_iter().try_for_each(|pin| remove(&pin))
}

fn is_stand_in(pin: &Path) -> bool {
    pin.file_name().unwrap_or_default().to_string_lossy().starts_with(STAND_IN_FILTER)
}

/// Makes such a folder.
pub(super) fn remember_filter(path: &Path) -> Result<(), KernelError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(KernelError::Pin { what: "make", path: path.to_path_buf(), source }),
        Ok(()) => Ok(()),
    }
}

/// Whether the pin stands for a program on an interface.
pub(super) fn is_attachment(pin: &Path) -> bool {
    let name = pin.file_name().unwrap_or_default().to_string_lossy();
    ["link_xdp_", "link_ingress_", "link_egress_", INGRESS_FILTER, INGRESS_IP_FILTER, EGRESS_FILTER, EGRESS_IP_FILTER]
        .iter()
        .any(|kind| name.starts_with(kind))
}

/// Every pin of ours in the folder: links first, so that nothing runs on maps that are gone.
pub(super) fn present(pin_dir: &Path) -> Result<Vec<PathBuf>, KernelError> {
    let entries = match fs::read_dir(pin_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(KernelError::Pin { what: "read", path: pin_dir.to_path_buf(), source }),
    };
    let (mut links, mut maps) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry.map_err(|source| KernelError::Pin { what: "read", path: pin_dir.to_path_buf(), source })?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if is_attachment(&entry.path()) || is_stand_in(&entry.path()) {
            links.push(entry.path());
        } else if map::PINNED.contains(&name.as_ref()) {
            maps.push(entry.path());
        }
    }
    links.sort();
    maps.sort();
    links.append(&mut maps);
    Ok(links)
}

/// Removes one pin, and the filter that it stands for; one that is not there is fine.
pub(super) fn remove(path: &Path) -> Result<(), KernelError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let filter = FILTERS.iter().find_map(|(begin, side, program)| Some((name.strip_prefix(begin)?, *side, *program)));
    let removed = match filter {
        None => fs::remove_file(path),
        Some((ifindex, side, program)) => {
            if let Ok(ifindex) = ifindex.parse() {
                tc::remove_filter(ifindex, side, program)?;
            }
            fs::remove_dir(path)
        }
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(KernelError::Pin { what: "remove", path: path.to_path_buf(), source }),
        Ok(()) => Ok(()),
    }
}

/// Removes every pin and keeps the folder, which a daemon may have locked.
pub(super) fn clear(pin_dir: &Path) -> Result<Vec<String>, KernelError> {
    let mut removed = Vec::new();
    for path in present(pin_dir)? {
        remove(&path)?;
        removed.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    Ok(removed)
}

/// Removes every pin of ours and the folder if it is empty then. Returns the names.
pub(super) fn remove_all(pin_dir: &Path) -> Result<Vec<String>, KernelError> {
    let removed = clear(pin_dir)?;
    // Somebody else's file in it keeps it.
    let _ = fs::remove_dir(pin_dir);
    Ok(removed)
}
