//! What `check` says of a syslog.

use super::{line, print_tls};
use crate::channel::syslog::{Address, Config, FACILITIES, Format, SEVERITIES};
use crate::config::units::show_duration;
use std::io::{self, Write};

pub(super) fn print(syslog: &Config, out: &mut impl Write) -> io::Result<()> {
    line(out, "sends to", &syslog.address.to_string())?;
    let name = |severity: u8| SEVERITIES.get(usize::from(severity)).copied().unwrap_or_default();
    let facility = FACILITIES.iter().find(|(_, number)| *number == syslog.facility).map_or("", |(name, _)| name);
    let (met, cleared) = (name(syslog.severity), name(syslog.severity_cleared));
    let format = match syslog.format {
        Format::Rfc5424 => "RFC 5424",
        Format::Cef => "CEF",
    };
    line(out, "writes", &format!("{format}, facility {facility}: {met} when met, {cleared} when cleared"))?;
    if let Address::Tls(_, tls) = &syslog.address {
        print_tls(tls, out)?;
    }
    line(out, "tries", &format!("{} at a time", show_duration(syslog.timeout)))
}
