//! Programs onto an interface, by links that go away with this process. Nobody else's program is ever replaced.

use super::Error;
use aya::Ebpf;
use aya::programs::{Program, ProgramError};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// A hook for what comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    /// XDP in the driver.
    Xdp,
    /// TC by link, from Linux 6.6.
    Tcx,
}

impl Rung {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tcx => "tcx",
        }
    }
}

/// The programs on one interface.
#[derive(Debug)]
pub(super) struct Links {
    pub(super) interface: String,
    pub(super) rung: Rung,
    links: Vec<OwnedFd>,
}

/// Attaches by the first of `rungs` that works.
pub(super) fn attach(programs: &mut Ebpf, interface: &str, rungs: &[Rung]) -> Result<Links, Error> {
    let mut refused = None;
    let index = index(interface).map_err(|source| failed(interface, "index", source))?;
    for &rung in rungs {
        let (program, hook, flags) = match rung {
            Rung::Xdp => ("ingress_xdp", BPF_XDP, XDP_FLAGS_DRV_MODE),
            Rung::Tcx => ("ingress_tc", BPF_TCX_INGRESS, 0),
        };
        match link(load(programs, program)?, index, hook, flags) {
            Ok(ingress) => {
                let egress = link(load(programs, "egress_tc")?, index, BPF_TCX_EGRESS, 0)
                    .map_err(|source| failed(interface, "tcx egress", source))?;
                return Ok(Links { interface: interface.to_owned(), rung, links: vec![ingress, egress] });
            }
            Err(source) => {
                tracing::info!(interface, rung = rung.as_str(), %source, "hook not to be had");
                refused = Some(failed(interface, rung.as_str(), source));
            }
        }
    }
    Err(refused.expect("at least one rung is tried"))
}

impl Links {
    /// Why these links see nothing.
    pub(super) fn blind(&self) -> Option<String> {
        if self.links.is_empty() {
            return Some(String::from("detached"));
        }
        self.links.iter().find_map(|link| match target(link) {
            Ok(0) => Some(String::from("the program was detached, or the interface is gone")),
            Ok(_) => None,
            Err(error) => Some(format!("the link cannot be looked at: {error}")),
        })
    }

    pub(super) fn detach(&mut self) {
        self.links.clear();
    }
}

fn failed(interface: &str, rung: &'static str, source: io::Error) -> Error {
    Error::Attach { interface: interface.to_owned(), rung, source }
}

/// The program of this name, loaded if it is not yet.
fn load(programs: &mut Ebpf, name: &'static str) -> Result<RawFd, Error> {
    let failed = |source: ProgramError| Error::Program { program: name, source: Box::new(source) };
    let program = programs.program_mut(name).ok_or_else(|| failed(ProgramError::NotLoaded))?;
    if program.fd().is_err() {
        match program {
            Program::Xdp(program) => program.load(),
            Program::SchedClassifier(program) => program.load(),
            _ => Err(ProgramError::UnexpectedProgramType),
        }
        .map_err(failed)?;
    }
    Ok(program.fd().map_err(failed)?.as_fd().as_raw_fd())
}

fn index(interface: &str) -> io::Result<u32> {
    let name = CString::new(interface)?;
    // SAFETY: the name ends with a zero byte.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_XDP: u32 = 37;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// `bpf(BPF_LINK_CREATE)`: fails where something else is attached already.
fn link(program: RawFd, interface: u32, hook: u32, flags: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Create {
        program: i32,
        interface: u32,
        hook: u32,
        flags: u32,
        relative: u64,
        revision: u64,
    }
    let create = Create { program, interface, hook, flags, relative: 0, revision: 0 };
    let size = size_of::<Create>();
    // SAFETY: the kernel reads as many bytes as there are.
    let link = unsafe { libc::syscall(libc::SYS_bpf, BPF_LINK_CREATE, &raw const create, size) };
    match RawFd::try_from(link) {
        // SAFETY: the kernel has just given it to us.
        Ok(link) if link >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(link) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The index of the interface that a link is on; 0 if it is on none any more.
fn target(link: &OwnedFd) -> io::Result<u32> {
    #[repr(C)]
    struct GetInfo {
        link: i32,
        size: u32,
        info: *mut Info,
    }
    #[repr(C)]
    #[derive(Default)]
    struct Info {
        kind: u32,
        id: u32,
        program: u32,
        _padding: u32,
        interface: u32,
        hook: u32,
    }
    let mut info = Info::default();
    let get = GetInfo { link: link.as_raw_fd(), size: size_of::<Info>() as u32, info: &raw mut info };
    // SAFETY: the kernel writes no more than the size given.
    match unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &raw const get, size_of::<GetInfo>()) } {
        0 => Ok(info.interface),
        _ => Err(io::Error::last_os_error()),
    }
}
