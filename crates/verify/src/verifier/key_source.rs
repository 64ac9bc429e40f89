//! Keys for a verifier that follows no feed.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::jose::KeyRing;
use crate::reason::Reason;

#[cfg(feature = "http")]
pub use crate::http_client::JwksUrlError;

/// Where a verifier that follows no feed has its keys from.
#[derive(Clone)]
pub struct KeySource(Source);

#[derive(Clone)]
enum Source {
    Shared(Arc<ArcSwap<KeyRing>>),
    #[cfg(feature = "http")]
    Url(Arc<crate::http_client::JwksUrl>),
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Source::Shared(_) => "KeySource::Shared",
            #[cfg(feature = "http")]
            Source::Url(_) => "KeySource::Url",
        })
    }
}

impl KeySource {
    /// Keys that never change.
    pub fn fixed(ring: KeyRing) -> Self {
        Self::shared(Arc::new(ArcSwap::from_pointee(ring)))
    }

    /// Keys that somebody else keeps up to date.
    pub fn shared(ring: Arc<ArcSwap<KeyRing>>) -> Self {
        Self(Source::Shared(ring))
    }

    /// A JWK Set at a URL (RFC 7517), fetched at first use and again when it has aged, or, at most every 30 s, when a
    /// token names a key that is not in it. Keys that are known are kept while it cannot be fetched.
    ///
    /// # Errors
    /// [`JwksUrlError`].
    #[cfg(feature = "http")]
    pub fn jwks_url(url: &str) -> Result<Self, JwksUrlError> {
        Self::jwks_url_trusting(url, None)
    }

    /// The same, trusting only the certificates in `roots_pem` where it is given.
    ///
    /// # Errors
    /// [`JwksUrlError`].
    #[cfg(feature = "http")]
    pub fn jwks_url_trusting(url: &str, roots_pem: Option<&str>) -> Result<Self, JwksUrlError> {
        crate::http_client::JwksUrl::new(url, roots_pem).map(|source| Self(Source::Url(Arc::new(source))))
    }

    pub(super) async fn ring(&self) -> Result<Arc<KeyRing>, Reason> {
        match &self.0 {
            Source::Shared(ring) => Ok(ring.load_full()),
            #[cfg(feature = "http")]
            Source::Url(url) => url.ring().await.ok_or(Reason::KidUnavailable),
        }
    }

    /// A key is missing: fetches again if that is not too much to ask.
    #[cfg_attr(not(feature = "http"), expect(clippy::unused_async, reason = "only a URL is waited for"))]
    pub(super) async fn look_again(&self) -> Result<Arc<KeyRing>, Reason> {
        match &self.0 {
            Source::Shared(_) => Err(Reason::KidUnknown),
            #[cfg(feature = "http")]
            Source::Url(url) => url.look_again().await,
        }
    }
}
