//! Brokers that ask who comes, and take less than they could: what oopsd and `oopsd channel test` say of them.

use anyhow::{Context, Result, ensure};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tests::channels::Home;
use tests::daemon::SOON;
use tests::lab::{Namespace, oopsd, program, ready, run, until};
use tests::mosquitto::{Place, TLS_PORT};
use tests::servers::Program;

const PASSWORD: &str = "correct horse battery staple";

#[test]
fn who_may_write_what_is_the_brokers_and_its_no_is_said() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let _broker = lab.asking("topic write oopsd/v1/+/signal\ntopic read #\n")?;
    let config = "type = \"mqtt\"\nbroker = \"mqtt://127.0.0.1\"\nuser = \"oopsd\"\npassword-file = \"password\"\n";
    let listener = lab.place.listen("counter", &["oopsd/v1/+/signal"])?;
    lab.accepted(config)?;
    listener.hears("a test", |heard| (heard.first()?.payload["condition"] == "test").then_some(()))?;
    lab.refused(&config.replace("\"oopsd\"", "\"nobody\""), "(not authorized): are user and password right?")?;
    lab.refused("type = \"mqtt\"\nbroker = \"mqtt://127.0.0.1\"\n", "not authorized")?;
    lab.refused(&format!("{config}topic = \"elsewhere\"\n"), "does not let this user write there (not authorized)")?;
    lab.refused("type = \"mqtt\"\nbroker = \"mqtt://127.0.0.1:1\"\n", "Connection refused")?;
    fs::write(lab.folder.path().join("password"), "wrong\n")?;
    lab.refused(config, "(not authorized): are user and password right?")?;
    Ok(())
}

#[test]
fn a_signal_that_may_not_be_written_waits_until_it_may() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let broker = lab.asking("topic write other/#\ntopic read #\n")?;
    let config =
        "[[channel]]\ntype = \"mqtt\"\nbroker = \"mqtt://127.0.0.1\"\nuser = \"oopsd\"\npassword-file = \"password\"\n";
    let home = Home::new(config, &[("password", PASSWORD)])?;
    let mut channels = home.start_by(&mut lab.host.command(program("channels")?.to_str().context("UTF-8")?))?;
    channels.send(1, 2)?;
    ensure!(channels.kept() == Some(2), "{}", home.stderr());
    let said = || Some(home.stderr()).filter(|said| said.contains("(not authorized)") && said.contains("not accepted"));
    until("a refusal", SOON, said).with_context(|| home.stderr())?;
    ensure!(channels.status("mqtt")?["waiting"] == 2, "{}", home.stderr());
    ensure!(home.stderr().contains("not kept by the broker"), "{}", home.stderr());
    ensure!(!home.stderr().contains(PASSWORD), "{}", home.stderr());
    lab.allow("topic write oopsd/#\ntopic read #\n")?;
    let listener = lab.place.listen("counter", &["oopsd/v1/+/signal"])?;
    broker.signal(libc::SIGHUP);
    until("both are sent", SOON, || (channels.status("mqtt").ok()?["waiting"] == 0).then_some(()))
        .with_context(|| home.stderr())?;
    let heard = listener.hears("two signals", |heard| (heard.len() >= 2).then(|| heard.to_vec()))?;
    ensure!(heard[0].payload["condition"] == "1" && heard[1].payload["condition"] == "2", "{heard:?}");
    Ok(())
}

#[test]
fn both_sides_show_certificates_and_a_wrong_one_is_said() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let at = |name: &str| lab.folder.path().join(name).display().to_string();
    let ours = authority("ours")?;
    let others = authority("of others")?;
    for (name, authority) in [("ca.pem", &ours), ("other-ca.pem", &others)] {
        fs::write(at(name), authority.pem())?;
    }
    for (name, subject, authority) in
        [("broker", "127.0.0.1", &ours), ("client", "oopsd", &ours), ("stranger", "oopsd", &others)]
    {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![subject.to_owned()])?;
        params.distinguished_name.push(rcgen::DnType::CommonName, subject);
        fs::write(at(&format!("{name}.pem")), params.signed_by(&key, authority)?.pem())?;
        fs::write(at(&format!("{name}.key")), key.serialize_pem())?;
    }
    lab.place.configure(&format!(
        "allow_anonymous true\nlistener {TLS_PORT} 127.0.0.1\ncafile {}\ncertfile {}\nkeyfile {}\n\
         require_certificate true\nuse_identity_as_username true\n",
        at("ca.pem"),
        at("broker.pem"),
        at("broker.key")
    ))?;
    let _broker = lab.place.start()?;
    let listener = lab.place.listen("counter", &["oopsd/v1/+/signal"])?;
    let with = |ca: &str, identity: &str| {
        let who = match identity {
            "" => String::new(),
            name => format!("certificate-file = \"{name}.pem\"\nkey-file = \"{name}.key\"\n"),
        };
        format!("type = \"mqtt\"\nbroker = \"mqtts://127.0.0.1\"\nca-file = \"{ca}\"\n{who}")
    };
    lab.accepted(&with("ca.pem", "client"))?;
    listener.hears("a test", |heard| (heard.first()?.payload["condition"] == "test").then_some(()))?;
    lab.refused(&with("other-ca.pem", "client"), "not of an authority that is trusted here")?;
    // mosquitto hangs up without an alert as often as with one.
    lab.refused(&with("ca.pem", ""), "")?;
    lab.refused(&with("ca.pem", "stranger"), "")?;
    ensure!(listener.heard().len() == 1, "{:?}", listener.heard());
    Ok(())
}

