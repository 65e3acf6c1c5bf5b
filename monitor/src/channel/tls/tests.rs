//! Authorities, certificates and a peer made for a test; what is said of files and peers that are not as they should be.

use super::*;
use crate::channel::delivery::Answer;
use crate::channel::letter::tests::letter;
use crate::channel::webhook;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

#[tokio::test]
async fn a_peer_that_demands_a_certificate_is_shown_it() {
    let lab = Lab::new();
    let peer = peer(&lab.peer(&["localhost"], 2100), Some(&lab.clients));
    assert_eq!(lab.attempt(peer, lab.ours()).await, Answer::Yes);
}

#[tokio::test]
async fn what_the_peer_has_against_our_certificate_is_said() {
    let lab = Lab::new();
    let peer = peer(&lab.peer(&["localhost"], 2100), Some(&lab.clients));
    let none = Config { identity: None, ..lab.ours() };
    let port = peer.port();
    assert_eq!(
        lab.refusal(peer, none).await,
        format!("localhost:{port}: it asks for a client certificate; write `certificate-file` and `key-file`")
    );
    let strange = lab.identity("strange", &lab.authority, 2100);
    assert_eq!(
        lab.refusal(peer, Config { identity: Some(strange), ..lab.ours() }).await,
        format!("localhost:{port}: it does not take our certificate (UnknownCA)")
    );
    let expired = lab.identity("expired", &lab.clients, 2020);
    assert_eq!(
        lab.refusal(peer, Config { identity: Some(expired), ..lab.ours() }).await,
        format!("localhost:{port}: it does not take our certificate (CertificateExpired)")
    );
}

