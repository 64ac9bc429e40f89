//! Data of an earlier version is brought up to date with nothing lost.

use std::path::Path;

use propusk_core::env::Timestamp;
use propusk_core::secret::HashedSecret;
use propusk_core::store::{AuthMethod, Holder, Page, RoleGrant, StoreError};
use refinery::Target;
use rusqlite::Connection;

use super::examine::Examination;
use super::open::{embedded, known_version};
use super::{SqliteStore, Synchronous};

/// What the first version may have written; every later one takes it, too.
const FIRST: &str = "
    INSERT INTO users (id, username, email, password_hash, disabled, ended_seq, created_at)
        VALUES ('u_1', 'ann', 'ann@example.org', '$argon2id$', 0, 7, 1000);
    INSERT INTO clients (id, name, secret, first_party, grant_types, audiences, disabled, created_at)
        VALUES ('web', 'Web', zeroblob(32), 1, '[\"password\"]', '[\"cars\"]', 0, 1000);
    INSERT INTO services (id, alg, resource_uri, access_ttl_s, created_at) VALUES ('cars', 'Ed25519', NULL, 60, 1000);
    INSERT INTO keys (kid, service, alg, state, public_spki, sealed_pkcs8, created_at, activated_at)
        VALUES ('k1', 'cars', 'Ed25519', 'active', x'01', x'02', 1000, 1000);
    INSERT INTO roles (service, role) VALUES ('cars', 'buyer');
    INSERT INTO role_permissions (service, role, permission) VALUES ('cars', 'buyer', 'cars:buy');
    INSERT INTO user_roles (user_id, service, role) VALUES ('u_1', 'cars', 'buyer');
    UPDATE log SET head = 9;
";

#[tokio::test]
async fn every_earlier_version_is_brought_up_to_date() {
    let known = known_version();
    for version in 1..=known {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut earlier = Connection::open(&path).unwrap();
        embedded::migrations::runner().set_target(Target::Version(version)).run(&mut earlier).unwrap();
        earlier.execute_batch(FIRST).unwrap();
        drop(earlier);
        let examination = Examination::of(&path).unwrap();
        assert_eq!((examination.schema(), examination.faults().unwrap()), (version, vec![]));
        // The second time there is nothing left to do.
        for _ in 0..2 {
            expect_all_of_it(&path).await;
            let examination = Examination::of(&path).unwrap();
            assert_eq!((examination.schema(), examination.faults().unwrap()), (known, vec![]), "from {version}");
        }
    }
}

/// Refresh tokens of before do not name their place: they get one, in the order in which they followed each other. The last
/// one knows when its session was used.
#[tokio::test]
async fn refresh_tokens_of_before_are_the_last_before_the_first() {
    const CHAIN: &str = "
        INSERT INTO sessions (id, user_id, client_id, epoch, created_at, last_used_at, idle_expires_at, expires_at)
            VALUES ('s_1', 'u_1', 'web', 0, 1, 8, 28, 99), ('s_2', 'u_1', 'web', 0, 1, 4, 24, 99);
        INSERT INTO refresh_tokens (hash, session_id, created_at, rotated_at, successor, sealed_successor) VALUES
            (unhex(replace(hex(zeroblob(32)), '00', '0A')), 's_1', 5, 7, zeroblob(32), x'BB'),
            (unhex(replace(hex(zeroblob(32)), '00', '0B')), 's_1', 7, NULL, NULL, NULL),
            (unhex(replace(hex(zeroblob(32)), '00', '0C')), 's_1', 3, 5, zeroblob(32), x'AA'),
            (unhex(replace(hex(zeroblob(32)), '00', '0D')), 's_2', 3, NULL, NULL, NULL);";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let mut earlier = Connection::open(&path).unwrap();
    embedded::migrations::runner().set_target(Target::Version(6)).run(&mut earlier).unwrap();
    earlier.execute_batch(FIRST).unwrap();
    earlier.execute_batch(CHAIN).unwrap();
    drop(earlier);
    let store = SqliteStore::open(&path, Synchronous::Off).unwrap();
    let found = store.read(|tx| {
        let find = |byte: u8| tx.refresh_token_without_place(&HashedSecret::from_bytes([byte; 32]));
        [0x0C, 0x0A, 0x0B, 0x0D].into_iter().map(find).collect::<Result<Vec<_>, StoreError>>()
    });
    let found: Vec<_> = found.await.unwrap().into_iter().map(Option::unwrap).collect();
    let places: Vec<_> = found.iter().map(|at| (at.place.session_id.as_str(), at.place.number)).collect();
    assert_eq!(places, [("s_1", -3), ("s_1", -2), ("s_1", -1), ("s_2", -1)]);
    let last_use: Vec<_> = found.iter().skip(2).map(|at| (at.last_use.at.0, at.last_use.idle_expires_at.0)).collect();
    assert_eq!(last_use, [(8, 28), (4, 24)]);
    let sealed: Vec<_> = found.into_iter().map(|at| at.rotation.map(|used| used.sealed_successor)).collect();
    assert_eq!(sealed, [Some(vec![0xAA]), Some(vec![0xBB]), None, None]);
    store.close().await;
}

async fn expect_all_of_it(path: &Path) {
    let store = SqliteStore::open(path, Synchronous::Off).unwrap();
    let read = store.read(|tx| {
        let buyer = RoleGrant { service: "cars".parse().unwrap(), role: "buyer".parse().unwrap() };
        let ann = "u_1".parse().unwrap();
        let user = tx.user(&ann)?.unwrap();
        assert_eq!((user.username.as_str(), user.ended_seq, user.version), ("ann", 7, 1));
        let client = tx.client(&"web".parse().unwrap())?.unwrap();
        assert_eq!((client.auth_method, client.version), (AuthMethod::ClientSecretBasic, 1));
        assert!(client.secret.is_some() && client.previous_secret.is_none() && client.redirect_uris.is_empty());
        let service = tx.service(&buyer.service)?.unwrap();
        assert_eq!((service.access_ttl_s, service.created_at, service.version), (Some(60), Timestamp(1000), 1));
        assert_eq!(service.rotate_every_s, None);
        assert_eq!(tx.keys_of(&buyer.service)?.len(), 1);
        let role = tx.role(&buyer)?.unwrap();
        assert_eq!((role.permissions.len(), role.inherits.len()), (1, 0));
        assert_eq!(tx.roles_of_holder(&Holder::User(ann))?, [buyer]);
        assert_eq!(tx.groups(&Page { after: None, limit: 9 })?, []);
        assert_eq!(tx.log_state()?.head, 9);
        Ok::<_, StoreError>(())
    });
    read.await.unwrap();
    store.close().await;
}
