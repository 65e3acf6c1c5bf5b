//! Signals by HTTPS POST: CloudEvents 1.0 (structured JSON) with Standard Webhooks headers.
//!
//! 2xx is yes; 410 disables the channel; everything else, redirects and the other 4xx included, is a failure that is tried
//! again.

use super::Error;
use super::cloud_event::cloud_event;
use super::delivery::{Answer, Peer};
use super::letter::Letter;
use super::retry::retry_after;
use super::secret::{self, Secret, signatures};
use super::tls;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url, redirect};
use std::path::PathBuf;
use std::time::Duration;

/// A webhook as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to POST; `https`, or `http` to a loopback address.
    pub url: String,
    /// Files with one `whsec_` secret each, the newest first; the body is signed with every one.
    pub secret_files: Vec<PathBuf>,
    /// Whom to trust, and who we are.
    pub tls: tls::Config,
    /// How long one attempt may take.
    pub timeout: Duration,
}

const CONNECT: Duration = Duration::from_secs(5);

/// A webhook that can be posted to.
#[derive(Debug)]
pub(super) struct Settings {
    client: Client,
    url: Url,
    secrets: Vec<Secret>,
}

impl Settings {
    /// Reads the secrets and authorities that `config` names.
    pub(super) fn load(name: &str, config: &Config) -> Result<Self, Error> {
        let channel = || name.to_owned();
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
            let text =
                secret::read(path).map_err(|source| Error::Read { channel: channel(), path: path.clone(), source })?;
            secrets.push(Secret::parse(&text).ok_or_else(|| Error::Secret { channel: channel(), path: path.clone() })?);
        }
        Ok(Self { client: client.build().map_err(client_error)?, url, secrets })
    }

    /// Who it is, without the path of the URL: there may be a secret in it.
    fn peer(&self) -> String {
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{}:{port}", self.url.host_str().unwrap_or_default())
    }

    async fn post(&self, id: &str, body: &str) -> Answer {
        let timestamp = Timestamp::now().as_second();
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/cloudevents+json; charset=UTF-8")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .body(body.to_owned());
        if !self.secrets.is_empty() {
            request = request.header("webhook-signature", signatures(&self.secrets, id, timestamp, body));
        }
        match request.send().await {
            // The body of the response says nothing that matters here: it is not read.
            Ok(response) => answer(
                response.status(),
                response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()),
                Timestamp::now(),
            ),
            Err(error) => {
                let error = error.without_url();
                Answer::no(format!("{}: {}", self.peer(), tls::reason(&error).unwrap_or_else(|| chain(&error))))
            }
        }
    }
}

impl Peer for Settings {
    async fn attempt(&self, letter: &Letter) -> Answer {
        self.post(&letter.id(), &cloud_event(letter)).await
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_2xx_is_yes_and_only_410_is_for_good() {
        let now = Timestamp::UNIX_EPOCH;
        let of = |code| answer(StatusCode::from_u16(code).unwrap(), Some("3"), now);
        assert_eq!([200, 202, 204].map(of), [Answer::Yes, Answer::Yes, Answer::Yes]);
        assert_eq!(of(410), Answer::Gone);
        let slowed = |code| match of(code) {
            Answer::No { retry_after, overloaded, .. } => (retry_after, overloaded),
            Answer::Yes | Answer::Gone => panic!("{code}"),
        };
        let three = Some(Duration::from_secs(3));
        assert_eq!([301, 302, 307, 400, 401, 404, 413, 500].map(slowed), [(three, false); 8]);
        assert_eq!([429, 502, 503, 504].map(slowed), [(three, true); 4]);
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        let safe = |url: &str| is_safe(&Url::parse(url).unwrap());
        for url in ["https://siem.example.net/dns", "http://127.0.0.1:8080/", "http://[::1]/", "http://localhost/x"] {
            assert!(safe(url), "{url}");
        }
        for url in ["http://siem.example.net/", "http://192.0.2.1/", "ftp://127.0.0.1/", "http://127.0.0.1.nip.io/"] {
            assert!(!safe(url), "{url}");
        }
    }
}
