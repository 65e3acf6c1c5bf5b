//! DNS NOTIFY with TSIG, to knotd and to nsd, which say whether they take it.

use anyhow::{Context, Result, ensure};
use std::fs;
use tempfile::TempDir;
use tests::daemon::{NL_BUSY, Oopsd, Orders, SOON};
use tests::lab::{ready, until};
use tests::servers::Program;
use tests::site::Site;

/// Where both servers listen on the host.
const SERVER: &str = "127.0.0.1@5353";

const SECRET: &str = "b29wc2Qgbm90aWZpZXMgYW5kIHRoaXMgaXMgdGhlIGtleQ==";
const OTHER: &str = "YW5vdGhlciBzZWNyZXQgYW5kIG5vdCB0aGUgb25lIHRoZXJl";

const CHANNEL: &str = r#"
[[channel]]
type = "notify"
server = "127.0.0.1:5353"
key-file = "notify.key"
timeout = "2s"
"#;

#[test]
fn knot_takes_a_signed_notify_of_each_edge() -> Result<()> {
    let Some(lab) = Lab::new("knotd")? else { return Ok(()) };
    let server = lab.knotd(SECRET)?;
    let key = format!("key \"oopsd.\" {{\n  algorithm hmac-sha256;\n  secret \"{SECRET}\";\n}};\n");
    let oopsd = lab.crossed(&key)?;
    oopsd.shows("oopsd_signals_total{channel=\"notify\",outcome=\"sent\"}", 2)?;
    let said = server.said();
    let took: Vec<&str> = said.lines().filter(|line| line.contains("allowed, action notify")).collect();
    println!("{}", took.join("\n"));
    ensure!(
        took.len() == 2 && took.iter().all(|line| line.contains("[nl.]") && line.contains("key 'oopsd.'")),
        "{said}"
    );
    Ok(())
}

#[test]
fn nsd_takes_a_signed_notify() -> Result<()> {
    let Some(lab) = Lab::new("nsd")? else { return Ok(()) };
    let server = lab.nsd(SECRET)?;
    let oopsd = lab.crossed(&format!("hmac-sha256:oopsd:{SECRET}\n"))?;
    oopsd.shows("oopsd_signals_total{channel=\"notify\",outcome=\"sent\"}", 2)?;
    let said =
        until("a notify", SOON, || Some(server.said()).filter(|said| said.contains("notify for nl. from 127.0.0.1")))
            .with_context(|| server.said())?;
    println!("{}", said.lines().find(|line| line.contains("notify for")).unwrap_or_default());
    Ok(())
}

#[test]
fn a_key_with_another_secret_and_one_of_another_name_are_refused_and_said() -> Result<()> {
    let Some(lab) = Lab::new("knotd")? else { return Ok(()) };
    let _server = lab.knotd(SECRET)?;
    for (key, why) in [
        (format!("hmac-sha256:oopsd:{OTHER}"), "nl. to 127.0.0.1:5353: its key oopsd has another secret (BADSIG)"),
        (
            format!("hmac-sha256:nobody:{SECRET}"),
            "nl. to 127.0.0.1:5353: it knows no key nobody with hmac-sha256 (BADKEY)",
        ),
    ] {
        let oopsd = lab.crossed(&key)?;
        let said = until("a refusal", SOON, || Some(oopsd.stderr()).filter(|said| said.contains("not accepted")))?;
        println!("{}", said.lines().find(|line| line.contains("not accepted")).unwrap_or_default());
        ensure!(said.contains(why), "{said}");
        ensure!(!said.contains(OTHER) && !said.contains(SECRET), "{said}");
    }
    Ok(())
}

