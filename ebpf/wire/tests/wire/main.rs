//! The crate as its callers see it: frames in, messages or reasons out. What parses a frame independently is elsewhere.
#![expect(clippy::unwrap_used, reason = "what is built here is whole, or the test fails")]

mod build;
mod corpus;
mod frames;
mod messages;
mod properties;
mod segments;
mod shapes;
mod zones;
