//! TLS as a client, for every channel that speaks it: whom to trust, who we are, and what to say of a peer that is not taken
//! or does not take us.
//!
//! TLS 1.2 and 1.3 by ring; files are read again at each reload. Which keys name them is `config::tls`'s.

use super::secret;
use jiff::Timestamp;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ConfigBuilder, InconsistentKeys, RootCertStore, crypto::ring,
};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whom a channel trusts and who it says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// A PEM file with the authorities to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// What is shown to a peer that asks for a certificate.
    pub identity: Option<Identity>,
}

/// A client certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A PEM file: the certificate, then those that lead to its authority.
    pub certificate_file: PathBuf,
    /// A PEM file with its key, which is a secret.
    pub key_file: PathBuf,
}

/// What keeps a configuration from being used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unusable {
    /// The key of the configuration that names the file.
    pub key: &'static str,
    /// Which file, what is wrong, what to do; nothing of what it holds.
    pub why: String,
}

/// A client as configured, for rustls; protocols (ALPN) are the caller's.
pub(super) fn client(config: &Config) -> Result<ClientConfig, Unusable> {
    let trusted = match &config.ca_file {
        Some(path) => authorities(path)?,
        None => of_the_system()?,
    };
    Ok(match &config.identity {
        None => trusting(trusted).with_no_client_auth(),
        Some(identity) => {
            trusting(trusted).with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.load()?)))
        }
    })
}

/// A client that trusts nobody, for a peer that is not spoken TLS with; the system's authorities need not exist.
pub(super) fn no_client() -> ClientConfig {
    trusting(RootCertStore::empty()).with_no_client_auth()
}

fn trusting(authorities: RootCertStore) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has suites for both")
        .with_root_certificates(authorities)
}

/// What is wrong with the files of `config`; for `check`. The system's authorities are not looked at.
pub(crate) fn check(config: &Config) -> Result<(), Unusable> {
    config.ca_file.as_deref().map(authorities).transpose()?;
    config.identity.as_ref().map(Identity::load).transpose().map(|_| ())
}

/// What rustls has against the peer, or the peer against us, in an operator's words; `None` if `error` is of something else.
pub(super) fn reason(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(said(error));
        }
        // An I/O error says what caused what it holds, but not what it holds.
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

impl Identity {
    fn load(&self) -> Result<CertifiedKey, Unusable> {
        let chain = certificates("certificate-file", &self.certificate_file)?;
        let shown = self.key_file.display();
        let bad = |why: String| Unusable { key: "key-file", why };
        let text = secret::read(&self.key_file).map_err(|error| bad(format!("cannot read {shown}: {error}")))?;
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
            bad(if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
                format!("the key in {shown} is encrypted; write it without a passphrase, readable by oopsd only")
            } else {
                format!("{shown} holds no PEM private key; write the name of one that does")
            })
        })?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| {
            bad(if error == rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
                let certificate = self.certificate_file.display();
                format!("the key in {shown} is not that of the first certificate in {certificate}; write the pair")
            } else {
                format!("the key in {shown} cannot be used; write one of ECDSA (P-256, P-384), Ed25519 or RSA")
            })
        })
    }
}

fn authorities(path: &Path) -> Result<RootCertStore, Unusable> {
    let mut trusted = RootCertStore::empty();
    for (index, certificate) in certificates("ca-file", path)?.into_iter().enumerate() {
        trusted.add(certificate).map_err(|_| Unusable {
            key: "ca-file",
            why: format!("certificate {} in {} is none that can be trusted; remove it", index + 1, path.display()),
        })?;
    }
    Ok(trusted)
}

fn of_the_system() -> Result<RootCertStore, Unusable> {
    let mut trusted = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // Some of a system's may be too old to be understood.
    trusted.add_parsable_certificates(found.certs);
    if trusted.is_empty() {
        let why = String::from("this system has no authorities; install ca-certificates, or write `ca-file`");
        return Err(Unusable { key: "ca-file", why });
    }
    Ok(trusted)
}

/// The certificates of a PEM file, at least one.
fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let shown = path.display();
    let bad = |why: String| Unusable { key, why };
    let text = std::fs::read(path).map_err(|error| bad(format!("cannot read {shown}: {error}")))?;
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&text) {
        match section {
            Ok((SectionKind::Certificate, der)) => found.push(CertificateDer::from(der)),
            Ok(_) => {}
            Err(pem::Error::MissingSectionEnd { .. }) => {
                return Err(bad(format!("{shown} ends within a certificate; write the whole of it")));
            }
            Err(_) => return Err(bad(format!("{shown} is no sound PEM; write it anew"))),
        }
    }
    if found.is_empty() {
        return Err(bad(format!("{shown} holds no PEM certificate; write the name of one that does")));
    }
    Ok(found)
}

fn said(error: &rustls::Error) -> String {
    use AlertDescription as Alert;
    const REFUSALS: [Alert; 7] = [
        Alert::UnknownCA,
        Alert::BadCertificate,
        Alert::UnsupportedCertificate,
        Alert::CertificateRevoked,
        Alert::CertificateExpired,
        Alert::CertificateUnknown,
        Alert::AccessDenied,
    ];
    if let rustls::Error::InvalidCertificate(error) = error {
        said_of_certificate(error)
    } else if let rustls::Error::AlertReceived(Alert::CertificateRequired) = error {
        String::from("it asks for a client certificate; write `certificate-file` and `key-file`")
    } else if let rustls::Error::AlertReceived(alert) = error
        && REFUSALS.contains(alert)
    {
        format!("it does not take our certificate ({alert:?})")
    } else {
        printable(&error.to_string())
    }
}

fn said_of_certificate(error: &CertificateError) -> String {
    if *error == CertificateError::UnknownIssuer {
        String::from("its certificate is not of an authority that is trusted here (`ca-file`)")
    } else if let CertificateError::ExpiredContext { not_after, .. } = error {
        format!("its certificate has expired on {}", date(*not_after))
    } else if let CertificateError::NotValidYetContext { not_before, .. } = error {
        format!("its certificate is valid only from {} on; is the clock right?", date(*not_before))
    } else if let CertificateError::NotValidForNameContext { presented, .. } = error {
        // As they are printed for programmers: `DnsName("siem.example.net")`.
        let bare = |name: &String| printable(name.split('"').nth(1).unwrap_or(name));
        let names: Vec<String> = presented.iter().take(4).map(bare).collect();
        format!("its certificate is not for that name, but for {}", names.join(", "))
    } else {
        format!("its certificate is not taken: {}", printable(&error.to_string()))
    }
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| String::from("an unknown day"), |at| at.to_string())
}

/// What a peer's certificate says goes to terminals.
fn printable(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
pub(super) mod tests;