#[test]
fn a_server_that_is_down_is_told_when_it_is_back() -> Result<()> {
    let Some(lab) = Lab::new("knotd")? else { return Ok(()) };
    let key = format!("key:\n  - id: oopsd\n    algorithm: hmac-sha256\n    secret: {SECRET}\n");
    let oopsd = lab.crossed(&key)?;
    until("a failure", SOON, || oopsd.stderr().contains("not accepted").then_some(()))?;
    let _server = lab.knotd(SECRET)?;
    oopsd.shows("oopsd_signals_total{channel=\"notify\",outcome=\"sent\"}", 2)
}

struct Lab {
    site: Site,
    folder: TempDir,
}

impl Lab {
    fn new(program: &str) -> Result<Option<Self>> {
        if !ready(&["ip", program]) {
            return Ok(None);
        }
        let Some(site) = Site::new()? else { return Ok(None) };
        Ok(Some(Self { site, folder: tempfile::tempdir()? }))
    }

    /// oopsd with this key, after the condition was met and cleared again.
    fn crossed(&self, key: &str) -> Result<Oopsd> {
        let files = &[("notify.key", key)];
        let mut oopsd = Oopsd::start(
            &self.site.host,
            &Orders { config: &(NL_BUSY.to_owned() + CHANNEL), files, ..Orders::default() },
        )?;
        oopsd.ready()?;
        let load = self.site.queries(2_000)?;
        oopsd.signal(1)?;
        drop(load);
        oopsd.signal(2)?;
        Ok(oopsd)
    }

    /// A secondary for nl. that takes a NOTIFY signed with the key `oopsd` and this secret.
    fn knotd(&self, secret: &str) -> Result<Program> {
        let here = self.folder.path().display();
        let text = format!(
            "server:\n    rundir: \"{here}\"\n    listen: {SERVER}\ndatabase:\n    storage: \"{here}\"\nlog:\n  - target: stdout\n    any: debug\n\
             key:\n  - id: oopsd\n    algorithm: hmac-sha256\n    secret: {secret}\n\
             remote:\n  - id: primary\n    address: 127.0.0.1@5354\n\
             acl:\n  - id: oopsd\n    key: oopsd\n    action: notify\n\
             zone:\n  - domain: nl.\n    master: primary\n    acl: oopsd\n"
        );
        let file = self.folder.path().join("knot.conf");
        fs::write(&file, text)?;
        self.begun(Program::start(
            self.site.host.command("knotd").arg("-c").arg(file),
            &self.folder.path().join("log"),
        )?)
    }

    /// As [`Lab::knotd`], of another kind.
    fn nsd(&self, secret: &str) -> Result<Program> {
        let here = self.folder.path().display();
        let text = format!(
            "server:\n  username: \"\"\n  chroot: \"\"\n  zonesdir: \"{here}\"\n  database: \"\"\n  pidfile: \"{here}/nsd.pid\"\n  \
             xfrdfile: \"{here}/xfrd\"\n  xfrdir: \"{here}\"\n  zonelistfile: \"{here}/list\"\n  server-count: 1\n  verbosity: 3\n  \
             ip-address: {SERVER}\nremote-control:\n  control-enable: no\n\
             key:\n  name: oopsd\n  algorithm: hmac-sha256\n  secret: \"{secret}\"\n\
             zone:\n  name: nl.\n  zonefile: nl\n  allow-notify: 127.0.0.1 oopsd\n  request-xfr: AXFR 127.0.0.1@5354 oopsd\n"
        );
        let file = self.folder.path().join("nsd.conf");
        fs::write(&file, text)?;
        self.begun(Program::start(
            self.site.host.command("nsd").arg("-d").arg("-c").arg(file),
            &self.folder.path().join("log"),
        )?)
    }

    /// The server once it listens.
    fn begun(&self, server: Program) -> Result<Program> {
        // It is no zone of its yet: any answer will do.
        let question = ["@127.0.0.1", "-p", "5353", "nl.", "SOA", "+time=1", "+retry=0"];
        let mut kdig =
            || self.site.host.command("kdig").args(question).output().ok().filter(|output| output.status.success());
        until("an answer", SOON, &mut kdig).with_context(|| server.said())?;
        Ok(server)
    }
}
