//! What the tests that cross a process, a namespace or a kernel stand on.

pub mod lab;
