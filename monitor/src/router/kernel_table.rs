//! Routes in a private kernel table, over rtnetlink: BIRD learns the table, and its filter turns the metric into an action.

/// A kernel table as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// The table's number, none of the kernel's own (253 to 255).
    pub table: u32,
}
