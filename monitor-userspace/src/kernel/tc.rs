//! A TC program on one side of one interface: a tcx link (Linux 6.6) that is pinned, or a filter of the `clsact` qdisc where
//! the kernel has no tcx.
//!
//! A filter is no file, so it outlives the daemon by itself; that it is there is remembered by an empty folder among the
//! pins ([`FilterPlace::filter`]). It is known again by its name, and replaced in place. Filters of others stay as they are:
//! ours comes before them, as one that passes a packet ends the chain, and lets every packet through to them.

use std::{io, path::PathBuf};

use aya::programs::{
    LinkOrder, ProgramError, ProgramId, SchedClassifier, TcAttachType,
    links::FdLink,
    tc::{self, NlOptions, SchedClassifierLink, SchedClassifierLinkId, TcAttachOptions, TcError, TcHandle},
};
use futures_util::TryStreamExt as _;
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

/// How a TC program runs on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TcMode {
    /// A tcx link.
    Tcx,
    /// A filter of the `clsact` qdisc: before Linux 6.6.
    Clsact,
    /// Not at all: `watch.egress` is false.
    Off,
}

/// Which program is where, and what keeps it there.
pub(super) struct FilterPlace<'a> {
    /// The program's name.
    pub(super) program: &'static str,
    /// For people, in errors.
    pub(super) how: &'static str,
    pub(super) side: TcAttachType,
    pub(super) interface: &'a str,
    pub(super) ifindex: u32,
    /// The program of ours that is to run before it.
    pub(super) after: Option<u32>,
    /// The pin of its link.
    pub(super) link: PathBuf,
    /// The folder that remembers its filter; a name that [`pins::remove`] knows.
    pub(super) filter: PathBuf,
}

impl FilterPlace<'_> {
    fn refused(&self, reason: String) -> KernelError {
        refused(self.interface, self.how, reason)
    }
}

/// Attaches the program, or puts it in the place of an earlier daemon's.
pub(super) async fn attach(program: &mut SchedClassifier, place: &FilterPlace<'_>) -> Result<TcMode, KernelError> {
    let failed = |source| KernelError::program(place.program, source);
    if let Some(old) = pinned(place.interface, &place.link)? {
        let link = SchedClassifierLink::try_from(old).map_err(|error| place.refused(link_reason(&error)))?;
        match program.attach_to_link(link) {
            Ok(id) => {
                // The pin keeps the link; ours is only closed.
                drop(program.take_link(id).map_err(failed)?);
                return Ok(TcMode::Tcx);
            }
            // The interface went away and another has its index now: the link is dead.
            Err(_) => pins::remove(&place.link)?,
        }
    }
    // Where an earlier daemon's filter is, a link beside it would see every packet a second time.
    if !place.filter.exists() {
        // A program before ours that passes a packet would end the chain; ours never does.
        let order = TcAttachOptions::TcxOrder(LinkOrder::first());
        match program.attach_with_options(place.interface, place.side, order) {
            Ok(id) => {
                let link = program.take_link(id).map_err(failed)?;
                let link = FdLink::try_from(link).map_err(|error| place.refused(link_reason(&error)))?;
                pin_link(link, &place.link)?;
                return Ok(TcMode::Tcx);
            }
            // The word of a kernel that does not know this kind of link.
            Err(error) if errno(&error) == Some(libc::EINVAL) => {
                tracing::info!(
                    interface = place.interface,
                    program = place.program,
                    "this kernel has no tcx; a filter of the clsact qdisc takes its place"
                );
            }
            Err(error) => return Err(place.refused(program_reason(&error))),
        }
    }
    let id = filter(program, place).await?;
    let link = program.take_link(id).map_err(failed)?;
    // Dropped, it would detach. It holds no descriptor.
    std::mem::forget(link);
    Ok(TcMode::Clsact)
}

/// Attaches the program until it is detached or its process ends, by whatever way there is: a link that nothing pins, or a
/// filter, which stays behind when the process is killed; the folder says so.
pub(super) fn attach_for_now(
    program: &mut SchedClassifier,
    place: &FilterPlace<'_>,
) -> Result<SchedClassifierLinkId, KernelError> {
    if !place.filter.exists() {
        let order = place.after.map_or_else(LinkOrder::first, |id| {
            // SAFETY: the id of a program that this process has loaded and keeps.
            LinkOrder::after_program_id(unsafe { ProgramId::new(id) })
        });
        match program.attach_with_options(place.interface, place.side, TcAttachOptions::TcxOrder(order)) {
            Ok(id) => return Ok(id),
            // As above.
            Err(error) if errno(&error) == Some(libc::EINVAL) => {}
            Err(error) => return Err(place.refused(program_reason(&error))),
        }
    }
    add_clsact(place)?;
    pins::remember_filter(&place.filter)?;
    // What a killed daemon has left works on maps that nobody writes any more.
    remove_filter(place.ifindex, place.side, place.program)?;
    first(program, place).map_err(|error| place.refused(program_reason(&error)))
}

