//! What `oopsd check` prints of a router, with what its daemon needs.

use super::line;
use crate::router::announcement::Plain;
use crate::router::{Config, bird, kernel_table};
use engine::Route;
use std::io::{self, Write};

pub(super) fn print(router: &Config, routes: &[Route], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\nrouter {}", router.name())?;
    let text = match router {
        Config::KernelTable(table) => {
            line(out, "writes", &format!("kernel table {}; bird.conf needs:", table.table))?;
            kernel_table::bird_fragment(table, routes)
        }
        Config::Bird(bird) => {
            line(out, "asks", &format!("BIRD on {}", bird.socket.display()))?;
            line(out, "writes", &format!("{}; bird.conf needs:", bird.include.display()))?;
            bird::bird_fragment(bird, routes)
        }
        Config::Gobgp(gobgp) => {
            line(out, "speaks", &format!("to GoBGP on {}", gobgp.address))?;
            return line(out, "plain", &plain(&gobgp.plain));
        }
        Config::Exabgp(exabgp) => {
            let (pipes, dialect) = (exabgp.pipes.display(), exabgp.dialect.number());
            line(out, "speaks", &format!("to ExaBGP by {pipes}.in and .out, in dialect {dialect}"))?;
            return line(out, "plain", &plain(&exabgp.plain));
        }
    };
    writeln!(out)?;
    for text in text.lines() {
        if text.is_empty() { writeln!(out)? } else { writeln!(out, "    {text}")? }
    }
    Ok(())
}

/// What a router announces without oopsd, as far as oopsd changes it.
fn plain(plain: &Plain) -> String {
    let med = plain.med.map_or_else(|| String::from("no med"), |med| format!("med {med}"));
    let communities: Vec<String> = plain.communities.iter().map(|(of, value)| format!("{of}:{value}")).collect();
    let communities = if communities.is_empty() { String::from("none") } else { communities.join(", ") };
    format!("{med}; communities: {communities}; all the rest is left as it is")
}
