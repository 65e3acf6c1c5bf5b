//! What the benches ask of the kernel about BPF, beyond what the crates do.

use crate::{Outcome, table};
use aya::maps::Map;
use aya::programs::ProgramInfo;
use oopsd::capture::attribution::Attribution;
use oopsd::capture::kernel::trial::Trial;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::sync::atomic::AtomicU64;
use wire::Ports;

const UPDATE_BATCH: libc::c_long = 26;
const LINK_CREATE: libc::c_long = 28;
const ENABLE_STATS: libc::c_long = 32;
const XDP: u32 = 37;

/// Whether programs can be loaded here; what cannot be measured then is said to be skipped. Prints what figures depend on.
pub(crate) fn can_run(what: &str) -> Outcome<bool> {
    let small = Attribution::new(&engine::Names::new(["nl."], [""; 0]), &[]);
    if let Err(error) = Trial::new(&small, Ports::DNS) {
        table::skipped(what, &error.whole());
        return Ok(false);
    }
    if let Err(error) = peers() {
        table::skipped(what, &error.to_string());
        return Ok(false);
    }
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let mitigations =
        ["spectre_v2", "retbleed"].map(|name| read(&format!("/sys/devices/system/cpu/vulnerabilities/{name}")));
    println!(
        "kernel {}; bpf_stats_enabled: {}; mitigations: {}; load average: {}",
        read("/proc/sys/kernel/osrelease"),
        read("/proc/sys/kernel/bpf_stats_enabled"),
        mitigations.join("; "),
        read("/proc/loadavg"),
    );
    Ok(true)
}

/// The programs for the benches, which are built beside the daemon's with its feature `peers`.
pub(crate) fn peers() -> Outcome<Vec<u8>> {
    let file = std::env::current_exe()?;
    let folder =
        file.ancestors().find(|folder| folder.join("bpf").is_dir()).ok_or("the kernel programs are not built")?;
    Ok(fs::read(folder.join("bpf/bpfel-unknown-none/release/peers"))?)
}

/// What the kernel knows of a program of which there is but a file descriptor.
pub(crate) fn program(program: BorrowedFd<'_>) -> Outcome<ProgramInfo> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd()))?;
    let id = text.lines().find_map(|line| line.strip_prefix("prog_id:")).ok_or("it is no program")?.trim();
    let id = id.parse::<u32>()?;
    let mut all = aya::programs::loaded_programs().filter_map(Result::ok);
    Ok(all.find(|info| info.id() == id).ok_or("the program is gone")?)
}

/// How long a program has run in all, in nanoseconds, and how often: while [`statistics`] are kept.
pub(crate) fn ran(program: BorrowedFd<'_>) -> Outcome<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd()))?;
    let number = |name: &str| -> Outcome<u64> {
        let number = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("this kernel keeps no statistics")?;
        Ok(number.trim().parse()?)
    };
    Ok((number("run_time_ns:")?, number("run_cnt:")?))
}

/// Has the kernel keep statistics of programs until what it gives is dropped, whatever `bpf_stats_enabled` says.
pub(crate) fn statistics() -> io::Result<OwnedFd> {
    // The kind: run times.
    descriptor(ENABLE_STATS, &mut 0_u32)
}

/// Attaches a program to the interface with this index until what it gives is dropped.
pub(crate) fn attach(program: BorrowedFd<'_>, interface: u32) -> io::Result<OwnedFd> {
    descriptor(LINK_CREATE, &mut [program.as_raw_fd().cast_unsigned(), interface, XDP, 0])
}

/// Puts keys with counters of zero into a map at once.
pub(crate) fn fill(map: &Map, keys: &[u8], many: u32) -> Outcome<()> {
    #[repr(C)]
    struct Batch {
        tokens: [u64; 2],
        keys: u64,
        values: u64,
        count: u32,
        map: i32,
        flags: [u64; 2],
    }
    let (Map::HashMap(map) | Map::LpmTrie(map)) = map else { return Err("it is another map".into()) };
    let values = vec![0_u64; many as usize];
    let (keys, values) = (keys.as_ptr() as u64, values.as_ptr() as u64);
    let map = map.fd().as_fd().as_raw_fd();
    let mut batch = Batch { tokens: [0; 2], keys, values, count: many, map, flags: [0; 2] };
    call(UPDATE_BATCH, &mut batch)?;
    if batch.count == many { Ok(()) } else { Err("the map is full".into()) }
}

/// An array of the kernel, of so many words, in this process's memory for as long as it lives.
pub(crate) fn mapped(map: &Map, words: usize) -> Outcome<&'static [AtomicU64]> {
    let Map::Array(map) = map else { return Err("it is another map".into()) };
    let map = map.fd().as_fd().as_raw_fd();
    // SAFETY: a new mapping, wherever the kernel likes.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), 8 * words, libc::PROT_READ, libc::MAP_SHARED, map, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error().into());
    }
    // SAFETY: the mapping holds this many words, nobody takes it away, and they are only read.
    Ok(unsafe { std::slice::from_raw_parts(start.cast(), words) })
}

fn descriptor<T>(command: libc::c_long, attributes: &mut T) -> io::Result<OwnedFd> {
    let descriptor = call(command, attributes)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(descriptor).map_err(io::Error::other)?) })
}

fn call<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the attributes are plain numbers, as many as said; addresses among them are of what outlives the call.
    let returned = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}