/// Whether the program still runs as it was attached. What cannot be asked is taken to be gone: it is put there again, or
/// what keeps it away is said.
pub(super) async fn is_there(program: &SchedClassifier, mode: TcMode, place: &FilterPlace<'_>) -> bool {
    match mode {
        TcMode::Off => true,
        TcMode::Tcx => {
            let Ok(ours) = program.info() else { return false };
            SchedClassifier::query_tcx(place.interface, place.side)
                .is_ok_and(|(_, there)| there.iter().any(|info| info.id() == ours.id()))
        }
        TcMode::Clsact => find(place).await.is_ok_and(|found| found.is_some()),
    }
}

/// Makes the program a filter, in the place of an earlier daemon's or before those of others.
async fn filter(program: &mut SchedClassifier, place: &FilterPlace<'_>) -> Result<SchedClassifierLinkId, KernelError> {
    add_clsact(place)?;
    // Remembered before it is there: a daemon that is killed in between leaves nothing that nobody would find.
    pins::remember_filter(&place.filter)?;
    let found = find(place).await.map_err(|error| place.refused(deepest(&error)))?;
    let attached = match found {
        Some((priority, handle)) => {
            let old = SchedClassifierLink::attached(place.interface, place.side, priority, handle, None)
                .map_err(|error| place.refused(error.to_string()))?;
            program.attach_to_link(old)
        }
        None => first(program, place),
    };
    attached.map_err(|error| place.refused(program_reason(&error)))
}

/// Makes the qdisc that has the filters.
fn add_clsact(place: &FilterPlace<'_>) -> Result<(), KernelError> {
    match tc::qdisc_add_clsact(place.interface) {
        Ok(()) => Ok(()),
        // It serves everyone's filters.
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        Err(error) => Err(place.refused(deepest(&error))),
    }
}

/// Adds a filter before those of others as far as that goes.
fn first(program: &mut SchedClassifier, place: &FilterPlace<'_>) -> Result<SchedClassifierLinkId, ProgramError> {
    let mut add = |priority| {
        let options = NlOptions { priority, ..NlOptions::default() };
        program.attach_with_options(place.interface, place.side, TcAttachOptions::Netlink(options))
    };
    let from = FIRST + u16::from(place.after.is_some());
    let mut added = add(from);
    for priority in from + 1..=LAST {
        match added {
            // A filter of another kind has this priority.
            Err(error) if errno(&error) == Some(libc::EINVAL) => added = add(priority),
            added => return added,
        }
    }
    added
}

/// Priority and handle of our filter.
async fn find(place: &FilterPlace<'_>) -> Result<Option<(u16, TcHandle)>, io::Error> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let index = i32::try_from(place.ifindex).map_err(io::Error::other)?;
    let request = handle.traffic_filter(index).get();
    let request = if place.side == TcAttachType::Ingress { request.ingress() } else { request.egress() };
    let filters: Result<Vec<_>, _> = request.execute().try_collect().await;
    connection.abort();
    let filters = filters.map_err(io::Error::other)?;
    Ok(filters.iter().find(|filter| has_name(filter, place.program)).map(|filter| {
        let handle = filter.header.handle;
        // The upper half is the priority, the lower one the protocol.
        ((filter.header.info >> 16) as u16, TcHandle::new(handle.major, handle.minor))
    }))
}

fn has_name(filter: &TcMessage, program: &str) -> bool {
    filter.attributes.iter().any(|attribute| match attribute {
        TcAttribute::Options(options) => options
            .iter()
            .any(|option| matches!(option, TcOption::Bpf(TcFilterBpfOption::ProgName(name)) if name == program)),
        _ => false,
    })
}

/// Takes our filter off an interface of this network namespace; one that is not there is fine. The qdisc stays: others
/// may use it.
pub(super) fn remove_filter(ifindex: u32, side: TcAttachType, program: &str) -> Result<(), KernelError> {
    // No such interface any more: its filters went with it.
    let Ok(name) = if_indextoname(ifindex) else { return Ok(()) };
    let name = name.to_string_lossy();
    match tc::qdisc_detach_program(&name, side, program) {
        Ok(()) => Ok(()),
        Err(TcError::IoError(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Without the qdisc there are no filters.
        Err(TcError::NetlinkError(error)) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => {
            Ok(())
        }
        Err(error) => Err(refused(&name, "removing the tc filter", deepest(&error))),
    }
}
