//! Secrets are in their files and nowhere else: not in what oopsd says, answers, keeps or leaves behind.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use tests::daemon::{NL_BUSY, Oopsd, Orders, SOON};
use tests::lab::{Namespace, Running, oopsd, ready, run, until};
use tests::site::Site;

/// What no one else may see, as files hold it; of some, the bytes that it stands for.
const WEBHOOK: &str = "d2ViaG9vayBzZWNyZXQgb2YgdGhlIHRlc3QgMDAwMQ==";
const NOTIFY: &str = "bm90aWZ5IHNlY3JldCBvZiB0aGUgdGVzdCAwMDAyISE=";
const MEANT: [&str; 2] = ["webhook secret of the test 0001", "notify secret of the test 0002!!"];
/// In the path of a URL there may be one too, and in the text of a template.
const TOKEN: &str = "T0KENINTHEPATH";
const TEMPLATE: &str = "R0UTINGKEYOFTHETEMPLATE";
/// A password is no base64.
const PASSWORD: &str = "open sesame of the test 0003";
/// Nor is a key that both sides of DOTS have.
const SHARED: &str = "shared key of the test 0004";
/// What a header shows.
const SPLUNK: &str = "5b1ac0de-50f7-4a11-9e70-00000000c0de";
/// A certificate and its key, which differ in each run.
static IDENTITY: LazyLock<[String; 2]> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let [certificate, key] = ["certificate", "key"].map(|name| folder.path().join(name));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        "/CN=ns1",
    ]);
    run(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate)).expect("openssl");
    [certificate, key].map(|file| fs::read_to_string(file).expect("written"))
});

/// Every channel that has secrets, and nobody there who takes anything; but for DOTS, whose key is used only with somebody.
const CHANNELS: &str = r#"
[[channel]]
type = "webhook"
url = "http://127.0.0.1:8053/T0KENINTHEPATH?key=T0KENINTHEPATH"
secret-file = ["webhook.secret", "webhook.secret"]
[[channel]]
type = "webhook"
name = "splunk"
url = "https://127.0.0.1:8054/services/collector/event"
payload = "splunk-hec"
token-file = "splunk.token"
ca-file = "oopsd.pem"
certificate-file = "oopsd.pem"
key-file = "oopsd.key"
[[channel]]
type = "webhook"
name = "pager"
url = "http://127.0.0.1:8053/"
payload = "template"
template-file = "pager.json"
[[channel]]
type = "notify"
server = "127.0.0.1:5353"
key-file = "notify.key"
[[channel]]
type = "mqtt"
broker = "mqtt://127.0.0.1"
user = "oopsd"
password-file = "mqtt.password"
[[channel]]
type = "dbus"
address = "unix:path=/nonexistent/bus"
[[channel]]
type = "syslog"
address = "tls://127.0.0.1"
ca-file = "oopsd.pem"
certificate-file = "oopsd.pem"
key-file = "oopsd.key"
[[channel]]
type = "dots"
server = "127.0.0.1"
identity = "ams1"
key-file = "dots.key"
condition = "nl-busy"
prefixes = ["192.0.2.0/24"]
"#;

fn config() -> String {
    NL_BUSY.to_owned() + CHANNELS
}

