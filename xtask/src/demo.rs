//! Shows oopsd to a person: a real name server, real BIRDs, real queries, and a line for each thing that happens.
//!
//! Fails unless all of it happened. The network and its removal are in `demo/lab.rs`, what is watched is in `demo/watch.rs`.

mod lab;
mod receiver;
mod story;
mod watch;

pub(crate) use receiver::receive;

use crate::command::{cargo, output, run, succeeds};
use crate::setup::{Purpose, is_root, setup};
use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::Lab;
use std::env;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use story::Story;
use watch::{Bird, What};

/// How long may take what takes a second or two, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(40);

/// Builds oopsd, and shows it as root.
pub(crate) fn demo() -> Result<()> {
    setup(&[Purpose::Demo])?;
    println!("demo: building oopsd");
    run(&mut cargo(&["build", "--quiet", "--release", "--locked", "--package", "oopsd"]))?;
    let oopsd = Path::new("target/release/oopsd");
    if is_root()? {
        return show(oopsd);
    }
    let xtask = env::current_exe().context("xtask does not know where it is")?;
    if !succeeds(Command::new("sudo").args(["-n", "true"])) {
        bail!(
            "the demo makes network namespaces, and sudo would ask. Type, as root:\n\n    {} show\n",
            xtask.display()
        );
    }
    // In this one's place, so that Ctrl-C does not give the terminal back before everything is removed.
    let error = Command::new("sudo").arg("-n").arg(xtask).arg("show").exec();
    Err(error).context("cannot start sudo")
}

/// Shows it: the lab, the load, the verdict; and removes the lab.
pub(crate) fn show(oopsd: &Path) -> Result<()> {
    let mut lab = Lab::new()?;
    let told = tell(&mut lab, oopsd);
    lab.close()?;
    told?;
    println!("\nAll of it happened; nothing is left behind.");
    Ok(())
}

fn tell(lab: &mut Lab, oopsd: &Path) -> Result<()> {
    let folder = lab.folder().display().to_string();
    let oopsd = oopsd.canonicalize().with_context(|| format!("{} is not built", oopsd.display()))?;
    let config = write_files(lab, &oopsd)?;
    lab.start("host", "knotd", &format!("knotd -c {folder}/knot.conf"))?;
    lab.start("host", "bird-host", &format!("bird -f -c {folder}/host.bird.conf -s {folder}/host.ctl"))?;
    lab.start(
        "upstream",
        "bird-upstream",
        &format!("bird -f -c {folder}/upstream.bird.conf -s {folder}/upstream.ctl"),
    )?;
    lab.wait("answer from knotd", PATIENCE, || {
        succeeds(Command::new("knotc").args(["-c", &format!("{folder}/knot.conf"), "status"]))
    })?;
    let upstream = Path::new(&folder).join("upstream.ctl");
    lab.wait("answer from the upstream's BIRD", PATIENCE, || Bird::connect(&upstream).is_ok())?;

    let (to, seen) = mpsc::channel();
    let xtask = env::current_exe().context("xtask does not know where it is")?;
    let receiver = format!("{} receive 127.0.0.1:8053 {folder}/webhook.secret", xtask.display());
    let mut receiver = lab.spawn("host", "receiver", &receiver, Stdio::piped())?;
    watch::lines(&mut receiver, &to, What::Webhook)?;
    lab.keep(receiver);
    watch::path(upstream, "192.0.2.0/24", to.clone());

    let mut story = Story::new(lab, seen);
    story.until("route at the upstream", PATIENCE, Story::is_plain)?;
    story.until("webhook receiver", PATIENCE, Story::can_receive)?;
    let oopsd = format!("{} run -c {} --interval 1s --json", oopsd.display(), config.display());
    let mut oopsd = story.lab.spawn("host", "oopsd", &oopsd, Stdio::piped())?;
    watch::lines(&mut oopsd, &to, What::Oopsd)?;
    story.lab.keep(oopsd);
    story.tell()
}

/// Writes what the programs read; the path of oopsd's configuration.
fn write_files(lab: &Lab, oopsd: &Path) -> Result<PathBuf> {
    lab.write("knot.conf", include_str!("demo/knot.conf"))?;
    for zone in ["nl", "example.org"] {
        lab.write(&format!("{zone}.zone"), &format!("$ORIGIN {zone}.\n{}", include_str!("demo/zone")))?;
    }
    lab.write("nl.queries", "www.nl A\nns.nl A\nnl SOA\nno-such-name.nl A\n")?;
    lab.write("elsewhere.queries", "www.example.net A\nexample.net SOA\n")?;
    lab.write("upstream.bird.conf", include_str!("demo/upstream.bird.conf"))?;
    lab.write("host.bird.conf", include_str!("demo/host.bird.conf"))?;
    let mut secret = [0; 32];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut secret)).context("no random bytes")?;
    lab.write("webhook.secret", &format!("whsec_{}", STANDARD.encode(secret)))?;
    let config = lab.write("oopsd.toml", include_str!("demo/oopsd.toml"))?;
    let checked = output(Command::new(oopsd).arg("check").arg("-c").arg(&config))?;
    let from = checked.find("    define OOPSD_AS").context("`oopsd check` prints nothing for bird.conf")?;
    let fragment = checked[from..].lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    lab.write("oopsd.bird.conf", &fragment.collect::<Vec<_>>().join("\n"))?;
    Ok(config)
}
