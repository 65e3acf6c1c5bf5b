//! What oopsd answers over HTTP, and waiting for it to say something there.

use super::{Oopsd, SOON};
use crate::lab::until;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

impl Oopsd {
    /// What `path` answers with, as a status.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self, path: &str) -> Result<u16> {
        let (head, _) = self.get(path)?;
        Ok(head.split(' ').nth(1).context("no status")?.parse()?)
    }

    /// Its metrics now.
    ///
    /// # Errors
    /// When it does not answer, or with anything but 200.
    pub fn metrics(&self) -> Result<Metrics> {
        let (head, text) = self.get("/metrics")?;
        if !head.starts_with("HTTP/1.1 200 ") {
            bail!("/metrics: {head}");
        }
        Ok(Metrics(text))
    }

    /// Waits until a series has this value; an absent one has none.
    ///
    /// # Errors
    /// With all series of its family as they are, if it does not come to that.
    pub fn shows(&self, series: &str, value: u64) -> Result<()> {
        let family = series.split('{').next().unwrap_or(series);
        let value = value.to_string();
        until(&format!("{series} {value}"), SOON, || {
            (self.metrics().ok()?.series().get(series)? == &value).then_some(())
        })
        .with_context(|| self.metrics().map(|metrics| metrics.family(family)).unwrap_or_default())
        .with_context(|| self.stderr())
    }

    /// Waits until a route is `wanted` or `seen` so on the router `bird`.
    ///
    /// # Errors
    /// With what it is instead, if it does not come to that.
    pub fn shows_route(&self, what: &str, prefix: &str, action: &str) -> Result<()> {
        self.shows(&format!("oopsd_route_{what}{{prefix=\"{prefix}\",router=\"bird\",action=\"{action}\"}}"), 1)
    }

    /// Waits until each of these families of totals sums to `value`.
    ///
    /// # Errors
    /// With the sums, if it does not come to that.
    pub fn sums(&self, families: &[&str], value: u64) -> Result<()> {
        let sums = || {
            let metrics = self.metrics().ok()?;
            Some(families.iter().map(|family| metrics.sum(family)).collect::<Vec<_>>())
        };
        until("all that was sent", SOON, || sums()?.iter().all(|&sum| sum == value).then_some(()))
            .with_context(|| format!("{families:?} should be {value} and are {:?}; {}", sums(), self.stderr()))
    }

    /// Waits until what was counted and what the capture lost is `sent`.
    ///
    /// # Errors
    /// With the metrics, if it does not come to that.
    pub fn comes_to(&self, sent: u64) -> Result<()> {
        let accounted = || {
            let metrics = self.metrics().ok()?;
            Some(metrics.sum("oopsd_queries_total") + metrics.sum("oopsd_capture_dropped_total"))
        };
        until("all is counted or said to be lost", SOON, || (accounted()? == sent).then_some(()))
            .with_context(|| format!("{sent} sent; {}", self.metrics().map(|metrics| metrics.0).unwrap_or_default()))
    }

    fn get(&self, path: &str) -> Result<(String, String)> {
        let mut stream = self.namespace.inside(|| Ok(TcpStream::connect(self.metrics)?))?;
        stream.set_read_timeout(Some(SOON))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: oopsd\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
        Ok((head.to_owned(), body.to_owned()))
    }
}

/// The text of `/metrics`.
#[derive(Clone, Debug)]
pub struct Metrics(pub String);

impl Metrics {
    /// Every series with its value as printed.
    #[must_use]
    pub fn series(&self) -> BTreeMap<&str, &str> {
        self.0.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' ')).collect()
    }

    /// The sum over all series of a family of totals.
    #[must_use]
    pub fn sum(&self, family: &str) -> u64 {
        let of_family = |series: &str| series.split('{').next() == Some(family);
        self.series()
            .iter()
            .filter(|(series, _)| of_family(series))
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .sum()
    }

    /// The lines of a family, for people.
    #[must_use]
    pub fn family(&self, family: &str) -> String {
        self.0.lines().filter(|line| line.starts_with(family)).collect::<Vec<_>>().join("\n")
    }
}
