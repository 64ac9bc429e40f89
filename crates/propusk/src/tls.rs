//! The PEM files of TLS: what our listeners show, and whom our own calls trust. Certificates are renewed while we run:
//! the files are looked at every two seconds and at SIGHUP, by their content, for a mounted folder changes in its own
//! ways.

use std::path::{Path, PathBuf};
use std::time::Duration;

use propusk_verify::tls::Certificate;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use crate::config::{Config, ConfigError, ConfigErrors};
use crate::private;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// No chain or bundle of ours is larger.
const MAX_BYTES: u64 = 1024 * 1024;

/// What the parts of this process need for TLS.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    /// Shown by every listener; without it they speak plain HTTP.
    pub(crate) certificate: Option<Certificate>,
    /// Trusted in our own calls, PEM; without it what the machine trusts.
    pub(crate) roots_pem: Option<String>,
}

impl Tls {
    /// Reads and checks the files, and follows those of the certificate for as long as the process runs.
    pub(crate) fn load(config: &Config) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let certificate = match (&config.tls_cert, &config.tls_key) {
            (Some(cert), Some(key)) => keep(shown(cert, key), &mut errors),
            _ => None,
        };
        let roots_pem = config.tls_ca.as_ref().and_then(|path| keep(roots(path), &mut errors));
        if errors.is_empty() { Ok(Self { certificate, roots_pem }) } else { Err(ConfigErrors(errors)) }
    }
}

fn keep<T>(result: Result<T, ConfigError>, errors: &mut Vec<ConfigError>) -> Option<T> {
    result.map_err(|error| errors.push(error)).ok()
}

fn shown(cert: &Path, key: &Path) -> Result<Certificate, ConfigError> {
    let files = Files { cert: cert.to_owned(), key: key.to_owned() };
    let pair = files.read()?;
    let certificate = Certificate::from_pem(pair.cert.as_bytes(), pair.key.as_bytes())
        .map_err(|error| wrong("tls.cert", format!("{} with {}: {error}", cert.display(), key.display())))?;
    tokio::spawn(follow(certificate.clone(), files, pair));
    Ok(certificate)
}

/// The certificates of a bundle, checked: the text.
pub(crate) fn roots(path: &Path) -> Result<String, ConfigError> {
    let about = |problem: String| wrong("tls.ca", format!("{}: {problem}", path.display()));
    let text = read(path).map_err(|error| about(error.to_string()))?;
    propusk_verify::tls::client_config(Some(&text)).map_err(|error| about(error.to_string()))?;
    Ok(text)
}

fn wrong(key: &str, problem: String) -> ConfigError {
    ConfigError { place: None, key: Some(key.to_owned()), problem }
}

/// Where the pair is.
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// Their content.
#[derive(PartialEq, Eq)]
struct Pair {
    cert: String,
    key: Zeroizing<String>,
}

impl Files {
    fn read(&self) -> Result<Pair, ConfigError> {
        let cert = read(&self.cert).map_err(|error| wrong("tls.cert", format!("{}: {error}", self.cert.display())))?;
        let key = private::read(&self.key).map_err(|error| wrong("tls.key", error.to_string()))?;
        Ok(Pair { cert, key })
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Shows what is in the files, whenever that is another pair that can be used.
async fn follow(certificate: Certificate, files: Files, mut seen: Pair) {
    let files = std::sync::Arc::new(files);
    let mut hangup = signal(SignalKind::hangup()).ok();
    let mut is_readable = true;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            Some(()) = async { hangup.as_mut()?.recv().await } => {}
        }
        let looked_at = std::sync::Arc::clone(&files);
        let Ok(read) = tokio::task::spawn_blocking(move || looked_at.read()).await else { return };
        match read {
            Ok(pair) => {
                is_readable = true;
                if pair != seen {
                    take(&certificate, &pair);
                    seen = pair;
                }
            }
            Err(error) => {
                // Once, not every two seconds.
                if is_readable {
                    tracing::warn!(%error, "the certificate is kept: its files cannot be read");
                }
                is_readable = false;
            }
        }
    }
}

fn take(certificate: &Certificate, pair: &Pair) {
    match certificate.replace(pair.cert.as_bytes(), pair.key.as_bytes()) {
        Ok(()) => tracing::info!("new connections are shown the new certificate"),
        Err(error) => tracing::warn!(%error, "the certificate is kept: the new files cannot be used"),
    }
}

/// An HTTP client that follows no redirect and trusts these roots, or without them what the machine trusts.
pub(crate) fn client(roots_pem: Option<&str>) -> reqwest::Result<reqwest::ClientBuilder> {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    match roots_pem {
        Some(pem) => Ok(builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem.as_bytes())?)),
        None => Ok(builder),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Sources;

    fn make(folder: &Path) -> [PathBuf; 2] {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let (cert, key) = (folder.join("tls.crt"), folder.join("tls.key"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        private::replace(&key, &made.signing_key.serialize_pem()).unwrap();
        [cert, key]
    }

    fn load(keys: &[(&str, &Path)]) -> Result<Tls, ConfigErrors> {
        let sets = keys.iter().map(|(key, path)| format!("{key}={}", path.display())).collect();
        Tls::load(&Config::load(&Sources { sets, ..Sources::default() }).unwrap())
    }

    #[tokio::test]
    async fn all_that_is_wrong_with_the_files_is_told_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let [cert, key] = make(folder.path());
        let missing = folder.path().join("missing");
        let loaded = load(&[("tls.cert", &cert), ("tls.key", &key), ("tls.ca", &cert)]).unwrap();
        assert!(loaded.certificate.is_some() && loaded.roots_pem.is_some());
        let loaded = load(&[("tls.ca", &cert)]).unwrap();
        assert!(loaded.certificate.is_none() && loaded.roots_pem.is_some());

        let error = load(&[("tls.cert", &missing), ("tls.key", &key), ("tls.ca", &missing)]).unwrap_err().to_string();
        assert!(error.contains("tls.cert: ") && error.contains("tls.ca: ") && error.contains("missing"), "{error}");
        let error = load(&[("tls.cert", &key), ("tls.key", &key), ("tls.ca", &key)]).unwrap_err().to_string();
        assert_eq!(error.matches("there is no certificate").count(), 2, "{error}");
        std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        let error = load(&[("tls.cert", &cert), ("tls.key", &key)]).unwrap_err().to_string();
        assert!(error.contains("tls.key: ") && error.contains("chmod 600"), "{error}");
    }
}
