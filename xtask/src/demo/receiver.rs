//! Receives webhooks: verifies each by Standard Webhooks 1.0 and prints what it found, one JSON object a line.
//!
//! Runs as a process of its own in the host's namespace: webhooks without TLS go to a loopback address only.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, SystemTime};

/// Answers on `address` until it is killed.
pub(crate) fn receive(address: &str, secret_file: &str) -> Result<()> {
    let secret = std::fs::read_to_string(secret_file).with_context(|| format!("cannot read {secret_file}"))?;
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    println!("{}", json!({ "listening": address }));
    for stream in listener.incoming() {
        match take(stream?, secret.trim()) {
            Ok(body) => println!("{}", json!({ "verified": true, "body": body })),
            Err(error) => println!("{}", json!({ "verified": false, "why": format!("{error:#}") })),
        }
    }
    Ok(())
}

/// Takes one request: 204 if it is signed as it should be, else 401.
fn take(mut stream: TcpStream, secret: &str) -> Result<Value> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let body = read(&mut BufReader::new(&stream)).and_then(|(headers, body)| {
        verify(&headers, &body, secret)?;
        Ok(serde_json::from_slice(&body)?)
    });
    let status = if body.is_ok() { "204 No Content" } else { "401 Unauthorized" };
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    body
}

type Headers = BTreeMap<String, String>;

fn read(stream: &mut impl BufRead) -> Result<(Headers, Vec<u8>)> {
    let mut headers = Headers::new();
    for line in stream.by_ref().take(64 << 10).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }
    let length: usize = header(&headers, "content-length")?.parse()?;
    ensure!(length < 1 << 20, "a body of {length} bytes");
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((headers, body))
}

/// One of the signatures is the HMAC-SHA256 of `id.timestamp.body` under the secret, and the timestamp is of now.
fn verify(headers: &Headers, body: &[u8], secret: &str) -> Result<()> {
    let (id, timestamp) = (header(headers, "webhook-id")?, header(headers, "webhook-timestamp")?);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    ensure!(timestamp.parse::<u64>()?.abs_diff(now) < 300, "timestamp {timestamp} is not of now");
    let expected = signature(id, timestamp, body, secret)?;
    let given = header(headers, "webhook-signature")?;
    ensure!(given.split(' ').any(|one| one == expected), "signature {given} is not {expected}");
    Ok(())
}

fn signature(id: &str, timestamp: &str, body: &[u8], secret: &str) -> Result<String> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").context("the secret is not `whsec_...`")?)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

fn header<'a>(headers: &'a Headers, name: &str) -> Result<&'a str> {
    headers.get(name).map(String::as_str).with_context(|| format!("no header {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn the_example_of_standard_webhooks_is_signed_as_it_says() {
        let signed = signature(ID, "1614265330", BODY, SECRET).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn one_right_signature_among_several_is_enough_and_a_changed_body_is_refused() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().to_string();
        let right = signature(ID, &now, BODY, SECRET).unwrap();
        let headers = headers(&now, &format!("v1,other {right}"));
        verify(&headers, BODY, SECRET).unwrap();
        verify(&headers, br#"{"test": 2432232315}"#, SECRET).unwrap_err();
    }

    #[test]
    fn an_old_timestamp_is_refused() {
        let said = verify(&headers("1614265330", "v1,x"), BODY, SECRET).unwrap_err().to_string();
        assert_eq!(said, "timestamp 1614265330 is not of now");
    }

    fn headers(timestamp: &str, signature: &str) -> Headers {
        let pairs = [("webhook-id", ID), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}
