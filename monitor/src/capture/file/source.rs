//! A capture file opened for libpcap so that it reads fast: in large pieces, and without a lock around each small one.

use pcap::{Capture, Offline, Precision};
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr::NonNull;

/// So much is read from the kernel at once; two pieces of it make a frame.
const BUFFER: usize = 256 << 10;

/// FSETLOCKING_BYCALLER of stdio_ext.h: whoever has the file sees to it that no two threads use it at once.
const BY_CALLER: c_int = 2;

/// As long as libpcap's errors are at most (PCAP_ERRBUF_SIZE).
const SAID: usize = 256;

unsafe extern "C" {
    fn pcap_fopen_offline_with_tstamp_precision(
        file: *mut libc::FILE,
        precision: c_uint,
        said: *mut c_char,
    ) -> *mut c_void;
    fn __fsetlocking(file: *mut libc::FILE, kind: c_int) -> c_int;
}

/// A capture that is read from a file.
pub(super) struct Source {
    /// Goes first: it closes the file, whose buffer the other one is.
    pub(super) capture: Capture<Offline>,
    _buffer: Vec<u8>,
}

impl Source {
    /// Opens a file, or standard input if it is `-`; times are nanoseconds.
    ///
    /// # Errors
    /// What the system or libpcap says.
    pub(super) fn open(path: &Path) -> Result<Self, pcap::Error> {
        if path == Path::new("-") {
            let capture = Capture::from_file_with_precision(path, Precision::Nano)?;
            return Ok(Self { capture, _buffer: Vec::new() });
        }
        let said = |error: io::Error| pcap::Error::PcapError(error.to_string());
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| said(error.into()))?;
        // SAFETY: both are C strings.
        let file = unsafe { libc::fopen(name.as_ptr(), c"re".as_ptr()) };
        if file.is_null() {
            return Err(said(io::Error::last_os_error()));
        }
        let mut buffer = vec![0; BUFFER];
        // SAFETY: the file was just opened. The buffer is not moved, nor used otherwise, and is freed after the file is closed.
        unsafe { libc::setvbuf(file, buffer.as_mut_ptr().cast(), libc::_IOFBF, buffer.len()) };
        // SAFETY: a Capture can be used by one thread at a time only, and nobody else has the file.
        unsafe { __fsetlocking(file, BY_CALLER) };
        let mut errors = [0; SAID];
        // SAFETY: the file is open, and the errors have the length that libpcap asks for.
        let handle =
            unsafe { pcap_fopen_offline_with_tstamp_precision(file, Precision::Nano as c_uint, errors.as_mut_ptr()) };
        if let Some(handle) = NonNull::new(handle) {
            return Ok(Self { capture: Capture::from(handle.cast()), _buffer: buffer });
        }
        // SAFETY: libpcap leaves the file open when it fails.
        unsafe { libc::fclose(file) };
        // SAFETY: libpcap has ended the text with a zero.
        let text = unsafe { CStr::from_ptr(errors.as_ptr()) };
        Err(pcap::Error::PcapError(text.to_string_lossy().into_owned()))
    }
}
