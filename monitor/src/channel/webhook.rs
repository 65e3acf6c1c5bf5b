//! Signals by HTTPS POST: CloudEvents 1.0 (structured JSON) with Standard Webhooks headers.
//!
//! One signal at a time and in order. 2xx is yes; 410 disables the channel; everything else, redirects and the other 4xx
//! included, is a failure that is tried again until the signal is as old as `give_up`.

use super::cloud_event::cloud_event;
use super::outbox::{Letter, Outbox};
use super::retry::{Pace, retry_after};
use super::secret::{Secret, signatures};
use super::{Error, Sender};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Certificate, Client, StatusCode, Url, redirect};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A webhook as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// Where to POST; `https`, or `http` to a loopback address.
    pub url: String,
    /// Files with one `whsec_` secret each, the newest first; the body is signed with every one.
    pub secret_files: Vec<PathBuf>,
    /// A PEM file with the authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// How many signals may wait.
    pub queue: usize,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long a signal is tried for, from its tick on.
    pub give_up: Duration,
}

const CONNECT: Duration = Duration::from_secs(5);

/// A webhook that can be posted to.
#[derive(Debug)]
pub(super) struct Settings {
    client: Client,
    url: Url,
    secrets: Vec<Secret>,
    give_up: Duration,
    sender: Arc<Sender>,
}

impl Settings {
    /// Reads the secrets and authorities that `config` names.
    pub(super) fn load(config: &Config, sender: &Arc<Sender>) -> Result<Self, Error> {
        super::install_tls();
        let channel = || config.name.clone();
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| Error::Read { channel: channel(), path: path.to_owned(), source })
        };
        let client_error = |source: reqwest::Error| Error::Client { channel: channel(), source: source.without_url() };

        let url = Url::parse(&config.url).ok().filter(is_safe).ok_or_else(|| Error::Url { channel: channel() })?;
        let mut client = Client::builder()
            .user_agent(concat!("oopsd/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(config.timeout);
        if let Some(path) = &config.ca_file {
            client = client.tls_certs_only(Certificate::from_pem_bundle(&read(path)?).map_err(client_error)?);
        } else if url.scheme() == "http" {
            // The system's authorities are not needed, and need not exist.
            client = client.tls_certs_only([]);
        }
        let mut secrets = Vec::with_capacity(config.secret_files.len());
        for path in &config.secret_files {
            let secret = std::str::from_utf8(&read(path)?).ok().and_then(Secret::parse);
            secrets.push(secret.ok_or_else(|| Error::Secret { channel: channel(), path: path.clone() })?);
        }
        Ok(Self {
            client: client.build().map_err(client_error)?,
            url,
            secrets,
            give_up: config.give_up,
            sender: Arc::clone(sender),
        })
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
            Err(error) => Answer::No { why: chain(&error.without_url()), retry_after: None, overloaded: false },
        }
    }
}

/// Where signals go; a reload replaces it under the worker.
#[derive(Debug)]
pub(super) struct Target(Mutex<Arc<Settings>>);

impl Target {
    pub(super) fn new(settings: Settings) -> Self {
        Self(Mutex::new(Arc::new(settings)))
    }

    pub(super) fn replace(&self, settings: Settings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    /// 410: never again.
    Gone,
    No {
        why: String,
        retry_after: Option<Duration>,
        overloaded: bool,
    },
}

/// One attempt at a time; a test answers by itself.
pub(super) trait Post {
    fn give_up(&self) -> Duration;
    fn attempt(&self, letter: &Letter) -> impl Future<Output = Answer> + Send;
}

impl Post for Target {
    fn give_up(&self) -> Duration {
        self.settings().give_up
    }

