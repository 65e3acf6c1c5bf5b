//! What a webhook's body is: one format for each kind of receiver, or the operator's own.
//!
//! All of them are JSON, and all text goes into them through serde_json or `template`, which escape it.

use super::alertmanager::{self, Alertmanager};
use super::template::Template;
use super::{ecs, ocsf, splunk};
use crate::channel::cloud_event::cloud_event;
use crate::channel::letter::Letter;
use std::path::PathBuf;
use std::time::Duration;

/// The format, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// CloudEvents 1.0, structured mode.
    #[default]
    CloudEvents,
    /// Alertmanager's API, version 2.
    Alertmanager {
        /// How often it is told again what is met.
        repeat: Duration,
        /// Where people look next.
        generator: Option<String>,
    },
    /// Splunk's HTTP Event Collector.
    SplunkHec,
    /// Elastic Common Schema.
    Ecs,
    /// Open Cybersecurity Schema Framework: a Detection Finding.
    Ocsf,
    /// The operator's own: a file.
    Template(PathBuf),
}

/// How much a met condition matters, in the words that receivers have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// To be known.
    Info,
    /// To be looked at.
    #[default]
    Warning,
    /// Now.
    Critical,
}

impl Severity {
    /// The words of the configuration.
    pub const WORDS: [&'static str; 3] = ["critical", "info", "warning"];

    /// Of one of [`Severity::WORDS`].
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "critical" => Self::Critical,
            "info" => Self::Info,
            _ => Self::Warning,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// The format, with all it needs.
#[derive(Debug)]
pub(in super::super) enum Format {
    CloudEvents,
    Alertmanager(Alertmanager),
    SplunkHec,
    Ecs(Severity),
    Ocsf(Severity),
    Template(Template, Severity),
}

impl Format {
    /// The body of a signal.
    pub(in super::super) fn body(&self, letter: &Letter) -> String {
        match self {
            Self::CloudEvents => cloud_event(letter),
            Self::Alertmanager(alertmanager) => alertmanager.body(letter),
            Self::SplunkHec => splunk::body(letter),
            Self::Ecs(severity) => ecs::body(letter, *severity),
            Self::Ocsf(severity) => ocsf::body(letter, *severity),
            Self::Template(template, severity) => template.body(letter, *severity),
        }
    }

    pub(super) const fn content_type(&self) -> &'static str {
        match self {
            Self::CloudEvents => "application/cloudevents+json; charset=UTF-8",
            Self::Alertmanager(_) | Self::SplunkHec | Self::Ecs(_) | Self::Ocsf(_) | Self::Template(..) => {
                "application/json"
            }
        }
    }

    /// Whether the receiver says why not in a way that is known.
    pub(super) const fn complains(&self) -> bool {
        matches!(self, Self::SplunkHec | Self::Alertmanager(_))
    }

    /// What the receiver says of why not, if it is known how it says that.
    pub(super) fn complaint(&self, body: &str) -> Option<String> {
        match self {
            Self::SplunkHec => splunk::complaint(body),
            Self::Alertmanager(_) => alertmanager::complaint(body),
            Self::CloudEvents | Self::Ecs(_) | Self::Ocsf(_) | Self::Template(..) => None,
        }
    }
}
