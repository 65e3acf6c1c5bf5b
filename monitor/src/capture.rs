//! Captures: where samples come from. One file each; what they share is how a frame becomes counts.

pub mod attribution;
pub mod batch;
mod bypass;
pub mod collector;
pub mod drops;
pub mod file;
#[cfg(test)]
mod frames;
mod interface;
pub mod kernel;
mod learner;
mod lines;
mod link;
mod netlink;
pub mod running;
pub mod socket;
pub mod tally;

/// What a capture says of one interface or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The interface.
    pub interface: String,
    /// `xdp`, `tcx`, `clsact` or `socket`.
    pub kind: &'static str,
    /// Frames that reached the capture.
    pub frames: u64,
    /// Frames that were lost before it could read them.
    pub dropped: u64,
    /// Why nothing can be seen; `None` while it counts.
    pub blind: Option<String>,
}
