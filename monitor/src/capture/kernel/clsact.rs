//! TC filters by netlink, for kernels before 6.6, which have no links in TC. They stay when the process that made them is
//! killed, so that those of a run before this one are looked for by their name. Nobody else's filter is touched.

use super::super::netlink::{Request, attributes, word};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Which way frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
}

impl Way {
    /// The filter's name, without the zero byte.
    const fn name(self) -> &'static [u8] {
        match self {
            Self::In => b"oopsd_ingress",
            Self::Out => b"oopsd_egress",
        }
    }

    const fn parent(self) -> u32 {
        match self {
            Self::In => 0xFFFF_FFF2,
            Self::Out => 0xFFFF_FFF3,
        }
    }
}

/// A filter of ours.
#[derive(Debug)]
pub(super) struct Filter {
    interface: u32,
    way: Way,
    /// The qdisc was not there before.
    made_qdisc: bool,
}

/// Attaches before all other filters; takes over one that an earlier run has left.
///
/// # Errors
/// There is no such qdisc in this kernel, or another kind in its place; a missing capability.
pub(super) fn attach(program: BorrowedFd<'_>, interface: u32, way: Way) -> io::Result<Filter> {
    let made_qdisc = make_qdisc(interface)?;
    let filter = Filter { interface, way, made_qdisc };
    match filter.put(program) {
        Ok(()) => Ok(filter),
        Err(error) => {
            filter.detach();
            Err(error)
        }
    }
}

/// Removes the filter that an earlier run has left on an interface.
pub(super) fn sweep(interface: u32, way: Way) {
    Filter { interface, way, made_qdisc: false }.detach();
}

impl Filter {
    /// The kernel's number of the program that it runs; 0 if the filter is gone.
    pub(super) fn program(&self) -> u32 {
        self.found().map_or(0, |found| found.program)
    }

    /// Puts another program in the place of its own, at once; or makes it.
    pub(super) fn put(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        const TCA_BPF_FD: u16 = 6;
        const TCA_BPF_NAME: u16 = 7;
        const TCA_BPF_FLAGS: u16 = 8;
        const DIRECT_ACTION: u32 = 1;
        let (handle, priority, flags) = match self.found() {
            Some(found) => (found.handle, found.priority, libc::NLM_F_CREATE),
            // Without a priority it is put before all others.
            None => (1, 0, libc::NLM_F_CREATE | libc::NLM_F_EXCL),
        };
        let mut name = self.way.name().to_vec();
        name.push(0);
        self.request(libc::RTM_NEWTFILTER, flags, handle, priority)
            .with(libc::TCA_KIND, b"bpf\0")
            .with_nested(
                libc::TCA_OPTIONS,
                &[
                    (TCA_BPF_FD, &program.as_raw_fd().to_ne_bytes()),
                    (TCA_BPF_NAME, &name),
                    (TCA_BPF_FLAGS, &DIRECT_ACTION.to_ne_bytes()),
                ],
            )
            .ask()
            .map(drop)
    }

    /// Removes it, and the qdisc if that was made for it and nothing else is in it.
    pub(super) fn detach(&self) {
        if let Some(Found { handle, priority, .. }) = self.found() {
            // What cannot be removed is gone, or is looked for by the next run.
            let _ = self.request(libc::RTM_DELTFILTER, 0, handle, priority).with(libc::TCA_KIND, b"bpf\0").ask();
        }
        let is_empty = || [Way::In, Way::Out].iter().all(|way| filters(self.interface, *way).is_empty());
        if self.made_qdisc && is_empty() {
            let _ = qdisc(libc::RTM_DELQDISC, 0, self.interface).ask();
        }
    }

    fn found(&self) -> Option<Found> {
        filters(self.interface, self.way).into_iter().find(|found| found.is_ours)
    }

    fn request(&self, kind: u16, flags: libc::c_int, handle: u32, priority: u32) -> Request {
        let all_protocols = u32::from(3_u16.to_be());
        let info = priority << 16 | all_protocols;
        Request::new(kind, flags, &head(self.interface, handle, self.way.parent(), info))
    }
}

struct Found {
    handle: u32,
    priority: u32,
    program: u32,
    is_ours: bool,
}

/// All filters of an interface.
fn filters(interface: u32, way: Way) -> Vec<Found> {
    const TCA_BPF_NAME: u16 = 7;
    const TCA_BPF_ID: u16 = 11;
    let request = Request::new(libc::RTM_GETTFILTER, libc::NLM_F_DUMP, &head(interface, 0, way.parent(), 0));
    let found = |body: Vec<u8>| {
        let (handle, info) = (word(&body, 8), word(&body, 16));
        let options =
            attributes(body.get(HEAD..)?).find(|(kind, _)| *kind == libc::TCA_OPTIONS).map(|(_, value)| value);
        let option = |wanted: u16| attributes(options.unwrap_or_default()).find(move |(kind, _)| *kind == wanted);
        let is_ours = option(TCA_BPF_NAME).is_some_and(|(_, name)| name.strip_suffix(&[0]) == Some(way.name()));
        let program = option(TCA_BPF_ID).map_or(0, |(_, value)| word(value, 0));
        // An entry without a handle stands for all of its priority.
        (handle != 0).then_some(Found { handle, priority: info >> 16, program, is_ours })
    };
    request.ask().unwrap_or_default().into_iter().filter_map(found).collect()
}

/// Makes the qdisc unless it is there; whether it was made.
fn make_qdisc(interface: u32) -> io::Result<bool> {
    match qdisc(libc::RTM_NEWQDISC, libc::NLM_F_CREATE | libc::NLM_F_EXCL, interface).ask() {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

fn qdisc(kind: u16, flags: libc::c_int, interface: u32) -> Request {
    Request::new(kind, flags, &head(interface, 0xFFFF_0000, 0xFFFF_FFF1, 0)).with(libc::TCA_KIND, b"clsact\0")
}

const HEAD: usize = 20;

/// `struct tcmsg`.
fn head(interface: u32, handle: u32, parent: u32, info: u32) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    for (place, word) in head[4..].chunks_mut(4).zip([interface, handle, parent, info]) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    head
}
