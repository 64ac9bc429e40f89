//! What the cases are made of.

use super::*;

/// Beginnings that many cases share.
pub(super) trait Fixtures: Backend {
    async fn with_people(&self, ids: &'static [&str]) {
        let write = |tx: &mut dyn Tx| ids.iter().try_for_each(|id| tx.insert_user(&user(id, id)).map(|_| ()));
        self.write::<_, StoreError>(write).await.unwrap();
    }

    async fn with_clients(&self, ids: &'static [&str]) {
        let write = |tx: &mut dyn Tx| ids.iter().try_for_each(|id| tx.insert_client(&client(id)).map(|_| ()));
        self.write::<_, StoreError>(write).await.unwrap();
    }

    async fn with_services(&self, ids: &'static [&str]) {
        let write = |tx: &mut dyn Tx| ids.iter().try_for_each(|id| tx.insert_service(&service(id)).map(|_| ()));
        self.write::<_, StoreError>(write).await.unwrap();
    }

    /// `cars/admin`, `cars/buyer` and `posts/admin`; `u_1`, `u_2` and `web` to hold them.
    async fn with_roles(&self) {
        self.with_people(&["u_1", "u_2"]).await;
        self.with_clients(&["web"]).await;
        self.with_services(&["cars", "posts"]).await;
        let roles = [("cars", "admin"), ("cars", "buyer"), ("posts", "admin")];
        self.write(move |tx| {
            roles.iter().try_for_each(|(of, name)| tx.put_role(&service_id(of), &made_of(name, &[], &[])))
        })
        .await
        .unwrap();
    }

    /// Sessions and whose they are: `u_1` or `u_2`.
    async fn with_sessions(&self, sessions: &'static [(&str, &str)]) {
        self.with_people(&["u_1", "u_2"]).await;
        self.with_clients(&["web"]).await;
        let write = |tx: &mut dyn Tx| sessions.iter().try_for_each(|(id, of)| tx.insert_session(&session(id, of)));
        self.write::<_, StoreError>(write).await.unwrap();
    }

    /// Events by kind and key.
    async fn with_events(&self, events: &'static [(&str, &str)]) {
        let write = |tx: &mut dyn Tx| {
            events.iter().try_for_each(|(kind, key)| tx.append_event(kind, key, "", Timestamp(0)).map(|_| ()))
        };
        self.write::<_, StoreError>(write).await.unwrap();
    }
}

impl<B: Backend> Fixtures for B {}

/// Everything that a list has, in pages of every small size, which must agree.
pub(super) async fn pages(
    store: &impl Backend,
    list: impl Fn(&dyn Tx, &Page) -> Result<Vec<String>, StoreError> + Copy + Send + 'static,
) -> Vec<String> {
    let whole = store.read(move |tx| list(tx, &Page { after: None, limit: 200 })).await.unwrap();
    for limit in 1..4 {
        let mut found: Vec<String> = Vec::new();
        loop {
            let page = Page { after: found.last().cloned(), limit };
            let items = store.read(move |tx| list(tx, &page)).await.unwrap();
            assert!(items.len() <= limit);
            if items.is_empty() {
                break;
            }
            found.extend(items);
        }
        assert_eq!(found, whole, "in pages of {limit}");
    }
    assert!(store.read(move |tx| list(tx, &Page { after: None, limit: 0 })).await.unwrap().is_empty());
    whole
}

pub(super) fn user(id: &str, username: &str) -> User {
    User {
        id: user_id(id),
        username: username.to_owned(),
        email: None,
        password_hash: Some("$argon2id$".to_owned()),
        disabled: false,
        ended_seq: 0,
        created_at: Timestamp(1_795_356_000_123),
        version: 1,
    }
}

pub(super) fn client(id: &str) -> Client {
    Client::named(client_id(id), "", Timestamp(1_795_356_000_123))
}

pub(super) fn service(id: &str) -> Service {
    Service {
        id: service_id(id),
        alg: SigningAlg::Ed25519,
        resource_uri: None,
        access_ttl_s: None,
        rotate_every_s: None,
        created_at: Timestamp(1_795_356_000_123),
        version: 1,
    }
}

pub(super) fn key(kid: &str, of: &str, state: KeyState) -> SealedKey {
    SealedKey {
        kid: kid.parse().unwrap(),
        service: service_id(of),
        alg: SigningAlg::Rs256,
        state,
        public_spki: vec![0, 1, 255],
        sealed_pkcs8: kid.as_bytes().to_vec(),
        created_at: Timestamp(1_000),
        published_seq: None,
        promoted_at: None,
        activated_at: None,
        until: None,
    }
}

pub(super) fn role(service: &str, name: &str) -> RoleGrant {
    RoleGrant { service: service_id(service), role: name.parse().unwrap() }
}

pub(super) fn made_of(name: &str, permissions: &[&str], inherits: &[&str]) -> Role {
    Role {
        name: name.parse().unwrap(),
        permissions: permissions.iter().map(|text| text.parse().unwrap()).collect(),
        inherits: inherits.iter().map(|text| text.parse().unwrap()).collect(),
        version: 1,
    }
}

pub(super) fn session(id: &str, of: &str) -> Session {
    Session {
        id: session_id(id),
        user_id: user_id(of),
        client_id: client_id("web"),
        epoch: 0,
        scope: None,
        created_at: Timestamp(1_000),
        expires_at: Timestamp(3_000),
        token_key: None,
        ended_at: None,
        origin: SessionOrigin::default(),
    }
}

pub(super) fn token(n: u8, of: &str) -> RefreshToken {
    RefreshToken {
        place: place(n, of),
        hash: hash(n),
        created_at: Timestamp(n.into()),
        last_use: LastUse { at: Timestamp(n.into()), idle_expires_at: Timestamp(2_000) },
        rotation: None,
    }
}

pub(super) fn place(n: u8, of: &str) -> TokenPlace {
    TokenPlace { session_id: session_id(of), number: n.into() }
}

pub(super) fn hash(n: u8) -> HashedSecret {
    HashedSecret::from_bytes([n; 32])
}

pub(super) fn user_id(text: &str) -> UserId {
    text.parse().unwrap()
}

pub(super) fn client_id(text: &str) -> ClientId {
    text.parse().unwrap()
}

pub(super) fn service_id(text: &str) -> ServiceId {
    text.parse().unwrap()
}

pub(super) fn session_id(text: &str) -> SessionId {
    text.parse().unwrap()
}
