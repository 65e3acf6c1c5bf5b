//! The command line of oopsd.
fn main() {}
