//! What is posted, byte for byte: signatures as receivers verify them, no proxy of the environment, tokens of a file.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use tests::lab::{oopsd, ready};
use tests::receiver::{SECRET, request};

const NEW: &str = "whsec_dGhlIG5ldyBzZWNyZXQgb2YgdGhlIHdlYmhvb2s=";
const STRANGE: &str = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldCBpcyB0aGlz";

#[test]
fn receivers_verify_a_signature_by_either_secret_while_it_is_changed() -> Result<()> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python");
    if !ready(&["python3"]) {
        return Ok(());
    }
    if !library.join("standardwebhooks").is_dir() {
        ensure!(std::env::var("CI").as_deref() != Ok("true"), "no standardwebhooks: cargo xtask setup --for test");
        println!("skipped: needs standardwebhooks of Python");
        return Ok(());
    }
    let request = posted("secret-file = [\"new.secret\", \"old.secret\"]", &[])?;
    let signatures = request.headers["webhook-signature"].split(' ').count();
    ensure!(signatures == 2, "{:?}", request.headers);
    let verified = |body: &str| -> Result<Value> {
        let mut python = Command::new("python3")
            .arg("-c")
            .arg(include_str!("verify.py"))
            .env("PYTHONPATH", &library)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = json!({ "headers": request.headers, "body": body, "secrets": [NEW, SECRET, STRANGE] });
        write!(python.stdin.take().context("piped")?, "{input}")?;
        let output = python.wait_with_output()?;
        ensure!(output.status.success(), "{}", output.status);
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let whole = verified(&request.body)?;
    ensure!(whole == json!([[true, true], [true, true], [false, false]]), "{whole}");
    let changed = verified(&request.body.replacen("\"met\"", "\"cleared\"", 1))?;
    ensure!(changed == json!([[false, false], [false, false], [false, false]]), "{changed}");
    Ok(())
}

#[test]
fn a_proxy_of_the_environment_is_not_asked() -> Result<()> {
    let proxy = TcpListener::bind("127.0.0.1:0")?;
    proxy.set_nonblocking(true)?;
    let url = format!("http://{}", proxy.local_addr()?);
    let variables = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let variables: Vec<(&str, &str)> = variables.iter().map(|&name| (name, url.as_str())).collect();
    let request = posted("secret-file = \"old.secret\"", &variables)?;
    ensure!(request.body.contains("\"specversion\":\"1.0\""), "{}", request.body);
    ensure!(proxy.accept().is_err(), "the proxy was asked");
    Ok(())
}

#[test]
fn a_template_is_filled_and_a_token_shown() -> Result<()> {
    let request = posted("payload = \"template\"\ntemplate-file = \"body.json\"\ntoken-file = \"token\"", &[])?;
    let body: Value = serde_json::from_str(&request.body)?;
    ensure!(body == json!({ "text": "test met on ns-test", "urgent": true }), "{body}");
    ensure!(request.headers["authorization"] == "ApiKey abc", "{:?}", request.headers);
    ensure!(!request.headers.contains_key("webhook-signature"), "{:?}", request.headers);
    Ok(())
}

struct Request {
    headers: BTreeMap<String, String>,
    body: String,
}

/// What `oopsd channel test` posts with this configuration of a webhook, and in this environment.
fn posted(config: &str, environment: &[(&str, &str)]) -> Result<Request> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let folder = tempfile::tempdir()?;
    let address = listener.local_addr()?;
    let template = r#"{ "text": "{{condition}} {{state}} on {{node}}", "urgent": {{ met ? true : false }} }"#;
    for (name, text) in
        [("old.secret", SECRET), ("new.secret", NEW), ("token", "ApiKey abc\n"), ("body.json", template)]
    {
        fs::write(folder.path().join(name), text)?;
    }
    let file = folder.path().join("oopsd.toml");
    let config =
        format!("node = \"ns-test\"\n[[channel]]\ntype = \"webhook\"\nurl = \"http://{address}/\"\n{config}\n");
    fs::write(&file, config)?;
    let receiver = thread::spawn(move || -> Result<Request> {
        let (stream, _) = listener.accept()?;
        let (headers, body) = request(&mut BufReader::new(&stream))?;
        (&stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        Ok(Request { headers, body: String::from_utf8(body)? })
    });
    let mut command = Command::new(oopsd()?);
    command.args(["channel", "test", "webhook", "-c"]).arg(&file).envs(environment.iter().copied());
    let output = command.output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    ensure!(output.status.success(), "{said}");
    receiver.join().ok().context("the receiver panicked")?
}
