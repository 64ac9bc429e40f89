//! The authority's private keys, as somebody has them who took its files and its key-encryption key: the tests of what
//! a leaked key can do, and of every check that comes after a good signature.

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::Ed25519KeyPair;
use rusqlite::{Connection, OpenFlags};

use crate::forge::{Key, unb64};
use crate::system::System;

/// A private key and the id under which its public half is published.
pub struct Leaked {
    /// `kid`.
    pub kid: String,
    /// What signs.
    pub key: Key,
}

impl Leaked {
    /// The key that signs for an audience now.
    pub fn of(system: &System, audience: &str) -> Self {
        let kek = std::fs::read_to_string(system.ready.data.join("kek")).expect("the key-encryption key");
        let kek = RandomizedNonceKey::new(&AES_256_GCM, &unb64(kek.trim())).expect("32 bytes");
        let (kid, alg, sealed) = stored(&system.ready.data, audience);
        let context = format!("propusk signing key v1/{audience}/{kid}");
        let (body, nonce) = sealed.split_last_chunk::<12>().expect("a nonce at the end");
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let pkcs8 = kek.open_in_place(nonce, Aad::from(context.as_bytes()), &mut body).expect("opens");
        let key = match alg.as_str() {
            "Ed25519" => Key::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).expect("a key")),
            "RS256" => Key::Rsa(RsaKeyPair::from_pkcs8(pkcs8).expect("a key")),
            other => panic!("an algorithm that the tests do not know: {other}"),
        };
        Self { kid, key }
    }
}

/// Key id, algorithm and sealed private part of the key that signs for `audience`.
fn stored(data: &Path, audience: &str) -> (String, String, Vec<u8>) {
    // A copy: the original belongs to a running process.
    let copy = tempfile::tempdir().expect("a folder");
    for file in std::fs::read_dir(data).expect("the data directory") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with("authority.db") && !name.ends_with("-shm") {
            std::fs::copy(&path, copy.path().join(name)).expect("copied");
        }
    }
    let database = Connection::open_with_flags(copy.path().join("authority.db"), OpenFlags::SQLITE_OPEN_READ_WRITE);
    let row = database.expect("the authority's database").query_row(
        "SELECT kid, alg, sealed_pkcs8 FROM keys WHERE service = ?1 AND state = 'active'",
        [audience],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    );
    row.expect("the active key")
}
