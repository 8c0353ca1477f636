//! A kernel that is too old: the daemon says so and leaves nothing behind.

use std::{fs, path::Path, process::Command};

use anyhow::Result;

#[test]
#[ignore = "for kernels older than 6.1: `cargo xtask test --kernel 5.10`"]
fn a_kernel_that_is_too_old_is_told_what_is_needed() -> Result<()> {
    let folder = std::env::temp_dir().join("ringback-floor");
    fs::create_dir_all(&folder)?;
    let (file, at) = (folder.join("ringback.toml"), folder.display());
    let pins = Path::new("/sys/fs/bpf/ringback-floor");
    let config = format!(
        "[watch]\ninterfaces = ['lo']\npin_dir = '{}'\n[store]\nstate_dir = '{at}'\n[control]\nsocket = '{at}/control.sock'\n",
        pins.display()
    );
    fs::write(&file, config)?;
    let output = Command::new(lab::program()?).arg("run").arg("--config").arg(&file).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    assert!(said.contains(&format!("the eBPF programs were refused by this kernel ({})", release.trim())), "{said}");
    assert!(said.contains("Linux 6.1 or newer is needed"), "{said}");
    let attached: Vec<_> = fs::read_dir(pins)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("link_") || name.starts_with("filter_"))
        .collect();
    assert_eq!(attached, [""; 0]);
    fs::remove_dir_all(&folder)?;
    Ok(())
}
