//! Captures: where samples come from. One file each; what they share is how a frame becomes counts.

pub mod attribution;
pub mod batch;
pub mod collector;
pub mod file;
#[cfg(test)]
mod frames;
mod learner;
mod lines;
mod link;
pub mod socket;
pub mod tally;

/// What a capture says of one interface or file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The interface.
    pub interface: String,
    /// `socket`, later also `xdp`, `tcx` and `clsact`.
    pub kind: &'static str,
    /// Frames that reached the capture.
    pub frames: u64,
    /// Frames that were lost before it could read them.
    pub dropped: u64,
    /// Why nothing can be seen; `None` while it counts.
    pub blind: Option<String>,
}
