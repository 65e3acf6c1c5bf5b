//! Writes what a package ships beside the binary: `manual man FOLDER` and `manual completions FOLDER`.
//!
//! An example, so that neither the binary nor xtask carries it. What can be configured is said by the example configuration.

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use oopsd::cli::Cli;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [what, folder] = arguments.as_slice() else { return Err(io::Error::other("manual man|completions FOLDER")) };
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    match what.as_str() {
        "man" => man(folder),
        "completions" => completions(folder),
        _ => Err(io::Error::other("manual man|completions FOLDER")),
    }
}

const CONFIGURATION: &str = "\
.TH oopsd.toml 5 \"\" oopsd oopsd
.SH NAME
oopsd.toml \\- configuration of oopsd
.SH SYNOPSIS
/etc/oopsd/oopsd.toml
.SH DESCRIPTION
TOML; a key that is not known is an error. SIGHUP reloads, and a file with an error changes nothing. Without a [[route]] oopsd
changes nothing on the machine. The defaults stand as comments:
.PP
.nf
{example}.fi
.SH MEMORY IN THE KERNEL
For Z zones and C possible CPUs, with z = Z + max(Z / 4, 1000) and s = z + 65, counters take, in bytes,
.PP
.nf
2 * (128 * b + C * (256 + 64 * s + 512 * (65 + min(z, 16384)) + 8 * l))
.fi
.PP
where b = z / 4 and l = min(2 * s, 65536), both rounded up to powers of two. \\fBoopsd check\\fR prints it for this machine. Over
\\fBkernel\\-memory\\fR packet sockets count instead.
.SH PINS
With \\fBpin\\fR programs, links and counters stay in \\fBpin\\-path\\fR when oopsd ends, go on counting, and are taken over by the next one without
being attached anew. A start or a reload with pin = false removes them, and so does rm \\-r of the folder.
.SH SEE ALSO
\\fBoopsd\\fR(8), \\fBoopsd\\-check\\fR(8), \\fBbird\\fR(8), RFC 8914, draft\\-grubto\\-dnsop\\-dns\\-out\\-of\\-protocol\\-signalling
";

/// One page for oopsd and one for each subcommand, section 8; and the configuration's, section 5.
fn man(folder: &Path) -> io::Result<()> {
    let mut oopsd = Cli::command();
    oopsd.build();
    page(&oopsd, folder)?;
    for subcommand in oopsd.get_subcommands() {
        page(subcommand, folder)?;
    }
    let example = include_str!("../../oopsd.example.toml").replace('\\', "\\e").replace('-', "\\-");
    fs::write(folder.join("oopsd.toml.5"), CONFIGURATION.replace("{example}", &example))
}

fn page(command: &Command, folder: &Path) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command.clone().version(env!("CARGO_PKG_VERSION")));
    page.title(name).section("8").manual("oopsd").render(&mut text)?;
    text.extend_from_slice(b".SH \"SEE ALSO\"\n\\fBoopsd\\fR(8), \\fBoopsd.toml\\fR(5), \\fBbird\\fR(8)\n");
    fs::write(folder.join(format!("{name}.8")), text)
}

fn completions(folder: &Path) -> io::Result<()> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "oopsd", folder)?;
    }
    Ok(())
}
