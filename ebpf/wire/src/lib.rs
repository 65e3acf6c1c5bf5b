//! One frame in, what to count out.
//!
//! The same code runs in XDP, in TC and over a slice: everything is generic over [`Frame`], nothing allocates, nothing
//! panics, and a frame that cannot be read is a reason ([`Skip`]), not an error. Which direction a message went, when
//! it was, and what its counts mean are decided elsewhere.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod count;
pub mod dns;
pub mod frame;
pub mod name;
pub mod packet;
pub mod prefix;
pub mod read;
pub mod zones;

pub use count::{Counters, Direction, Field, Node, Skip};
pub use dns::Message;
pub use frame::{Frame, Slice};
pub use name::{Key, Name};
pub use packet::{Family, Link, Packet, Plain, Ports, Transport};
pub use read::{Each, read};
