//! Signals by HTTPS POST, with Standard Webhooks headers where there is a secret.
//!
//! 2xx is yes; 410 disables the channel; everything else, redirects and the other 4xx included, is a failure that is tried
//! again. What the body is, is `payload`'s.

pub(crate) mod alertmanager;
mod ecs;
mod flat;
mod ocsf;
pub mod payload;
mod splunk;
pub(crate) mod template;
#[cfg(test)]
mod tests;
pub(crate) mod token;

pub use payload::{Payload, Severity};

use super::delivery::Answer;
use super::letter::Letter;
use super::retry::retry_after;
use super::secret::{self, Secret, signatures};
use super::{Error, Sender, tls};
use crate::config::Finding;
use alertmanager::Alertmanager;
use engine::Signal;
use jiff::Timestamp;
use payload::Format;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use std::path::{Path, PathBuf};
use std::time::Duration;
use template::{Template, Wrong};
use token::Token;
use tokio::time::Instant;

/// A webhook as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to POST; `https`, or `http` to a loopback address.
    pub url: String,
    /// What the body is.
    pub payload: Payload,
    /// How much it matters, for payloads that say so.
    pub severity: Severity,
    /// Files with one `whsec_` secret each, the newest first; the body is signed with every one.
    pub secret_files: Vec<PathBuf>,
    /// A file with the token of the header `Authorization`, if there is one.
    pub token_file: Option<PathBuf>,
    /// Whom to trust, and who we are.
    pub tls: tls::Config,
    /// How long one attempt may take.
    pub timeout: Duration,
}

const CONNECT: Duration = Duration::from_secs(5);

/// As much of an answer as is read, to say why it is no.
const ANSWER: usize = 4 << 10;

/// A webhook that can be posted to.
#[derive(Debug)]
pub(super) struct Settings {
    client: Client,
    url: Url,
    format: Format,
    secrets: Vec<Secret>,
    token: Option<Token>,
}

impl Settings {
    /// Reads the secrets and authorities that `config` names.
    pub(super) fn load(name: &str, config: &Config) -> Result<Self, Error> {
        let channel = || name.to_owned();
        let read = |path: &Path| {
            secret::read(path).map_err(|source| Error::Read { channel: channel(), path: path.to_owned(), source })
        };
        let client_error = |source: reqwest::Error| Error::Client { channel: channel(), source: source.without_url() };

        let url = Url::parse(&config.url).ok().filter(is_safe).ok_or_else(|| Error::Url { channel: channel() })?;
        // Whatever else is configured of TLS is in these: reqwest adds nothing to them.
        let mut tls = match url.scheme() {
            "http" => tls::no_client(),
            _ => tls::client(&config.tls).map_err(|why| Error::Tls { channel: channel(), why })?,
        };
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("oopsd/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(config.timeout);
        let mut secrets = Vec::with_capacity(config.secret_files.len());
        for path in &config.secret_files {
            let secret = Secret::parse(&read(path)?);
            secrets.push(secret.ok_or_else(|| Error::Secret { channel: channel(), path: path.clone() })?);
        }
        let mut token = None;
        if let Some(path) = &config.token_file {
            let parsed = Token::parse(&read(path)?, scheme(&config.payload));
            token = Some(parsed.ok_or_else(|| Error::Token { channel: channel(), path: path.clone() })?);
        }
        let format = match &config.payload {
            Payload::CloudEvents => Format::CloudEvents,
            Payload::Alertmanager { repeat, generator } => {
                Format::Alertmanager(Alertmanager::new(*repeat, generator.clone(), config.severity))
            }
            Payload::SplunkHec => Format::SplunkHec,
            Payload::Ecs => Format::Ecs(config.severity),
            Payload::Ocsf => Format::Ocsf(config.severity),
            Payload::Template(path) => {
                let text = read(path)?;
                let wrong = |Wrong { at, what }| Finding::at(path.clone(), &text, at, what);
                let template =
                    Template::parse(&text).map_err(|why| Error::Template { channel: channel(), why: wrong(why) });
                Format::Template(template?, config.severity)
            }
        };
        Ok(Self { client: client.build().map_err(client_error)?, url, format, secrets, token })
    }

    /// Goes on as `before` was.
    pub(super) fn begin(&mut self, before: Option<&Self>, sender: &Sender) {
        if let Format::Alertmanager(alertmanager) = &mut self.format {
            let before = before
                .and_then(|before| if let Format::Alertmanager(before) = &before.format { Some(before) } else { None });
            alertmanager.begin(before, &sender.boot);
        }
    }

    /// Remembers how things are now, if it is told again.
    pub(super) fn note(&self, signal: &Signal) {
        if let Format::Alertmanager(alertmanager) = &self.format {
            alertmanager.note(signal);
        }
    }

    /// Who it is, without the path of the URL: there may be a secret in it.
    fn peer(&self) -> String {
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.url.host_str().unwrap_or_default())
    }

