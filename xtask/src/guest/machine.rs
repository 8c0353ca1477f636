//! Booting: qemu with the processor's own virtualization where it works, else with emulation.
//!
//! In: a kernel and a file system. Out: what the machine's console says, line by line, and whether all passed. A machine
//! that says nothing, or does not end, is ended.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    setup::{kernel_image::KernelImage, peers::Peers},
    workspace,
};

/// Begin of what the machine's first process says.
const OURS: &str = "guest: ";

/// Until the first process says something. Emulation takes 3 s here.
const BOOTED_WITHIN: Duration = Duration::from_secs(90);

/// The same with virtualization.
const BOOTED_VIRTUALLY_WITHIN: Duration = Duration::from_secs(20);

/// How often a kernel may try to come up: with qemu 7.2, one boot of Linux 6.12 in ten dies before any of our programs
/// runs; with 10.0 none of thirty did. What breaks later is never tried again.
const BOOTS: usize = 3;

/// Lines of the console that are shown when something goes wrong.
const LATEST: usize = 40;

/// How the guest's instructions are carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accelerator {
    Kvm,
    Emulation,
}

/// How a machine ended.
enum End {
    /// All passed.
    Passed,
    /// It said what did not.
    Failed(String),
    /// It never came to the first process.
    Mute,
}

/// Boots machines.
pub(super) struct Machine {
    qemu: PathBuf,
    firmware: Vec<PathBuf>,
    accelerator: Accelerator,
}

impl Machine {
    pub(super) fn new(emulator: &Peers) -> Result<Self> {
        let usable = File::options().read(true).write(true).open("/dev/kvm").is_ok();
        Ok(Self {
            qemu: emulator.program("qemu-system-x86_64").context("no emulator")?,
            firmware: ["qemu", "seabios"].into_iter().filter_map(|folder| emulator.shared(folder)).collect(),
            accelerator: if usable { Accelerator::Kvm } else { Accelerator::Emulation },
        })
    }

    /// Boots the kernel with the archive as its file system; fails unless all passed.
    pub(super) fn boot(&mut self, kernel: &KernelImage, archive: &[u8], limit: Duration) -> Result<()> {
        let folder = workspace::target().join("kernels");
        let initrd = folder.join(format!("{}.initrd", kernel.release));
        fs::write(&initrd, archive).with_context(|| format!("cannot write {}", initrd.display()))?;
        let mut end = self.run(kernel, &initrd, limit);
        if self.accelerator == Accelerator::Kvm && matches!(end, Ok((End::Mute, _))) {
            eprintln!("/dev/kvm is there, but no machine comes up with it: emulating");
            self.accelerator = Accelerator::Emulation;
            end = self.run(kernel, &initrd, limit);
        }
        for _ in 1..BOOTS {
            if !matches!(end, Ok((End::Mute, _))) {
                break;
            }
            eprintln!("Linux {} did not come up; once more", kernel.release);
            end = self.run(kernel, &initrd, limit);
        }
        fs::remove_file(&initrd).with_context(|| format!("cannot remove {}", initrd.display()))?;
        let (end, console) = end?;
        let latest = || console[console.len().saturating_sub(LATEST)..].join("\n");
        match end {
            End::Passed => Ok(()),
            End::Failed(what) => bail!("Linux {}: {what}", kernel.release),
            End::Mute => bail!("Linux {} did not come up; its console:\n{}", kernel.release, latest()),
        }
    }

    /// How it ended, and all that was on the console.
    fn run(&self, kernel: &KernelImage, initrd: &Path, limit: Duration) -> Result<(End, Vec<String>)> {
        let mut qemu = Command::new(&self.qemu);
        let (accelerator, booted_within) = match self.accelerator {
            Accelerator::Kvm => (["-accel", "kvm", "-cpu", "host"], BOOTED_VIRTUALLY_WITHIN),
            Accelerator::Emulation => (["-accel", "tcg,thread=multi", "-cpu", "max"], BOOTED_WITHIN),
        };
        qemu.args(accelerator).args(["-m", "2048", "-smp", "2", "-nographic", "-nic", "none", "-no-reboot"]);
        for folder in &self.firmware {
            qemu.arg("-L").arg(folder);
        }
        qemu.arg("-kernel").arg(&kernel.vmlinuz).arg("-initrd").arg(initrd);
        qemu.args(["-append", "console=ttyS0 quiet panic=-1"]);
        let mut child = qemu
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // What virtualization dies of is a page of registers; that it died is said elsewhere.
            .stderr(if self.accelerator == Accelerator::Kvm { Stdio::null() } else { Stdio::inherit() })
            .spawn()
            .with_context(|| format!("cannot start {}", self.qemu.display()))?;
        let stdout = child.stdout.take().context("no pipe from the emulator")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let (mut console, mut end) = (Vec::new(), End::Mute);
        let started = Instant::now();
        loop {
            let deadline = if matches!(end, End::Mute) { booted_within } else { limit };
            match lines.recv_timeout(deadline.saturating_sub(started.elapsed())) {
                Ok(line) => {
                    let said = line.strip_prefix(OURS);
                    match (said, &end) {
                        (Some("all passed"), _) => end = End::Passed,
                        (Some(said), _) if said.starts_with("failed: ") => end = End::Failed(said.to_owned()),
                        (Some(_), End::Mute) => end = End::Failed("the machine ended before the tests did".to_owned()),
                        _ => {}
                    }
                    // The firmware's lines are of no interest.
                    if !matches!(end, End::Mute) {
                        println!("{line}");
                    }
                    console.push(line);
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if !matches!(end, End::Mute) {
                        end = End::Failed(format!("not done within {} s", limit.as_secs()));
                    }
                    child.kill().context("cannot end the emulator")?;
                    break;
                }
            }
        }
        child.wait().context("the emulator has no exit status")?;
        Ok((end, console))
    }
}