#[tokio::test]
async fn what_we_have_against_the_certificate_of_the_peer_is_said() {
    let lab = Lab::new();
    let refusal = async |names: &[&str], until: i32, config: Config| {
        let peer = peer(&lab.peer(names, until), None);
        let said = lab.refusal(peer, config).await;
        said.strip_prefix(&format!("localhost:{}: ", peer.port())).expect("it names the peer").to_owned()
    };
    let other = Config { ca_file: Some(lab.path("clients.pem")), identity: None };
    assert_eq!(
        refusal(&["localhost"], 2100, other).await,
        "its certificate is not of an authority that is trusted here (`ca-file`)"
    );
    assert_eq!(refusal(&["localhost"], 2020, lab.ours()).await, "its certificate has expired on 2020-01-01T00:00:00Z");
    assert_eq!(
        refusal(&["siem.example.net", "siem.example.org"], 2100, lab.ours()).await,
        "its certificate is not for that name, but for siem.example.net, siem.example.org"
    );
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_once_it_is_loaded_again() {
    let lab = Lab::new();
    let peer = peer(&lab.peer(&["localhost"], 2100), Some(&lab.clients));
    let (ours, expired) = (lab.ours(), lab.identity("expired", &lab.clients, 2020));
    let renewed = ours.identity.clone().expect("it has one");
    let served = Config { identity: Some(expired.clone()), ..ours };
    lab.refusal(peer, served.clone()).await;
    fs::copy(renewed.certificate_file, expired.certificate_file).unwrap();
    fs::copy(renewed.key_file, expired.key_file).unwrap();
    assert_eq!(lab.attempt(peer, served).await, Answer::Yes);
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_what_to_do() {
    let lab = Lab::new();
    let ours = lab.ours().identity.unwrap();
    let file = |name: &str, text: &str| {
        fs::write(lab.path(name), text).unwrap();
        lab.path(name)
    };
    let certificate = fs::read_to_string(&ours.certificate_file).unwrap();
    let empty = file("empty", "");
    let cut = file("cut", &certificate[..certificate.len() / 2]);
    let noise = file("noise", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
    let other = file("other", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let encrypted = file("encrypted", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n");
    let strange = lab.identity("strange", &lab.clients, 2100).key_file;
    let said = |config: Config| {
        let Unusable { key, why } = check(&config).unwrap_err();
        assert_eq!(client(&config).unwrap_err().why, why);
        format!("{key}: {}", why.replace(&format!("{}/", lab.path("").display().to_string().trim_end_matches('/')), ""))
    };
    let ca = |path: &PathBuf| said(Config { ca_file: Some(path.clone()), identity: None });
    assert_eq!(ca(&lab.path("none")), "ca-file: cannot read none: No such file or directory (os error 2)");
    assert_eq!(ca(&empty), "ca-file: empty holds no PEM certificate; write the name of one that does");
    assert_eq!(ca(&cut), "ca-file: cut ends within a certificate; write the whole of it");
    assert_eq!(ca(&noise), "ca-file: noise is no sound PEM; write it anew");
    assert_eq!(ca(&other), "ca-file: certificate 1 in other is none that can be trusted; remove it");
    let pair = |certificate: &PathBuf, key: &PathBuf| {
        let identity = Identity { certificate_file: certificate.clone(), key_file: key.clone() };
        said(Config { ca_file: Some(lab.path("ca.pem")), identity: Some(identity) })
    };
    assert_eq!(
        pair(&empty, &ours.key_file),
        "certificate-file: empty holds no PEM certificate; write the name of one that does"
    );
    assert_eq!(
        pair(&ours.certificate_file, &ours.certificate_file),
        "key-file: ours.pem holds no PEM private key; write the name of one that does"
    );
    assert_eq!(
        pair(&ours.certificate_file, &encrypted),
        "key-file: the key in encrypted is encrypted; write it without a passphrase, readable by oopsd only"
    );
    assert_eq!(
        pair(&ours.certificate_file, &strange),
        "key-file: the key in strange.key is not that of the first certificate in ours.pem; write the pair"
    );
    assert_eq!(
        pair(&other, &ours.key_file),
        "key-file: the key in ours.key cannot be used; write one of ECDSA (P-256, P-384), Ed25519 or RSA"
    );
}

/// A folder with two authorities, one of peers and one of clients.
pub(in super::super) struct Lab {
    folder: tempfile::TempDir,
    authority: Authority,
    clients: Authority,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

impl Lab {
    pub(in super::super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = |name: &str| {
            let mut params = CertificateParams::new([]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            fs::write(folder.path().join(format!("{name}.pem")), authority.pem()).unwrap();
            authority
        };
        let (authority, clients) = (authority("ca"), authority("clients"));
        Self { folder, authority, clients }
    }

    pub(in super::super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Trusts the peers' authority, and has a certificate of the clients'.
    fn ours(&self) -> Config {
        Config { ca_file: Some(self.path("ca.pem")), identity: Some(self.identity("ours", &self.clients, 2100)) }
    }

    fn identity(&self, name: &str, authority: &Authority, until: i32) -> Identity {
        let (certificate, key) = issued(authority, &[name], until);
        let [certificate_file, key_file] = [format!("{name}.pem"), format!("{name}.key")].map(|file| self.path(&file));
        fs::write(&certificate_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        Identity { certificate_file, key_file }
    }

    fn peer(&self, names: &[&str], until: i32) -> (rcgen::Certificate, KeyPair) {
        issued(&self.authority, names, until)
    }

    /// What a webhook to the peer at this address comes to.
    async fn attempt(&self, peer: SocketAddr, tls: Config) -> Answer {
        let config = webhook::Config {
            url: format!("https://localhost:{}/secret?path", peer.port()),
            payload: webhook::Payload::CloudEvents,
            severity: webhook::Severity::default(),
            secret_files: Vec::new(),
            token_file: None,
            tls,
            timeout: Duration::from_secs(20),
        };
        webhook::Settings::load("siem", &config).unwrap().attempt(&letter(1)).await
    }

    async fn refusal(&self, peer: SocketAddr, tls: Config) -> String {
        match self.attempt(peer, tls).await {
            Answer::No { why, .. } => why,
            other @ (Answer::Yes | Answer::Gone) => panic!("{other:?}"),
        }
    }
}

/// A certificate for these names, valid to the first day of a year.
fn issued(authority: &Authority, names: &[&str], until: i32) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

/// A server that says 204 to whatever it gets; it demands certificates of `clients`, if they are given.
fn peer((certificate, key): &(rcgen::Certificate, KeyPair), clients: Option<&Authority>) -> SocketAddr {
    crate::channel::install_tls();
    let builder = match clients {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(clients) => {
            let mut trusted = RootCertStore::empty();
            trusted.add(clients.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(trusted)).build().unwrap();
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key.into()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut tls = StreamOwned::new(connection, stream.unwrap());
            if tls.read(&mut [0; 16_384]).is_ok() {
                let _ = tls.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
                tls.conn.send_close_notify();
                let _ = tls.flush();
            } else {
                // The last word is why not; what still comes is read, for else the word is lost on the way.
                let _ = tls.conn.write_tls(&mut tls.sock);
                let _ = tls.sock.shutdown(std::net::Shutdown::Write);
                let _ = std::io::copy(&mut tls.sock, &mut std::io::sink());
            }
        }
    });
    address
}