#[test]
fn no_secret_is_in_what_oopsd_says_answers_or_keeps() -> Result<()> {
    let Some((site, mut oopsd)) = watched(&config())? else { return Ok(()) };
    if !ready(&["coap-server-openssl"]) {
        return Ok(());
    }
    let mut server = site.host.command("coap-server-openssl");
    server.args(["-A", "127.0.0.1", "-p", "4645", "-d", "9", "-k", SHARED]).stdin(Stdio::null());
    let _server = Running::start(server.stdout(Stdio::null()).stderr(Stdio::null()))?;
    let load = site.queries(2_000)?;
    oopsd.signal(1)?;
    drop(load);
    oopsd.signal(2)?;
    let sent = |channel| format!("oopsd_signals_total{{channel=\"{channel}\",outcome=\"sent\"}}");
    oopsd.shows(&sent("dots"), 2)?;
    for channel in ["webhook", "splunk", "pager", "notify", "mqtt", "syslog"] {
        oopsd.shows(&sent(channel), 0)?;
    }
    until("errors", SOON, || (oopsd.stderr().matches("not accepted").count() >= 4).then_some(()))
        .with_context(|| oopsd.stderr())?;
    let metrics = oopsd.metrics()?.0;
    let checks = [checked(&oopsd)?];
    // Files that hold something else are told about without it.
    for (file, text) in [
        ("notify.key", format!("hmac-sha256:oopsd:{NOTIFY}:{WEBHOOK}")),
        ("notify.key", format!("key oopsd {{ algorithm {NOTIFY}; secret \"{NOTIFY}\"; }};")),
        ("webhook.secret", format!("whsec {WEBHOOK} {}", MEANT[0])),
        ("splunk.token", format!("Splunk {SPLUNK} {SPLUNK}")),
        ("mqtt.password", PASSWORD.repeat(2_400)),
        ("dots.key", SHARED.repeat(3)),
        ("pager.json", format!("{{\"{TEMPLATE}\": {{{{{TEMPLATE}}}}}}}")),
        ("pager.json", format!("{{\"{TEMPLATE}\": {TEMPLATE}}}")),
        ("oopsd.key", IDENTITY[1].replace("PRIVATE KEY", "PRIVATE KEYS")),
        ("oopsd.key", IDENTITY[1].replacen("-----END", IDENTITY[1].lines().nth(1).unwrap_or_default(), 1)),
        ("oopsd.pem", format!("{}{}", IDENTITY[0].replace("MII", "MIJ"), IDENTITY[1])),
    ] {
        let before = fs::read(oopsd.path(file))?;
        fs::write(oopsd.path(file), text)?;
        let said = oopsd.stderr().len();
        oopsd.kill(libc::SIGHUP);
        until("a refusal", SOON, || oopsd.stderr().get(said..).filter(|said| said.contains(file)).map(|_| ()))
            .with_context(|| oopsd.stderr())?;
        let checked = checked(&oopsd)?;
        ensure!(checked.contains(file), "{checked}");
        clean(&[("check", &checked)])?;
        fs::write(oopsd.path(file), before)?;
    }
    // Keys that are written into the configuration itself.
    let wrong = format!("{}secret = \"whsec_{WEBHOOK}\"\nkey = \"{NOTIFY}\"\n", config());
    oopsd.configure(&wrong)?;
    clean(&[("check of keys in the file", &checked(&oopsd)?)])?;
    let (status, _) = oopsd.stop()?;
    ensure!(status.success(), "{status}: {}", oopsd.stderr());
    clean(&[("metrics", &metrics), ("check", &checks[0]), ("stderr", &oopsd.stderr()), ("stdout", &oopsd.stdout())])?;
    // Whatever else is in its folder, the queue on the disk included.
    kept(oopsd.path("oopsd.toml").parent().context("a folder")?)
}

#[test]
fn no_core_is_left_of_a_process_that_has_read_a_secret() -> Result<()> {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern")?;
    let Some(site) = Site::new()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    // Without a secret there is one: so this machine dumps cores, and the test would see it.
    let plain = aborted(&site.host, folder.path(), "plain", "")?;
    println!("core_pattern {}; without a secret: core {plain}", pattern.trim());
    if !plain {
        println!("skipped: this machine dumps no cores");
        return Ok(());
    }
    // All of them, and each that is read in another way.
    let only = |kind: &str| -> String {
        let tables =
            CHANNELS.split_inclusive("[[channel]]\n").filter(|it| it.starts_with(&format!("type = \"{kind}\"")));
        tables.map(|table| format!("[[channel]]\n{}", table.trim_end_matches("[[channel]]\n"))).collect()
    };
    let alone = |keys: &str| format!("[[channel]]\ntype = \"webhook\"\nurl = \"https://127.0.0.1:8054/\"\n{keys}\n");
    for (name, config) in [
        ("all", config()),
        ("token", alone("payload = \"ecs\"\nca-file = \"oopsd.pem\"\ntoken-file = \"splunk.token\"")),
        ("template", alone("payload = \"template\"\nca-file = \"oopsd.pem\"\ntemplate-file = \"pager.json\"")),
        (
            "key",
            alone(
                "payload = \"ecs\"\nca-file = \"oopsd.pem\"\n\
                 certificate-file = \"oopsd.pem\"\nkey-file = \"oopsd.key\"",
            ),
        ),
        ("syslog", only("syslog")),
        ("dots", NL_BUSY.to_owned() + &only("dots")),
    ] {
        let secret = aborted(&site.host, folder.path(), name, &config)?;
        println!("with {name}: core {secret}");
        ensure!(!secret, "a core was dumped");
    }
    Ok(())
}

