//! Making key pairs and signing with them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use zeroize::Zeroizing;

use super::kek::Kek;
use super::ring::{KeyMaterialError, thumbprint};
use crate::env::Env;
use crate::id::{Kid, ServiceId};
use crate::mint::UnsignedToken;
use crate::store::{KeyState, SealedKey, SigningAlg};

/// Why a token was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key cannot be opened or parsed.
    #[error(transparent)]
    Material(#[from] KeyMaterialError),
    /// The algorithm refused to work.
    #[error("signing failed")]
    Algorithm,
}

enum OpenKey {
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

/// Makes a staged key pair for a service.
pub(super) fn generate(
    kek: &Kek,
    service: &ServiceId,
    alg: SigningAlg,
    env: Env<'_>,
) -> Result<SealedKey, KeyMaterialError> {
    let (pkcs8, public_spki) = match alg {
        SigningAlg::Ed25519 => generate_ed25519()?,
        SigningAlg::Rs256 => generate_rsa()?,
    };
    let kid: Kid = thumbprint(alg, &public_spki)?.parse().map_err(|_| KeyMaterialError)?;
    let sealed_pkcs8 = kek.seal(&context(service, &kid), &pkcs8).map_err(|_| KeyMaterialError)?;
    Ok(SealedKey {
        kid,
        service: service.clone(),
        alg,
        state: KeyState::Staged,
        public_spki,
        sealed_pkcs8,
        created_at: env.now,
        published_seq: None,
        promoted_at: None,
        activated_at: None,
        until: None,
    })
}

type Pair = (Zeroizing<Vec<u8>>, Vec<u8>);

fn generate_ed25519() -> Result<Pair, KeyMaterialError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| KeyMaterialError)?;
    let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyMaterialError)?;
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyMaterialError)?;
    Ok((Zeroizing::new(pkcs8.as_ref().to_vec()), spki.as_ref().to_vec()))
}

fn generate_rsa() -> Result<Pair, KeyMaterialError> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyMaterialError)?;
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyMaterialError)?;
    let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| KeyMaterialError)?;
    Ok((Zeroizing::new(pkcs8.as_ref().to_vec()), spki.as_ref().to_vec()))
}

/// What a sealed private key is bound to: moved to another ring in the database, it does not open.
fn context(service: &ServiceId, kid: &Kid) -> String {
    format!("propusk signing key v1/{service}/{kid}")
}

/// Signs tokens; keeps opened private keys in memory, never elsewhere.
pub struct Signer {
    kek: Kek,
    open: Mutex<HashMap<Kid, Arc<OpenKey>>>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    /// A signer that opens stored keys with `kek`.
    pub fn new(kek: Kek) -> Self {
        Self { kek, open: Mutex::default() }
    }

    /// The key-encryption key, for making further keys.
    pub fn kek(&self) -> &Kek {
        &self.kek
    }

    /// Forgets opened keys but these, which sign now.
    pub fn keep_only<'a>(&self, active: impl IntoIterator<Item = &'a Kid>) {
        let active: HashSet<&Kid> = active.into_iter().collect();
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|kid, _| active.contains(kid));
    }

    /// The compact form (RFC 7515) of a token. RSA takes about a millisecond, so this runs outside any transaction.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn sign(&self, token: &UnsignedToken) -> Result<Zeroizing<String>, SigningError> {
        let key = self.opened(&token.key)?;
        let header = format!(r#"{{"alg":"{}","kid":"{}","typ":"at+jwt"}}"#, token.key.alg.jws_alg(), token.key.kid);
        let header = Base64UrlUnpadded::encode_string(header.as_bytes());
        let claims = Base64UrlUnpadded::encode_string(&token.claims_json);
        let mut compact = Zeroizing::new(format!("{header}.{claims}"));
        let signature = key.sign(compact.as_bytes())?;
        compact.push('.');
        compact.push_str(&Base64UrlUnpadded::encode_string(&signature));
        Ok(compact)
    }

    /// Whether the stored key opens: to be asked at the start, so that a wrong key-encryption key is found at once.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn probe(&self, key: &SealedKey) -> Result<(), SigningError> {
        self.opened(key).map(|_| ())
    }

    fn opened(&self, key: &SealedKey) -> Result<Arc<OpenKey>, SigningError> {
        if let Some(open) = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&key.kid) {
            return Ok(Arc::clone(open));
        }
        let pkcs8 = self.kek.open(&context(&key.service, &key.kid), &key.sealed_pkcs8).map_err(|_| KeyMaterialError)?;
        let open = Arc::new(match key.alg {
            SigningAlg::Ed25519 => OpenKey::Ed25519(Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| KeyMaterialError)?),
            SigningAlg::Rs256 => OpenKey::Rsa(RsaKeyPair::from_pkcs8(&pkcs8).map_err(|_| KeyMaterialError)?),
        });
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(key.kid.clone(), Arc::clone(&open));
        Ok(open)
    }
}

impl OpenKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match self {
            Self::Ed25519(pair) => {
                pair.try_sign(message).map(|s| s.as_ref().to_vec()).map_err(|_| SigningError::Algorithm)
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let random = aws_lc_rs::rand::SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| SigningError::Algorithm)?;
                Ok(signature)
            }
        }
    }
}