    async fn attempt(&self, letter: &Letter) -> Answer {
        let settings = self.settings();
        let (id, body) = cloud_event(&letter.signal, &settings.sender);
        settings.post(&id, &body).await
    }
}

/// Posts what comes out of `outbox` until that is closed and empty.
pub(super) async fn run(outbox: &Outbox, target: &impl Post) {
    let mut pace = Pace::new();
    let mut failing = false;
    while let Some(letter) = outbox.next().await {
        loop {
            let expires = Instant::from_std(letter.crossed) + target.give_up();
            tokio::select! {
                () = tokio::time::sleep_until(pace.not_before.min(expires)) => {}
                () = outbox.closed() => {}
            }
            if Instant::now() >= expires {
                tracing::warn!(channel = outbox.name(), seq = letter.signal.seq, "gives a signal up");
                outbox.failed();
                break;
            }
            match target.attempt(&letter).await {
                Answer::Yes => {
                    outbox.accepted(&letter, Instant::now().into_std());
                    pace = Pace::new();
                    if std::mem::take(&mut failing) {
                        tracing::info!(channel = outbox.name(), "accepted again");
                    }
                    break;
                }
                Answer::Gone => {
                    tracing::error!(
                        channel = outbox.name(),
                        "the receiver is gone (410): disabled until the next reload"
                    );
                    outbox.attempt_failed();
                    outbox.disable();
                    break;
                }
                Answer::No { why, retry_after, overloaded } => {
                    outbox.attempt_failed();
                    let delay = pace.failed(retry_after, overloaded);
                    if std::mem::replace(&mut failing, true) {
                        tracing::debug!(channel = outbox.name(), seq = letter.signal.seq, why, ?delay, "not accepted");
                    } else {
                        tracing::warn!(channel = outbox.name(), seq = letter.signal.seq, why, ?delay, "not accepted");
                    }
                }
            }
            if outbox.is_closing() {
                outbox.failed();
                break;
            }
        }
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
    use crate::channel::outbox::tests::letter;
    use std::collections::VecDeque;

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

    #[tokio::test(start_paused = true)]
    async fn a_signal_is_sent_again_until_it_is_accepted_and_the_next_waits_for_it() {
        let peer = Peer::new([no(None), no(None), Answer::Yes]);
        let outbox = posted(&peer, 2).await;
        assert_eq!(peer.seen(), [1, 1, 1, 2]);
        assert_eq!((outbox.status().sent, outbox.status().failed_attempts, outbox.status().failed), (2, 2, 0));
        let waited = Duration::from_nanos(outbox.status().delay.max());
        assert!(waited >= Duration::from_millis(1_500), "0.5 s and then 1 s at least, not {waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_holds_for_the_next_signal_too() {
        let peer = Peer::new([no(Some(50)), no(Some(50)), no(Some(50)), Answer::Yes]);
        let start = Instant::now();
        let outbox = posted(&peer, 2).await;
        // The first is given up after 120 s; the wait that its last answer asked for is kept.
        assert_eq!(peer.seen(), [1, 1, 1]);
        assert_eq!((outbox.status().sent, outbox.status().failed), (0, 2));
        assert!(start.elapsed() >= Duration::from_secs(120));
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_is_given_up_when_it_is_too_old() {
        let peer = Peer::new(std::iter::repeat_n(no(None), 100));
        let start = Instant::now();
        let outbox = posted(&peer, 1).await;
        assert_eq!((outbox.status().sent, outbox.status().failed), (0, 1));
        assert!((Duration::from_secs(120)..Duration::from_secs(121)).contains(&start.elapsed()));
        let attempts = outbox.status().failed_attempts;
        assert!((6..12).contains(&attempts), "{attempts} attempts in two minutes");
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_is_gone_gets_nothing_more() {
        let peer = Peer::new([Answer::Gone]);
        let outbox = posted(&peer, 3).await;
        assert_eq!(peer.seen(), [1]);
        assert!(outbox.status().disabled);
        assert_eq!((outbox.status().failed, outbox.status().dropped, outbox.status().waiting), (1, 2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_ends_the_waits_with_one_attempt_more() {
        let peer = Peer::new([no(Some(3_000)), Answer::Yes]);
        let outbox = Outbox::new("siem", 9);
        outbox.push(letter(1));
        let start = Instant::now();
        tokio::join!(run(&outbox, &peer), async {
            while peer.seen().is_empty() {
                tokio::task::yield_now().await;
            }
            outbox.close();
        });
        assert_eq!((peer.seen(), outbox.status().sent), (vec![1, 1], 1));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    /// What became of the signals 1 to `signals` at `peer`, once none is waiting.
    async fn posted(peer: &Peer, signals: u64) -> Outbox {
        let outbox = Outbox::new("siem", 9);
        for seq in 1..=signals {
            outbox.push(letter(seq));
        }
        tokio::select! {
            () = run(&outbox, peer) => {}
            () = async {
                while outbox.status().waiting > 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            } => {}
        }
        outbox
    }

    /// Answers as told, then always yes.
    struct Peer {
        answers: Mutex<VecDeque<Answer>>,
        seen: Mutex<Vec<u64>>,
    }

    impl Peer {
        fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
            Self { answers: Mutex::new(answers.into_iter().collect()), seen: Mutex::default() }
        }

        fn seen(&self) -> Vec<u64> {
            self.seen.lock().unwrap().clone()
        }
    }

    impl Post for Peer {
        fn give_up(&self) -> Duration {
            Duration::from_secs(120)
        }

        async fn attempt(&self, letter: &Letter) -> Answer {
            self.seen.lock().unwrap().push(letter.signal.seq);
            self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Yes)
        }
    }

    fn no(seconds: Option<u64>) -> Answer {
        Answer::No { why: "500".into(), retry_after: seconds.map(Duration::from_secs), overloaded: false }
    }
}
