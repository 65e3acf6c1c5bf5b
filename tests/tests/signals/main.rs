//! Signals against real receivers: none is lost, whoever is killed, and whatever becomes of the disk.

mod clock;
mod cost;
mod disk;
mod dots;
mod kills;
mod kinds;
mod programs;
mod signatures;
mod syslog;
mod trial;

use tests::receivers;
