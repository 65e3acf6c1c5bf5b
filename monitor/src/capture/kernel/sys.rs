//! The commands of bpf(2) about links and pins, which the loader's library ties to objects of its own.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const OBJ_PIN: libc::c_long = 6;
const OBJ_GET: libc::c_long = 7;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const LINK_CREATE: libc::c_long = 28;
const LINK_UPDATE: libc::c_long = 29;

/// A place where a link attaches (`enum bpf_attach_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Hook {
    Xdp = 37,
    TcxIngress = 46,
    TcxEgress = 47,
}

/// Attaches by a link. It is the driver's XDP, never the generic one; in TC it goes before all others, so that none hides
/// a frame from it.
///
/// # Errors
/// `EBUSY` where there is room for one only and it is taken; `EOPNOTSUPP`, `EINVAL` where there is no such hook.
pub(super) fn attach(program: BorrowedFd<'_>, interface: u32, hook: Hook) -> io::Result<OwnedFd> {
    const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
    const BPF_F_BEFORE: u32 = 1 << 3;
    #[repr(C)]
    struct Create {
        program: RawFd,
        interface: u32,
        hook: u32,
        flags: u32,
        relative: u64,
        revision: u64,
    }
    let flags = if hook == Hook::Xdp { XDP_FLAGS_DRV_MODE } else { BPF_F_BEFORE };
    let program = program.as_raw_fd();
    opened(LINK_CREATE, &Create { program, interface, hook: hook as u32, flags, relative: 0, revision: 0 })
}

/// Puts another program in the place of a link's, at once.
///
/// # Errors
/// The kernel's.
pub(super) fn update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct Update {
        link: RawFd,
        program: RawFd,
        flags: u32,
        old: u32,
    }
    let update = Update { link: link.as_raw_fd(), program: program.as_raw_fd(), flags: 0, old: 0 };
    call(LINK_UPDATE, &update).map(drop)
}

/// A link as it is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Link {
    kind: u32,
    /// The kernel's number of it.
    pub(super) id: u32,
    /// The kernel's number of its program.
    pub(super) program: u32,
    _padding: u32,
    /// The interface it is on; 0 if it is on none any more.
    pub(super) interface: u32,
    /// TCX only: the [`Hook`].
    pub(super) hook: u32,
}

/// Looks at a link. This needs no capability.
///
/// # Errors
/// The kernel's.
pub(super) fn link(link: BorrowedFd<'_>) -> io::Result<Link> {
    let mut answer = Link::default();
    look(link, &raw mut answer)?;
    Ok(answer)
}

/// The kernel's number of a program.
///
/// # Errors
/// The kernel's.
pub(super) fn program_id(program: BorrowedFd<'_>) -> io::Result<u32> {
    let mut answer = [0_u32; 2];
    look(program, &raw mut answer)?;
    Ok(answer[1])
}

/// How many bytes the values of an array take.
///
/// # Errors
/// The kernel's.
pub(super) fn bytes(map: BorrowedFd<'_>) -> io::Result<usize> {
    // Type, number, size of a key, size of a value, entries.
    let mut answer = [0_u32; 5];
    look(map, &raw mut answer)?;
    Ok((answer[3] as usize).next_multiple_of(8) * answer[4] as usize)
}

/// Makes an array of one value of so many bytes, all zero, which processes can map.
///
/// # Errors
/// The kernel's.
pub(super) fn one_value(name: &str, size: usize) -> io::Result<OwnedFd> {
    const ARRAY: u32 = 2;
    const BPF_F_MMAPABLE: u32 = 1 << 10;
    #[repr(C)]
    struct Create {
        kind: u32,
        key: u32,
        value: u32,
        entries: u32,
        flags: u32,
        inner: u32,
        numa: u32,
        name: [u8; 16],
    }
    let value = u32::try_from(size).map_err(io::Error::other)?;
    let mut create =
        Create { kind: ARRAY, key: 4, value, entries: 1, flags: BPF_F_MMAPABLE, inner: 0, numa: 0, name: [0; 16] };
    create.name.iter_mut().zip(name.bytes().take(15)).for_each(|(place, byte)| *place = byte);
    opened(MAP_CREATE, &create)
}

/// Writes the first word of 32 bits of a map's only value on all CPUs, and zeros behind it.
///
/// # Errors
/// The kernel's.
pub(super) fn write_on_all_cpus(map: BorrowedFd<'_>, cpus: usize, word: u32) -> io::Result<()> {
    #[repr(C)]
    struct Update {
        map: u64,
        key: u64,
        value: u64,
        flags: u64,
    }
    // Type, number, sizes of key and value.
    let mut answer = [0_u32; 4];
    look(map, &raw mut answer)?;
    let size = (answer[3] as usize).next_multiple_of(8);
    let mut values = vec![0_u8; size * cpus];
    for value in values.chunks_exact_mut(size) {
        value[..4].copy_from_slice(&word.to_ne_bytes());
    }
    let key = 0_u32;
    let map = u64::from(map.as_raw_fd().cast_unsigned());
    let [key, value] = [(&raw const key).expose_provenance(), values.as_ptr().expose_provenance()].map(|at| at as u64);
    call(MAP_UPDATE_ELEM, &Update { map, key, value, flags: 0 }).map(drop)
}

fn look<T>(object: BorrowedFd<'_>, into: *mut T) -> io::Result<()> {
    #[repr(C)]
    struct Look<T> {
        object: RawFd,
        size: u32,
        into: *mut T,
    }
    let size = u32::try_from(size_of::<T>()).map_err(io::Error::other)?;
    call(OBJ_GET_INFO_BY_FD, &Look { object: object.as_raw_fd(), size, into }).map(drop)
}

#[repr(C)]
struct Place {
    path: u64,
    object: u32,
    flags: u32,
}

/// Makes a file of a BPF file system stand for the object, so that it stays.
///
/// # Errors
/// The file is there, or not on a BPF file system, or may not be made.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let object = object.as_raw_fd().cast_unsigned();
    call(OBJ_PIN, &Place { path: path.as_ptr().expose_provenance() as u64, object, flags: 0 }).map(drop)
}

/// The object that a file of a BPF file system stands for.
///
/// # Errors
/// There is no such file, or it may not be opened.
pub(super) fn pinned(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    opened(OBJ_GET, &Place { path: path.as_ptr().expose_provenance() as u64, object: 0, flags: 0 })
}

fn opened<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    let fd = call(command, attributes)?;
    // SAFETY: the kernel has just given it to us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // Programs that the daemon starts must not hold it.
    fd.as_fd().try_clone_to_owned()
}

fn call<T>(command: libc::c_long, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: the kernel reads as many bytes as there are, and writes where the attributes say there is room.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attributes, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { RawFd::try_from(result).map_err(io::Error::other) }
}