#[test]
fn a_broker_that_takes_one_at_a_time_and_small_packets_gets_what_fits() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    lab.place.configure("allow_anonymous true\nmax_inflight_messages 1\nmax_packet_size 520\nmax_keepalive 10\n")?;
    let broker = lab.place.start()?;
    let listener = lab.place.listen("counter", &["oopsd/v1/+/signal"])?;
    let config = "[[channel]]\ntype = \"mqtt\"\nbroker = \"mqtt://127.0.0.1\"\ntimeout = \"3s\"\nkeep-alive = \"1m\"\n";
    let home = Home::new(config, &[])?;
    let mut channels = home.start_by(&mut lab.host.command(program("channels")?.to_str().context("UTF-8")?))?;
    channels.send(1, 50)?;
    let heard = listener.hears("all signals", |heard| (heard.len() == 50).then(|| heard.to_vec()));
    let heard = heard.with_context(|| home.stderr()).with_context(|| broker.said())?;
    for (heard, number) in heard.iter().zip(1..) {
        ensure!(heard.payload["condition"] == format!("{number}"), "{heard:?}");
    }
    // Nothing is to be said for longer than the broker is patient, which is less than we asked for.
    until("a ping", 3 * SOON, || broker.said().contains("Received PINGREQ").then_some(()))
        .with_context(|| broker.said())?;
    lab.place.configure("allow_anonymous true\nmax_packet_size 250\n")?;
    drop((listener, broker));
    let _broker = lab.place.start()?;
    channels.send(51, 51)?;
    let said = "the broker takes packets of 250 bytes at most";
    until(said, SOON, || home.stderr().contains(said).then_some(())).with_context(|| home.stderr())?;
    Ok(())
}

struct Lab {
    folder: TempDir,
    host: Arc<Namespace>,
    place: Place,
}

impl Lab {
    fn new() -> Result<Option<Self>> {
        if !ready(&["ip", "mosquitto", "mosquitto_sub", "mosquitto_passwd"]) {
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let host = Arc::new(Namespace::new("mqtt")?);
        let place = Place::new(&host, folder.path(), "allow_anonymous true")?.with_login("oopsd", PASSWORD);
        Ok(Some(Self { folder, host, place }))
    }

    /// A broker that knows oopsd by a password, and lets it do this.
    fn asking(&self, lines: &str) -> Result<Program> {
        let at = |name: &str| self.folder.path().join(name);
        fs::write(at("password"), format!("{PASSWORD}\n"))?;
        let mut known = std::process::Command::new("mosquitto_passwd");
        run(known.args(["-c", "-b"]).arg(at("known")).args(["oopsd", PASSWORD]))?;
        self.allow(lines)?;
        let (known, allowed) = (at("known"), at("allowed"));
        self.place.configure(&format!(
            "allow_anonymous false\npassword_file {}\nacl_file {}\n",
            known.display(),
            allowed.display()
        ))?;
        self.place.start()
    }

    fn allow(&self, lines: &str) -> Result<()> {
        Ok(fs::write(self.folder.path().join("allowed"), format!("user oopsd\n{lines}"))?)
    }

    fn accepted(&self, channel: &str) -> Result<()> {
        let (well, said) = self.tested(channel)?;
        ensure!(well && said.starts_with("mqtt: accepted after "), "{said}");
        Ok(())
    }

    fn refused(&self, channel: &str, why: &str) -> Result<()> {
        let (well, said) = self.tested(channel)?;
        ensure!(!well && said.contains("not accepted") && said.contains(why), "not {why}: {said}");
        ensure!(!said.contains(PASSWORD), "{said}");
        Ok(())
    }

    /// What `oopsd channel test` says of it.
    fn tested(&self, channel: &str) -> Result<(bool, String)> {
        let file = self.folder.path().join("oopsd.toml");
        fs::write(&file, format!("[[channel]]\n{channel}timeout = \"2s\"\n"))?;
        let oopsd: &Path = &oopsd()?;
        let mut command = self.host.command(oopsd.to_str().context("UTF-8")?);
        let output = command.args(["channel", "test", "mqtt", "-c"]).arg(&file).output()?;
        Ok((output.status.success(), String::from_utf8([output.stdout, output.stderr].concat())?))
    }
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}