    async fn post(&self, id: &str, body: String) -> Answer {
        let timestamp = Timestamp::now().as_second();
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, self.format.content_type())
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp);
        if !self.secrets.is_empty() {
            request = request.header("webhook-signature", signatures(&self.secrets, id, timestamp, &body));
        }
        if let Some(Token(value)) = &self.token {
            request = request.header(AUTHORIZATION, value.clone());
        }
        match request.body(body).send().await {
            Ok(response) => self.judge(response).await,
            Err(error) => {
                let error = error.without_url();
                Answer::no(format!("{}: {}", self.peer(), tls::reason(&error).unwrap_or_else(|| chain(&error))))
            }
        }
    }

    async fn judge(&self, mut response: Response) -> Answer {
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut answer = answer(response.status(), header.as_deref(), Timestamp::now());
        // Only of those who say something that is known is more read than the head.
        let complaint =
            if self.format.complains() { self.format.complaint(&beginning(&mut response).await) } else { None };
        if let Some(complaint) = complaint {
            let complaint: String = complaint.chars().filter(|c| !c.is_control()).take(200).collect();
            match &mut answer {
                Answer::No { why, .. } => *why = format!("{why}: {complaint}"),
                Answer::Yes => answer = Answer::no(complaint),
                Answer::Gone => {}
            }
        }
        answer
    }
}

impl Settings {
    /// Gives it one signal.
    pub(super) async fn attempt(&self, letter: &Letter) -> Answer {
        let answer = self.post(&letter.id(), self.format.body(letter)).await;
        if let Format::Alertmanager(alertmanager) = &self.format
            && answer == Answer::Yes
        {
            alertmanager.accepted(letter);
        }
        answer
    }

    /// When it wants to be told again how things are.
    pub(super) fn again(&self) -> Option<Instant> {
        if let Format::Alertmanager(alertmanager) = &self.format { alertmanager.again() } else { None }
    }

    /// Tells it how things are.
    pub(super) async fn remind(&self) -> Answer {
        let Format::Alertmanager(alertmanager) = &self.format else { return Answer::Yes };
        for (id, body) in alertmanager.all() {
            let answer = self.post(&id, body).await;
            if answer != Answer::Yes {
                return answer;
            }
        }
        Answer::Yes
    }
}

/// The scheme of a token that brings none.
pub(crate) const fn scheme(payload: &Payload) -> &'static str {
    if matches!(payload, Payload::SplunkHec) { "Splunk" } else { "Bearer" }
}

/// As text; the rest, and whatever goes wrong with it, is left.
async fn beginning(response: &mut Response) -> String {
    let mut read = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        read.extend_from_slice(&chunk[..chunk.len().min(ANSWER - read.len())]);
        if read.len() == ANSWER {
            break;
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

/// What a status means (Standard Webhooks, "Delivery").
fn answer(status: StatusCode, header: Option<&str>, now: Timestamp) -> Answer {
    match status.as_u16() {
        200..=299 => Answer::Yes,
        410 => Answer::Gone,
        code => Answer::No {
            why: status.to_string(),
            retry_after: header.and_then(|value| retry_after(value, now)),
            overloaded: matches!(code, 429 | 502..=504),
        },
    }
}

/// Whether what is posted there cannot be read on the way.
fn is_safe(url: &Url) -> bool {
    let is_loopback = || match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        None => false,
    };
    url.scheme() == "https" || url.scheme() == "http" && is_loopback()
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line.push_str(": ");
        line.push_str(&error.to_string());
        source = error.source();
    }
    line
}
