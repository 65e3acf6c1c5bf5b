//! rsyslog with its own configuration in its own folder, which writes down what it takes apart of each message.

use crate::lab::{Namespace, run};
use crate::servers::{Program, write};
use anyhow::Result;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The ways in; each message says by which it came (`local` by the tag alone).
const INPUTS: &str = r#"
module(load="imuxsock" sysSock.use="off")
module(load="imudp")
module(load="imtcp")
template(name="fields" type="list" option.jsonf="on") {
  property(outname="from" name="inputname" format="jsonf")
  property(outname="pri" name="pri" format="jsonf")
  property(outname="timestamp" name="timestamp" dateFormat="rfc3339" format="jsonf")
  property(outname="hostname" name="hostname" format="jsonf")
  property(outname="app-name" name="app-name" format="jsonf")
  property(outname="procid" name="procid" format="jsonf")
  property(outname="msgid" name="msgid" format="jsonf")
  property(outname="structured-data" name="structured-data" format="jsonf")
  property(outname="msg" name="msg" format="jsonf")
}
input(type="imudp" address="127.0.0.1" port="514" name="udp")
input(type="imtcp" address="127.0.0.1" port="514" name="tcp")
"#;

/// Where it is, and who else is on its host.
#[derive(Debug)]
pub struct Place {
    host: Arc<Namespace>,
    folder: PathBuf,
}

/// The keys of a channel that speaks TLS to the one in this folder.
#[must_use]
pub fn tls(folder: &Path) -> String {
    let here = folder.display();
    format!(
        "address = \"tls://127.0.0.1\"\nca-file = \"{here}/ca.pem\"\n\
         certificate-file = \"{here}/client.pem\"\nkey-file = \"{here}/client.key\"\n"
    )
}

impl Place {
    /// UDP and TCP on port 514 of 127.0.0.1 in `host`, TLS on 6514, and the socket `log` in `folder`. Certificates are made:
    /// `ca.pem`, and `client.pem` with `client.key`, which it asks for.
    ///
    /// # Errors
    /// When openssl says no.
    pub fn new(host: &Arc<Namespace>, folder: &Path) -> Result<Self> {
        let made = Self { host: Arc::clone(host), folder: folder.to_owned() };
        let authority = ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority"];
        made.certificate(&authority)?;
        for (name, other) in [("server", "IP:127.0.0.1"), ("client", "DNS:oopsd.example")] {
            let [key, file, subject] = [format!("{name}.key"), format!("{name}.pem"), format!("/CN={name}")];
            let other = format!("subjectAltName={other}");
            made.certificate(&[
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-keyout",
                &key,
                "-out",
                &file,
                "-subj",
                &subject,
                "-addext",
                &other,
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ])?;
        }
        Ok(made)
    }

    fn certificate(&self, arguments: &[&str]) -> Result<()> {
        let mut openssl = Command::new("openssl");
        openssl.current_dir(&self.folder).args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]);
        run(openssl.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]).args(arguments)).map(|_| ())
    }

    /// Starts it; `driver` is what does TLS: `gtls` or `ossl`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, driver: &str) -> Result<Program> {
        let here = self.folder.display();
        let text = format!(
            "global(workDirectory=\"{here}\" defaultNetstreamDriverCAFile=\"{here}/ca.pem\" \
             defaultNetstreamDriverCertFile=\"{here}/server.pem\" defaultNetstreamDriverKeyFile=\"{here}/server.key\")\n{INPUTS}\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"6514\" name=\"tls\" streamDriver.name=\"{driver}\" streamDriver.mode=\"1\" \
             streamDriver.authMode=\"x509/name\" permittedPeer=[\"oopsd.example\"])\n\
             input(type=\"imuxsock\" socket=\"{here}/log\")\n\
             action(type=\"omfile\" file=\"{here}/got\" template=\"fields\")\n"
        );
        let file = write(&self.folder, "rsyslog.conf", &text)?;
        let mut rsyslogd = self.host.command("rsyslogd");
        Program::start(rsyslogd.args(["-n", "-iNONE", "-f"]).arg(file), &self.folder.join("rsyslog.log"))
    }

    /// The keys of a channel that speaks TLS to it.
    #[must_use]
    pub fn tls(&self) -> String {
        tls(&self.folder)
    }

    /// What it has written down so far; a line that is not whole yet is not there.
    #[must_use]
    pub fn got(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.file("got")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// A file of it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
