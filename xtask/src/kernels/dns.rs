//! Questions and answers, as little as one can: a client that waits for each answer, and a server that answers all.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

/// Questions in [`ZONE`], and as many elsewhere, over each of UDP and TCP.
const EACH: u8 = 100;

/// What is asked for in one go.
pub(super) const QUESTIONS: u64 = 4 * EACH as u64;

/// The zone that is served.
pub(super) const ZONE: &str = "nl.";

/// Emulated machines are slow.
const PATIENCE: Duration = Duration::from_secs(5);

/// An empty OPT, and one that says "not authoritative" (EDE 20).
const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
const OPT_EDE: [u8; 17] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 6, 0, 15, 0, 2, 0, 20];

/// Asks the server there [`QUESTIONS`] questions, each once.
pub(super) fn ask(server: IpAddr) -> Result<()> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let udp = UdpSocket::bind(any)?;
    udp.connect((server, 53))?;
    udp.set_read_timeout(Some(PATIENCE))?;
    let mut answer = [0; 512];
    for question in questions() {
        udp.send(&question)?;
        let length = udp.recv(&mut answer).with_context(|| format!("no answer from {server}"))?;
        ensure!(answer[..length].starts_with(&question[..2]), "an answer to something else");
    }
    let mut tcp = TcpStream::connect_timeout(&(server, 53).into(), PATIENCE)?;
    tcp.set_nodelay(true)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    for question in questions() {
        tcp.write_all(&prefixed(&question)?)?;
        let answer = message(&mut tcp)?;
        ensure!(answer.starts_with(&question[..2]), "an answer to something else");
    }
    Ok(())
}

/// Answers at these addresses for ever.
pub(super) fn answer(addresses: &[IpAddr]) -> Result<()> {
    for address in addresses {
        let udp = UdpSocket::bind((*address, 53)).with_context(|| format!("cannot bind {address}"))?;
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = udp.recv_from(&mut question) {
                let _ = udp.send_to(&answered(&question[..length]), from);
            }
        });
        let tcp = TcpListener::bind((*address, 53))?;
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        });
    }
    loop {
        thread::park();
    }
}

fn serve(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let question = message(&mut stream)?;
        stream.write_all(&prefixed(&answered(&question))?)?;
    }
}

fn questions() -> impl Iterator<Item = Vec<u8>> {
    (0..EACH).flat_map(|number| {
        let own = (3, format!("w{number:02}"));
        let names = [
            [own.clone(), (7, "eXample".to_owned()), (2, "NL".to_owned())],
            [own, (1, "a".to_owned()), (4, "test".to_owned())],
        ];
        names.map(|labels| {
            let mut question = vec![0, number, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
            for (length, label) in &labels {
                question.push(*length);
                question.extend(label.bytes());
            }
            question.extend([0, 0, 1, 0, 1]);
            question.extend(OPT);
            question
        })
    })
}

/// NOERROR in the zone, else REFUSED with an extended error.
fn answered(question: &[u8]) -> Vec<u8> {
    let asked = question.strip_suffix(&OPT).unwrap_or(question);
    let ours = asked.to_ascii_lowercase().ends_with(&[2, b'n', b'l', 0, 0, 1, 0, 1]);
    let mut answer = asked.to_vec();
    if let [_, _, flags, code, ..] = answer.as_mut_slice() {
        (*flags, *code) = (0x84, if ours { 0 } else { 5 });
    }
    answer.extend(if ours { &OPT[..] } else { &OPT_EDE[..] });
    answer
}

fn prefixed(message: &[u8]) -> Result<Vec<u8>> {
    Ok([&u16::try_from(message.len())?.to_be_bytes(), message].concat())
}

fn message(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    Ok(message)
}
