//! What is wrong with a channel that cannot work as configured.

use super::{notify, tls};
use crate::config::Finding;
use std::path::PathBuf;

/// A channel that cannot work as configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log file cannot be opened for appending.
    #[error("channel {channel}: cannot append to {}", path.display())]
    Log {
        /// The channel.
        channel: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What should be started cannot be.
    #[error("channel {channel}: {program} is no program that can be run")]
    Program {
        /// The channel.
        channel: String,
        /// The program.
        program: String,
    },
    /// A file of secrets or authorities cannot be read.
    #[error("channel {channel}: cannot read {}", path.display())]
    Read {
        /// The channel.
        channel: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A secret file holds something else.
    #[error("channel {channel}: {} does not hold \"whsec_\" and the base64 of 24 to 64 bytes", path.display())]
    Secret {
        /// The channel.
        channel: String,
        /// The file.
        path: PathBuf,
    },
    /// A token file holds something else.
    #[error("channel {channel}: {} does not hold one token, or a scheme and a token", path.display())]
    Token {
        /// The channel.
        channel: String,
        /// The file.
        path: PathBuf,
    },
    /// A template is none.
    #[error("channel {channel}: {why}")]
    Template {
        /// The channel.
        channel: String,
        /// What is wrong, and where.
        why: Finding,
    },
    /// A key file holds something else.
    #[error("channel {channel}: {}: {why}", path.display())]
    Key {
        /// The channel.
        channel: String,
        /// The file.
        path: PathBuf,
        /// What is wrong, without what the file holds.
        why: notify::BadKey,
    },
    /// A file of TLS cannot be used.
    #[error("channel {channel}: {why}")]
    Tls {
        /// The channel.
        channel: String,
        /// Which file, and what is wrong with it.
        why: tls::Unusable,
    },
    /// The system gives no HTTP client.
    #[error("channel {channel}: no HTTPS client for it")]
    Client {
        /// The channel.
        channel: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The URL is neither `https` nor `http` to a loopback address.
    #[error("channel {channel}: the URL must begin with https:// (http:// only to a loopback address)")]
    Url {
        /// The channel.
        channel: String,
    },
    /// A file that a broker asks for cannot be used.
    #[error("channel {channel}: {why}")]
    Mqtt {
        /// The channel.
        channel: String,
        /// Which file, and what is wrong, without what it holds.
        why: String,
    },
    /// The system gives no thread.
    #[error("channel {channel}: cannot start a thread")]
    Thread {
        /// The channel.
        channel: String,
        /// Why.
        source: std::io::Error,
    },
}
