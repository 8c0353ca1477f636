//! TC egress on one interface: a tcx link (Linux 6.6) that is pinned, or a filter of the `clsact` qdisc where the kernel
//! has no tcx.
//!
//! A filter is no file, so it outlives the daemon by itself; that it is there is remembered by an empty folder among the
//! pins ([`pins::filter_path`]). It is known again by its name, and replaced in place. Filters of others stay as they are:
//! ours comes before them, as one that passes a packet ends the chain, and lets every packet through to them.

use std::{io, path::Path};

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttachType,
    links::FdLink,
    tc::{self, NlOptions, SchedClassifierLink, SchedClassifierLinkId, TcAttachOptions, TcError, TcHandle},
};
use futures_util::TryStreamExt as _;
use monitor_common::program;
use nix::net::if_::if_indextoname;
use rtnetlink::packet_route::tc::{TcAttribute, TcFilterBpfOption, TcMessage, TcOption};
use serde::{Deserialize, Serialize};

use super::{
    attach::{pin_link, pinned, refused},
    error::{KernelError, deepest, errno, link_reason, program_reason},
    pins,
};

/// Priorities that are tried for our filter.
const FIRST: u16 = 1;
const LAST: u16 = 16;

/// How TC egress runs on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TcMode {
    /// A tcx link.
    Tcx,
    /// A filter of the `clsact` qdisc: before Linux 6.6.
    Clsact,
}

/// Attaches the program, or puts it in the place of an earlier daemon's.
pub(super) async fn attach(
    egress: &mut SchedClassifier,
    pin_dir: &Path,
    name: &str,
    ifindex: u32,
) -> Result<TcMode, KernelError> {
    const HOW: &str = "tc egress";
    let pin = pins::egress_path(pin_dir, ifindex);
    if let Some(old) = pinned(name, &pin)? {
        let link = SchedClassifierLink::try_from(old).map_err(|error| refused(name, HOW, link_reason(&error)))?;
        match egress.attach_to_link(link) {
            Ok(id) => {
                // The pin keeps the link; ours is only closed.
                drop(egress.take_link(id).map_err(|source| KernelError::program(program::EGRESS, source))?);
                return Ok(TcMode::Tcx);
            }
            // The interface went away and another has its index now: the link is dead.
            Err(_) => pins::remove(&pin)?,
        }
    }
    // Where an earlier daemon's filter is, a link beside it would see every packet a second time.
    if !pins::filter_path(pin_dir, ifindex).exists() {
        // A program before ours that passes a packet would end the chain; ours never does.
        let order = TcAttachOptions::TcxOrder(LinkOrder::first());
        match egress.attach_with_options(name, TcAttachType::Egress, order) {
            Ok(id) => {
                let link = egress.take_link(id).map_err(|source| KernelError::program(program::EGRESS, source))?;
                let link = FdLink::try_from(link).map_err(|error| refused(name, HOW, link_reason(&error)))?;
                pin_link(link, &pin)?;
                return Ok(TcMode::Tcx);
            }
            // The word of a kernel that does not know this kind of link.
            Err(error) if errno(&error) == Some(libc::EINVAL) => {
                tracing::info!(
                    interface = name,
                    "this kernel has no tcx; a filter of the clsact qdisc takes its place"
                );
            }
            Err(error) => return Err(refused(name, HOW, program_reason(&error))),
        }
    }
    filter(egress, pin_dir, name, ifindex).await.map(|()| TcMode::Clsact)
}

async fn filter(egress: &mut SchedClassifier, pin_dir: &Path, name: &str, ifindex: u32) -> Result<(), KernelError> {
    const HOW: &str = "tc egress by clsact";
    match tc::qdisc_add_clsact(name) {
        Ok(()) => {}
        // It serves everyone's filters.
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => {}
        Err(error) => return Err(refused(name, HOW, deepest(&error))),
    }
    // Remembered before it is there: a daemon that is killed in between leaves nothing that nobody would find.
    pins::remember_filter(pin_dir, ifindex)?;
    let found = find(ifindex).await.map_err(|error| refused(name, HOW, deepest(&error)))?;
    let attached = match found {
        Some((priority, handle)) => {
            let old = SchedClassifierLink::attached(name, TcAttachType::Egress, priority, handle, None)
                .map_err(|error| refused(name, HOW, error.to_string()))?;
            egress.attach_to_link(old)
        }
        None => first(egress, name),
    };
    let id = attached.map_err(|error| refused(name, HOW, program_reason(&error)))?;
    let link = egress.take_link(id).map_err(|source| KernelError::program(program::EGRESS, source))?;
    // Dropped, it would detach. It holds no descriptor.
    std::mem::forget(link);
    Ok(())
}

/// Adds a filter before those of others as far as that goes.
fn first(egress: &mut SchedClassifier, name: &str) -> Result<SchedClassifierLinkId, ProgramError> {
    let mut add = |priority| {
        let options = NlOptions { priority, ..NlOptions::default() };
        egress.attach_with_options(name, TcAttachType::Egress, TcAttachOptions::Netlink(options))
    };
    let mut added = add(FIRST);
    for priority in FIRST + 1..=LAST {
        match added {
            // A filter of another kind has this priority.
            Err(error) if errno(&error) == Some(libc::EINVAL) => added = add(priority),
            added => return added,
        }
    }
    added
}

/// Priority and handle of our filter.
async fn find(ifindex: u32) -> Result<Option<(u16, TcHandle)>, io::Error> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let index = i32::try_from(ifindex).map_err(io::Error::other)?;
    let filters: Result<Vec<_>, _> = handle.traffic_filter(index).get().egress().execute().try_collect().await;
    connection.abort();
    Ok(filters.map_err(io::Error::other)?.iter().find(|filter| is_ours(filter)).map(|filter| {
        let handle = filter.header.handle;
        // The upper half is the priority, the lower one the protocol.
        ((filter.header.info >> 16) as u16, TcHandle::new(handle.major, handle.minor))
    }))
}

fn is_ours(filter: &TcMessage) -> bool {
    filter.attributes.iter().any(|attribute| match attribute {
        TcAttribute::Options(options) => options.iter().any(
            |option| matches!(option, TcOption::Bpf(TcFilterBpfOption::ProgName(name)) if name == program::EGRESS),
        ),
        _ => false,
    })
}

/// Takes our filter off an interface of this network namespace; one that is not there is fine. The qdisc stays: others
/// may use it.
pub(super) fn remove_filter(ifindex: u32) -> Result<(), KernelError> {
    // No such interface any more: its filters went with it.
    let Ok(name) = if_indextoname(ifindex) else { return Ok(()) };
    let name = name.to_string_lossy();
    match tc::qdisc_detach_program(&name, TcAttachType::Egress, program::EGRESS) {
        Ok(()) => Ok(()),
        Err(TcError::IoError(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Without the qdisc there are no filters.
        Err(TcError::NetlinkError(error)) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => {
            Ok(())
        }
        Err(error) => Err(refused(&name, "removing the tc filter", deepest(&error))),
    }
}
