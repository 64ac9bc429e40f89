//! TLS, by rustls: the certificate that a server shows, and the roots that a client trusts. TLS 1.2 and 1.3; the key
//! exchange that both sides prefer withstands quantum computers (X25519MLKEM768).
//!
//! Nothing here reads files: what is given is the text of PEM files (RFC 7468), and [`Certificate::replace`] takes the
//! next pair while connections go on.

#[cfg(feature = "axum")]
use std::fmt;
use std::sync::Arc;

#[cfg(feature = "axum")]
use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
#[cfg(feature = "axum")]
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{self, PemObject as _};
#[cfg(feature = "axum")]
use rustls::server::{ClientHello, ResolvesServerCert};
#[cfg(feature = "axum")]
use rustls::sign::CertifiedKey;

/// Why PEM texts are no use for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates cannot be read.
    #[error("the certificates cannot be read: {0}")]
    Certificates(pem::Error),
    /// There is none.
    #[error("there is no certificate (-----BEGIN CERTIFICATE-----) in the text")]
    NoCertificate,
    /// The private key cannot be read.
    #[error("the private key cannot be read: {0}")]
    Key(pem::Error),
    /// There is none.
    #[error("there is no unencrypted private key (-----BEGIN PRIVATE KEY-----) in the text")]
    NoKey,
    /// The key is not that of the first certificate.
    #[error("the private key is not that of the first certificate")]
    Mismatch,
    /// A certificate or key of a kind that cannot be used.
    #[error("the certificates cannot be used: {0}")]
    Unusable(rustls::Error),
    /// The machine's own roots, which are trusted where no others are named.
    #[error("this machine's trusted certificates cannot be read: {0}")]
    NoPlatformRoots(rustls::Error),
}

/// The certificate chain and key that a server shows. Clones share them: replaced in one, replaced in all.
#[cfg(feature = "axum")]
#[derive(Clone)]
pub struct Certificate(Arc<Shown>);

#[cfg(feature = "axum")]
struct Shown(ArcSwap<CertifiedKey>);

#[cfg(feature = "axum")]
impl Certificate {
    /// The server's certificate first, then those that lead to a root; and the private key of the first.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Shown(ArcSwap::from_pointee(certified(chain, key)?)))))
    }

    /// What connections that begin from now on are shown. A pair that cannot be used changes nothing.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), TlsError> {
        self.0.0.store(Arc::new(certified(chain, key)?));
        Ok(())
    }

    /// For a server that speaks these application protocols (RFC 7301), the first preferred.
    #[expect(clippy::expect_used, reason = "the provider and its TLS versions are compiled in together")]
    pub fn server_config(&self, protocols: &[&str]) -> Arc<rustls::ServerConfig> {
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .expect("the provider supports both TLS versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.0) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

#[cfg(feature = "axum")]
impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

#[cfg(feature = "axum")]
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

#[cfg(feature = "axum")]
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(feature = "axum")]
fn certified(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey,
        error => TlsError::Key(error),
    })?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch,
        error => TlsError::Unusable(error),
    })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(TlsError::Certificates)?;
    if read.is_empty() { Err(TlsError::NoCertificate) } else { Ok(read) }
}

/// The one provider, given by hand: rustls panics if it has to choose and another crate brings a second.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// For a client that trusts these roots and no others; without them, those of this machine.
///
/// # Errors
/// [`TlsError`].
#[cfg(feature = "http")]
pub fn client_config(roots_pem: Option<&str>) -> Result<rustls::ClientConfig, TlsError> {
    use hyper_rustls::ConfigBuilderExt as _;

    let builder = client_builder();
    let builder = match roots_pem {
        Some(pem) => builder.with_root_certificates(roots(pem)?),
        None => builder.try_with_platform_verifier().map_err(TlsError::NoPlatformRoots)?,
    };
    Ok(builder.with_no_client_auth())
}

/// For a client that needs no TLS: it trusts nobody, and every server is refused.
#[cfg(feature = "http")]
pub fn trusting_nobody() -> rustls::ClientConfig {
    client_builder().with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}

#[cfg(feature = "http")]
#[expect(clippy::expect_used, reason = "the provider and its TLS versions are compiled in together")]
fn client_builder() -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::WantsVerifier> {
    rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .expect("the provider supports both TLS versions")
}

#[cfg(feature = "http")]
fn roots(pem: &str) -> Result<rustls::RootCertStore, TlsError> {
    let mut store = rustls::RootCertStore::empty();
    for root in certificates(pem.as_bytes())? {
        store.add(root).map_err(TlsError::Unusable)?;
    }
    Ok(store)
}

#[cfg(feature = "axum")]
#[cfg(feature = "http")]
#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["id.example".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_pair_has_to_belong_together() {
        let ((chain, key), (other_chain, other_key)) = (pair(), pair());
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
        let before = certificate.0.0.load_full();
        let wrong = |chain: &str, key: &str| certificate.replace(chain.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(matches!(wrong(&chain, &other_key), TlsError::Mismatch));
        assert!(matches!(wrong("", &key), TlsError::NoCertificate));
        assert!(matches!(wrong(&key, &key), TlsError::NoCertificate));
        assert!(matches!(wrong(&chain, &chain), TlsError::NoKey));
        assert!(matches!(wrong(&chain[..chain.len() / 2], &key), TlsError::Certificates(_)));
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(wrong(garbage, &key), TlsError::Unusable(_)));
        assert!(Arc::ptr_eq(&before, &certificate.0.0.load_full()), "what cannot be used changes nothing");
        certificate.clone().replace(other_chain.as_bytes(), other_key.as_bytes()).unwrap();
        assert!(!Arc::ptr_eq(&before, &certificate.0.0.load_full()), "clones share the pair");
        assert_eq!(format!("{certificate:?}"), "Certificate", "no key is printed");
    }

    #[test]
    fn roots_are_certificates() {
        let (chain, key) = pair();
        client_config(Some(&format!("{chain}\n{chain}"))).unwrap();
        assert!(matches!(client_config(Some(&key)), Err(TlsError::NoCertificate)));
    }
}