/// Whether a core was dumped of oopsd with this configuration when it was aborted.
fn aborted(host: &Namespace, folder: &Path, name: &str, config: &str) -> Result<bool> {
    let folder = folder.join(name);
    fs::create_dir(&folder)?;
    for (name, text) in files() {
        fs::write(folder.join(name), text)?;
    }
    let state = folder.join("state");
    let text = format!("state-directory = {state:?}\n[capture]\ninterfaces = [\"eth0\"]\n[metrics]\n{config}");
    fs::write(folder.join("oopsd.toml"), text)?;
    let log = fs::File::create(folder.join("stderr"))?;
    let mut command = host.command("env");
    command.arg(oopsd()?).args(["run", "--capture", "socket", "-c"]).arg(folder.join("oopsd.toml"));
    command.current_dir(&folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let cores = || {
        let whole = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: setrlimit is async-signal-safe and reads one structure that is here.
        if unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const whole) } == 0 {
            return Ok(());
        }
        Err(std::io::Error::last_os_error())
    };
    // SAFETY: between fork and exec it only calls setrlimit.
    unsafe { command.pre_exec(cores) };
    let mut running = Running::start(&mut command)?;
    let said = || fs::read_to_string(folder.join("stderr")).unwrap_or_default();
    until("counting", SOON, || said().contains("counting node").then_some(())).with_context(said)?;
    running.signal(libc::SIGABRT);
    let status = until("an end", SOON, || running.0.try_wait().ok().flatten())?;
    ensure!(status.signal() == Some(libc::SIGABRT), "{status}");
    Ok(status.core_dumped())
}

/// oopsd with all secrets, saying all that it can say.
fn watched(config: &str) -> Result<Option<(Site, Oopsd)>> {
    let files = files();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Site::watched_by(&Orders { config, files: &files, arguments: &["-vv"], ..Orders::default() })
}

/// The files that have to hold them.
fn files() -> [(&'static str, String); 8] {
    [
        ("webhook.secret", format!("whsec_{WEBHOOK}")),
        ("notify.key", format!("hmac-sha256:oopsd:{NOTIFY}")),
        ("splunk.token", SPLUNK.to_owned()),
        ("mqtt.password", PASSWORD.to_owned()),
        ("dots.key", SHARED.to_owned()),
        ("pager.json", format!("{{\"routing_key\": \"{TEMPLATE}\", \"summary\": \"{{{{message}}}}\"}}")),
        ("oopsd.pem", IDENTITY[0].clone()),
        ("oopsd.key", IDENTITY[1].clone()),
    ]
}

/// What may be nowhere else: its beginning would do.
fn hidden() -> Vec<&'static str> {
    // A key's first line begins as all do; what is its own comes later.
    let key = IDENTITY[1].lines().filter(|line| !line.starts_with('-')).filter_map(|line| line.get(..12));
    let key = key.chain(IDENTITY[1].lines().filter_map(|line| line.get(48..60)));
    [WEBHOOK, NOTIFY, MEANT[0], MEANT[1], TOKEN, TEMPLATE, SPLUNK, PASSWORD, SHARED]
        .iter()
        .map(|secret| &secret[..12])
        .chain(key)
        .collect()
}

/// All that `oopsd check` says of its configuration.
fn checked(daemon: &Oopsd) -> Result<String> {
    let output = Command::new(oopsd()?).args(["check", "-c"]).arg(daemon.path("oopsd.toml")).output()?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Nothing of a secret is in any of these.
fn clean(said: &[(&str, &String)]) -> Result<()> {
    for (where_, text) in said {
        ensure!(!text.is_empty() || *where_ == "stdout", "nothing in {where_}");
        for secret in hidden() {
            let found = text.find(secret).map(|at| text[..at].lines().last().unwrap_or_default());
            ensure!(found.is_none(), "{secret} is in {where_} behind {found:?}");
        }
    }
    Ok(())
}

/// Nothing of a secret is in any file but those that have to hold it.
fn kept(folder: &Path) -> Result<()> {
    let mut folders = vec![folder.to_owned()];
    let mut looked = 0;
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder)? {
            let file = file?.path();
            let own = file.ends_with("oopsd.toml") || files().iter().any(|(name, _)| file.ends_with(name));
            if file.is_dir() {
                folders.push(file);
            } else if !own && file.is_file() {
                looked += 1;
                let bytes = fs::read(&file)?;
                for secret in hidden() {
                    let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                    ensure!(!found, "{secret} is in {}", file.display());
                }
            }
        }
    }
    ensure!(looked >= 3, "only {looked} files");
    Ok(())
}
