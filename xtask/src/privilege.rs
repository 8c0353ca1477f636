//! Network namespaces and eBPF take root.

use std::{fs, os::unix::fs::MetadataExt};

use anyhow::{Context, Result, bail};

/// Fails, with what to type instead, unless this is root.
pub(crate) fn require_root(verb: &str) -> Result<()> {
    let me = fs::metadata("/proc/self").context("/proc is not mounted")?;
    if me.uid() != 0 {
        bail!("network namespaces and eBPF need root: run `sudo env PATH=\"$PATH\" cargo xtask {verb}`");
    }
    Ok(())
}
