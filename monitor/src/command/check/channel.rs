//! What `oopsd check` prints of a channel. Nothing of a secret.

mod syslog;

use super::line;
use crate::channel::dbus::NAME;
use crate::channel::mqtt::{self, Broker};
use crate::channel::webhook::Payload;
use crate::channel::{Config, Deliver, To, Waits, tls};
use crate::config::units::{show_duration, show_size};
use reqwest::Url;
use std::io::{self, Write};

pub(super) fn print(channel: &Config, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nchannel {}", channel.name)?;
    match &channel.to {
        To::Exec(exec) => {
            line(
                out,
                "starts",
                &format!(
                    "{}, for {} at most",
                    exec.command.first().map_or("", |program| program),
                    show_duration(exec.timeout)
                ),
            )?;
        }
        To::Log(log) => {
            let to = log.file.as_ref().map_or_else(|| String::from("standard output"), |f| f.display().to_string());
            line(out, "writes", &format!("JSON lines to {to}"))?;
        }
        To::Webhook(webhook) => {
            line(out, "posts to", &public(&webhook.url))?;
            line(out, "says", payload(&webhook.payload))?;
            line(out, "signs", &format!("secrets: {}", webhook.secret_files.len()))?;
            if let Some(file) = &webhook.token_file {
                line(out, "is known", &format!("by the token in {}", file.display()))?;
            }
            print_tls(&webhook.tls, out)?;
            line(out, "tries", &format!("{} at a time", show_duration(webhook.timeout)))?;
        }
        To::Dbus(dbus) => {
            let bus = dbus.address.as_deref().unwrap_or("the system bus");
            line(out, "speaks on", &format!("{bus}, as {NAME}"))?;
        }
        To::Notify(notify) => {
            line(out, "notifies", &notify.server.to_string())?;
            let signs = notify.key_file.as_ref().map(|file| format!("by the key in {}", file.display()));
            line(out, "signs", signs.as_deref().unwrap_or("not"))?;
            line(out, "tries", &format!("{} at a time", show_duration(notify.timeout)))?;
        }
        To::Syslog(config) => syslog::print(config, out)?,
        #[cfg(feature = "dots")]
        To::Dots(dots) => {
            line(out, "asks", &format!("{} while {} is met", dots.server, dots.condition))?;
            line(
                out,
                "as",
                &format!("{} by the key in {}; its cuid is {}", dots.identity, dots.key_file.display(), dots.cuid()),
            )?;
            let prefixes: Vec<String> = dots.prefixes.iter().map(ToString::to_string).collect();
            line(out, "protects", &format!("{}, {} at a time", prefixes.join(", "), show_duration(dots.lifetime)))?;
            line(out, "tries", &format!("{} at a time", show_duration(dots.timeout)))?;
        }
        To::Mqtt(mqtt) => print_mqtt(mqtt, out)?,
    }
    let Waits { deliver, count, bytes, age } = channel.waits;
    let what = match deliver {
        Deliver::Every => "every signal",
        Deliver::Latest => "the latest of each condition",
    };
    let (size, age) = (show_size(bytes as u64), show_duration(age));
    line(out, "keeps", &format!("{what}, {age} long; {count} or {size} of them"))
}

const fn payload(payload: &Payload) -> &'static str {
    match payload {
        Payload::CloudEvents => "CloudEvents 1.0",
        Payload::Alertmanager { .. } => "what Alertmanager's API takes",
        Payload::SplunkHec => "what Splunk's HTTP Event Collector takes",
        Payload::Ecs => "documents of the Elastic Common Schema",
        Payload::Ocsf => "Detection Findings of OCSF",
        Payload::Template(_) => "what the template says",
    }
}

fn print_tls(tls: &tls::Config, out: &mut impl Write) -> io::Result<()> {
    let trusts = tls.ca_file.as_ref().map(|file| file.display().to_string());
    line(out, "trusts", trusts.as_deref().unwrap_or("the system's authorities"))?;
    let Some(identity) = &tls.identity else { return Ok(()) };
    line(out, "shows", &format!("the certificate in {}", identity.certificate_file.display()))
}

fn print_mqtt(mqtt: &mqtt::Config, out: &mut impl Write) -> io::Result<()> {
    let Broker { host, port, tls } = &mqtt.broker;
    let how = if tls.is_some() { "in TLS" } else { "without TLS" };
    line(out, "publishes", &format!("under {} at {host} port {port}, {how}", mqtt.topic))?;
    if let Some(tls) = tls {
        print_tls(tls, out)?;
    }
    if let Some(user) = &mqtt.user {
        let by = mqtt.password_file.as_ref().map(|file| format!(" by the password in {}", file.display()));
        line(out, "as", &format!("{user}{}", by.unwrap_or_default()))?;
    }
    let (lost, silent) = (mqtt.will_delay, mqtt.will_delay + mqtt.keep_alive * 3 / 2);
    let (lost, silent) = (show_duration(lost), show_duration(silent));
    line(out, "is gone", &format!("{lost} after a lost connection, {silent} after its last word"))?;
    line(out, "tries", &format!("{} at a time", show_duration(mqtt.timeout)))
}

/// Where a URL leads, without what may be a secret in its path or query.
fn public(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return String::new() };
    let origin = url.origin().ascii_serialization();
    if url.path() == "/" && url.query().is_none() { origin } else { format!("{origin}/...") }
}
