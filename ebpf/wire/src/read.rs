//! A whole frame: every message in it, or why there is none.

use crate::{Frame, Key, Link, Message, Packet, Ports, Skip};

/// Reads one frame and gives `each` every DNS message in it, in order, or the reasons for what could not be read.
///
/// `each` runs at least once: a frame without a message is one `Skip`, with no packet if the headers were not read that far.
#[inline(always)]
pub fn read<F: Frame>(
    frame: &F,
    link: Link,
    ports: Ports,
    key: &Key,
    each: &mut impl FnMut(Result<(&Packet, &Message), Skip>),
) {
    let _ = (frame, link, ports, key, each);
    todo!()
}
