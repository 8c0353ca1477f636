//! What changes as more attempts are pending: nothing should.

use std::time::{Duration, Instant};

use anyhow::Result;
use monitor_core::config::Watch;
use ringback::kernel::{Kernel, TrialProgram};

use crate::{
    flows::watch,
    report::{median, nanoseconds},
    segments::tcp,
};

/// Pending attempts: a thousand, a million, eight million.
const PENDING: [u32; 3] = [1_000, 1_000_000, 8_000_000];

/// SYNs that are timed on top.
const MORE: u32 = 100_000;

/// Attempts that expire in the look that is timed.
const EXPIRED: u32 = 1_000;

/// Looks that find nothing.
const LOOKS: u32 = 10_000;

pub(crate) fn run() -> Result<()> {
    println!("\nas attempts grow");
    println!(
        "{:<14} {:>12} {:>16} {:>24} {:>18}",
        "pending", "new SYN, ns", "idle look, ns", "expiring one of 1000, ns", "bytes per attempt"
    );
    for pending in PENDING {
        let mut times = (Vec::new(), Vec::new(), Vec::new());
        let mut bytes = 0;
        for _ in 0..3 {
            let measured = measure(pending)?;
            times.0.push(measured.0);
            times.1.push(measured.1);
            times.2.push(measured.2);
            bytes = measured.3;
        }
        let (new, idle, expiring) = (median(times.0), median(times.1), median(times.2));
        println!("{pending:<14} {new:>12.0} {idle:>16.0} {expiring:>24.0} {bytes:>18}");
    }
    Ok(())
}

fn measure(pending: u32) -> Result<(f64, f64, f64, u64)> {
    let settings = watch((pending + MORE + EXPIRED).next_power_of_two())?;
    let (mut kernel, _events) = Kernel::measured(&settings)?;
    let frame = |flow: u32| {
        let mut frame = tcp(flow, 0x02);
        // Another server for those that expire.
        frame[33] = if flow == 0 { 8 } else { 7 };
        frame
    };
    kernel.trial(TrialProgram::NewSyn, &frame(0), EXPIRED)?;
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    kernel.trial(TrialProgram::NewSyn, &frame(1), pending)?;
    let new = nanoseconds(kernel.trial(TrialProgram::NewSyn, &frame(9_000_000), MORE)?.duration);
    let idle = nanoseconds(kernel.trial(TrialProgram::Look, &frame(0), LOOKS)?.duration);
    // Now the first thousand are late, and no other is.
    let late = begun.elapsed() + Duration::from_millis(250);
    kernel.configure(&Watch { syn_timeout: late, ..settings.clone() })?;
    let expiring = nanoseconds(kernel.trial(TrialProgram::Look, &frame(0), 1)?.duration) / f64::from(EXPIRED);
    Ok((new, idle, expiring, kernel.memory()? / u64::from(settings.pending)))
}
