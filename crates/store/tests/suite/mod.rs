//! What every backend of the storage traits has to do. A backend's test says
//!
//! ```ignore
//! mod suite;
//! conformance!(open);
//! ```
//!
//! where `open` is an `async fn` that answers a [`Backend`] over an empty store, and gets a test for each case.

mod directory;

use std::sync::mpsc;
use std::time::Duration;

use propusk_core::env::Timestamp;
use propusk_core::id::{ClientId, ServiceId, SessionId, UserId};
use propusk_core::secret::HashedSecret;
use propusk_core::store::{
    AuditEntry, AuditFilter, AuthMethod, Client, ExchangeRule, GrantType, Holder, KeyState, LogRow, LogState, Page,
    PreviousSecret, RefreshToken, Role, RoleGrant, Rotation, SealedKey, Service, Session, SessionOrigin, SigningAlg,
    StoreError, StoredAuditEntry, SubjectKind, Tx, User,
};

pub(crate) use directory::*;

/// A store that the suite can run on.
pub(crate) trait Backend: Send + Sync {
    /// Runs a job that reads.
    fn read<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        job: impl FnOnce(&dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> impl Future<Output = Result<T, E>> + Send;

    /// Runs a job that writes.
    fn write<T: Send + 'static, E: From<StoreError> + Send + 'static>(
        &self,
        job: impl FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    ) -> impl Future<Output = Result<T, E>> + Send;
}

/// A test for each case, over the store that `$open` answers.
macro_rules! conformance {
    ($open:path) => {
        $crate::conformance!(
            $open:
            a_user_is_read_back_by_id_and_name,
            a_username_is_given_once,
            a_user_is_updated_but_for_name_and_creation,
            users_come_in_pages_in_order_of_id,
            a_person_is_renamed_to_a_name_that_is_free,
            a_client_is_read_back,
            a_client_id_is_given_once,
            a_client_is_updated_but_for_its_creation,
            clients_come_in_pages_in_order_of_id,
            a_service_is_read_back_by_id_and_uri,
            a_service_id_and_a_uri_are_given_once,
            services_come_in_pages_in_order_of_id,
            a_service_is_changed_to_a_uri_that_is_free,
            keys_come_in_order,
            a_ring_has_one_active_key,
            a_key_belongs_to_a_service_and_is_there_once,
            a_key_lives_on_and_goes,
            keys_are_published_once,
            a_role_is_put_and_put_again,
            a_role_is_given_and_taken_once,
            holders_roles_come_in_order_and_people_are_not_clients,
            only_those_who_are_not_disabled_are_active_holders,
            roles_come_in_pages_with_what_they_are_made_of,
            a_role_inherits_only_what_is_there,
            a_role_is_deleted_with_all_that_refers_to_it,
            subjects_of_a_role_are_found_through_groups_too,
            a_group_is_made_once_and_deleted_whole,
            groups_and_members_come_in_pages_in_order_of_id,
            a_member_is_added_and_removed_once,
            group_roles_of_a_person_come_in_order,
            a_person_is_deleted_with_everything,
            a_client_is_deleted_with_everything,
            a_service_is_deleted_with_everything,
            an_answer_is_kept_replaced_and_forgotten,
            a_role_of_nothing_cannot_be_given,
            an_exchange_rule_is_put_and_replaced,
            a_session_is_read_back_whole,
            sessions_come_in_pages_without_the_ended,
            a_session_ends_once,
            all_sessions_of_a_person_end,
            a_session_is_touched,
            a_refresh_token_is_used_once,
            a_refresh_token_needs_a_session_and_is_there_once,
            expired_sessions_are_forgotten_with_their_tokens,
            events_follow_each_other,
            the_last_event_of_a_key_is_found,
            events_are_read_in_pages,
            limits_only_grow_and_are_kept_with_the_events,
            events_that_the_floor_passed_are_dropped,
            the_longest_lease_only_grows,
            numbers_that_do_not_fit_are_refused,
            audit_entries_come_newest_first_in_pages,
            audit_entries_are_filtered_by_every_condition,
            a_job_that_fails_leaves_nothing_behind,
            a_write_sees_what_it_wrote_and_what_was_written_before,
            a_read_sees_one_snapshot,
            a_read_sees_what_was_acknowledged_before_it
        );
    };
    ($open:path: $($case:ident),*) => {$(
        #[tokio::test]
        async fn $case() {
            suite::$case(&$open().await).await;
        }
    )*};
}
pub(crate) use conformance;

// People.

pub(crate) async fn a_user_is_read_back_by_id_and_name(store: &impl Backend) {
    let full = User {
        email: Some("ann@example.org".to_owned()),
        password_hash: Some("$argon2id$…".to_owned()),
        disabled: true,
        ended_seq: 7,
        ..user("u_full", "анна")
    };
    let empty = User { email: None, password_hash: None, ..user("u_empty", "bob") };
    for user in [full, empty] {
        let new = user.clone();
        assert!(store.write(move |tx| tx.insert_user(&new)).await.unwrap());
        let (id, name) = (user.id.clone(), user.username.clone());
        let found = store.read(move |tx| Ok::<_, StoreError>((tx.user(&id)?, tx.user_by_username(&name)?)));
        assert_eq!(found.await.unwrap(), (Some(user.clone()), Some(user)));
    }
    let missing = store.read(|tx| Ok::<_, StoreError>((tx.user(&user_id("u_none"))?, tx.user_by_username("Bob")?)));
    assert_eq!(missing.await.unwrap(), (None, None));
}

pub(crate) async fn a_username_is_given_once(store: &impl Backend) {
    store.with_people(&["u_1"]).await;
    let second = User { username: "u_1".to_owned(), ..user("u_2", "") };
    assert!(!store.write(move |tx| tx.insert_user(&second)).await.unwrap());
    assert_eq!(store.read(|tx| tx.user(&user_id("u_2"))).await.unwrap(), None);
    // An id that is there is no answer but a failure: ids are drawn, not chosen.
    let same_id = user("u_1", "other");
    assert!(store.write(move |tx| tx.insert_user(&same_id)).await.is_err());
    assert_eq!(store.read(|tx| tx.user_by_username("other")).await.unwrap(), None);
}

pub(crate) async fn a_user_is_updated_but_for_name_and_creation(store: &impl Backend) {
    store.with_people(&["u_1", "u_2"]).await;
    let changed = User {
        email: Some("new@example.org".to_owned()),
        password_hash: None,
        disabled: true,
        ended_seq: 9,
        ..user("u_1", "renamed")
    };
    let change = User { created_at: Timestamp(1), ..changed.clone() };
    store.write(move |tx| tx.update_user(&change)).await.unwrap();
    let [first, second] = ["u_1", "u_2"].map(|id| store.read(move |tx| tx.user(&user_id(id))));
    assert_eq!(first.await.unwrap(), Some(User { username: "u_1".to_owned(), version: 2, ..changed }));
    assert_eq!(second.await.unwrap(), Some(user("u_2", "u_2")));
    let unknown = user("u_3", "u_3");
    assert!(store.write(move |tx| tx.update_user(&unknown)).await.is_err());
}

pub(crate) async fn users_come_in_pages_in_order_of_id(store: &impl Backend) {
    store.with_people(&["u_b", "u_C", "u_a", "u_10", "u_9", "u_-"]).await;
    let all = pages(store, |tx, page| Ok(tx.users(page)?.into_iter().map(|user| user.id.to_string()).collect())).await;
    assert_eq!(all, ["u_-", "u_10", "u_9", "u_C", "u_a", "u_b"], "in the order of their bytes");
}

// Clients.

pub(crate) async fn a_client_is_read_back(store: &impl Backend) {
    let full = Client {
        name: "A \"client\", with\nlines".to_owned(),
        secret: Some(hash(3)),
        previous_secret: Some(PreviousSecret { secret: hash(4), until: Timestamp(9) }),
        auth_method: AuthMethod::ClientSecretPost,
        redirect_uris: vec!["https://app.example/cb?a=\"b\"".to_owned()],
        first_party: true,
        grant_types: vec![GrantType::TokenExchange, GrantType::Password],
        audiences: vec![service_id("posts"), service_id("cars")],
        disabled: true,
        ..client("full")
    };
    for client in [full, client("empty")] {
        let new = client.clone();
        assert!(store.write(move |tx| tx.insert_client(&new)).await.unwrap());
        let id = client.id.clone();
        assert_eq!(store.read(move |tx| tx.client(&id)).await.unwrap(), Some(client));
    }
    assert_eq!(store.read(|tx| tx.client(&client_id("none"))).await.unwrap(), None);
}

pub(crate) async fn a_client_id_is_given_once(store: &impl Backend) {
    store.with_clients(&["web"]).await;
    let second = Client { name: "another".to_owned(), ..client("web") };
    assert!(!store.write(move |tx| tx.insert_client(&second)).await.unwrap());
    assert_eq!(store.read(|tx| tx.client(&client_id("web"))).await.unwrap(), Some(client("web")));
}

pub(crate) async fn a_client_is_updated_but_for_its_creation(store: &impl Backend) {
    store.with_clients(&["web", "other"]).await;
    let changed = Client {
        name: "renamed".to_owned(),
        secret: Some(hash(9)),
        previous_secret: Some(PreviousSecret { secret: hash(4), until: Timestamp(9) }),
        auth_method: AuthMethod::ClientSecretPost,
        redirect_uris: vec!["https://app.example/cb".to_owned()],
        first_party: true,
        grant_types: vec![GrantType::ClientCredentials, GrantType::RefreshToken],
        audiences: vec![service_id("cars")],
        disabled: true,
        ..client("web")
    };
    let change = Client { created_at: Timestamp(1), ..changed.clone() };
    store.write(move |tx| tx.update_client(&change)).await.unwrap();
    let [first, second] = ["web", "other"].map(|id| store.read(move |tx| tx.client(&client_id(id))));
    assert_eq!(first.await.unwrap(), Some(Client { version: 2, ..changed }));
    assert_eq!(second.await.unwrap(), Some(client("other")));
    assert!(store.write(|tx| tx.update_client(&client("none"))).await.is_err());
}

pub(crate) async fn clients_come_in_pages_in_order_of_id(store: &impl Backend) {
    store.with_clients(&["b", "C", "a", "10", "9"]).await;
    let all = pages(store, |tx, page| Ok(tx.clients(page)?.into_iter().map(|found| found.id.to_string()).collect()));
    assert_eq!(all.await, ["10", "9", "C", "a", "b"]);
}

// Services.

pub(crate) async fn a_service_is_read_back_by_id_and_uri(store: &impl Backend) {
    let full = Service {
        alg: SigningAlg::Rs256,
        resource_uri: Some("https://cars.example/api".to_owned()),
        access_ttl_s: Some(u32::MAX),
        ..service("cars")
    };
    for service in [full.clone(), service("posts")] {
        let new = service.clone();
        assert!(store.write(move |tx| tx.insert_service(&new)).await.unwrap());
        let id = service.id.clone();
        assert_eq!(store.read(move |tx| tx.service(&id)).await.unwrap(), Some(service));
    }
    let by_uri = |uri: &'static str| store.read(move |tx| tx.service_by_resource(uri));
    assert_eq!(by_uri("https://cars.example/api").await.unwrap(), Some(full));
    assert_eq!(by_uri("https://cars.example/API").await.unwrap(), None);
    assert_eq!(by_uri("").await.unwrap(), None);
    assert_eq!(store.read(|tx| tx.service(&service_id("none"))).await.unwrap(), None);
}

pub(crate) async fn a_service_id_and_a_uri_are_given_once(store: &impl Backend) {
    let cars = Service { resource_uri: Some("urn:cars".to_owned()), ..service("cars") };
    for (new, taken) in [
        (cars.clone(), false),
        (Service { alg: SigningAlg::Rs256, ..service("cars") }, true),
        (Service { resource_uri: Some("urn:cars".to_owned()), ..service("posts") }, true),
        // Any number of services have no URI.
        (service("users"), false),
        (service("vans"), false),
    ] {
        assert_eq!(store.write(move |tx| tx.insert_service(&new)).await.unwrap(), !taken);
    }
    assert_eq!(store.read(|tx| tx.service(&service_id("cars"))).await.unwrap(), Some(cars));
    assert_eq!(store.read(|tx| tx.service(&service_id("posts"))).await.unwrap(), None);
}

pub(crate) async fn services_come_in_pages_in_order_of_id(store: &impl Backend) {
    store.with_services(&["posts", "cars", "users", "a9", "a10", "a-"]).await;
    let all = pages(store, |tx, page| Ok(tx.services(page)?.into_iter().map(|found| found.id.to_string()).collect()));
    assert_eq!(all.await, ["a-", "a10", "a9", "cars", "posts", "users"]);
}

// Keys.

pub(crate) async fn keys_come_in_order(store: &impl Backend) {
    store.with_services(&["posts", "cars", "empty"]).await;
    let made = |kid, of, state, at| SealedKey { created_at: Timestamp(at), ..key(kid, of, state) };
    let keys = [
        made("k1", "posts", KeyState::Active, 30),
        made("k2", "posts", KeyState::Revoked, 10),
        made("k3", "cars", KeyState::Staged, 20),
        made("k4", "cars", KeyState::Retiring, 5),
        SealedKey { activated_at: Some(Timestamp(21)), ..made("k5", "cars", KeyState::Active, 20) },
    ];
    let all = keys.clone();
    store.write(move |tx| all.iter().try_for_each(|key| tx.insert_key(key))).await.unwrap();
    let kids = |keys: Vec<SealedKey>| keys.iter().map(|key| key.kid.to_string()).collect::<Vec<_>>();
    assert_eq!(kids(store.read(|tx| tx.all_keys()).await.unwrap()), ["k4", "k3", "k5", "k2", "k1"]);
    assert_eq!(kids(store.read(|tx| tx.keys_of(&service_id("posts"))).await.unwrap()), ["k2", "k1"]);
    assert_eq!(store.read(|tx| tx.keys_of(&service_id("empty"))).await.unwrap(), []);
    assert_eq!(store.read(|tx| tx.active_key(&service_id("cars"))).await.unwrap(), Some(keys[4].clone()));
    assert_eq!(store.read(|tx| tx.active_key(&service_id("empty"))).await.unwrap(), None);
}

pub(crate) async fn a_ring_has_one_active_key(store: &impl Backend) {
    store.with_services(&["cars", "posts"]).await;
    let insert = |kid, of, state| store.write(move |tx| tx.insert_key(&key(kid, of, state)));
    insert("k1", "cars", KeyState::Active).await.unwrap();
    insert("k2", "posts", KeyState::Active).await.unwrap();
    for (kid, state) in [("k3", KeyState::Staged), ("k4", KeyState::Staged), ("k5", KeyState::Retiring)] {
        insert(kid, "cars", state).await.unwrap();
    }
    assert!(insert("k6", "cars", KeyState::Active).await.is_err());
    let active = store.read(|tx| tx.active_key(&service_id("cars"))).await.unwrap();
    assert_eq!(active, Some(key("k1", "cars", KeyState::Active)));
}

pub(crate) async fn a_key_belongs_to_a_service_and_is_there_once(store: &impl Backend) {
    store.with_services(&["cars", "posts"]).await;
    let insert = |kid, of| store.write(move |tx| tx.insert_key(&key(kid, of, KeyState::Staged)));
    insert("k1", "cars").await.unwrap();
    assert!(insert("k1", "posts").await.is_err());
    assert!(insert("k2", "none").await.is_err());
    assert_eq!(store.read(|tx| tx.all_keys()).await.unwrap(), [key("k1", "cars", KeyState::Staged)]);
}

pub(crate) async fn a_key_lives_on_and_goes(store: &impl Backend) {
    store.with_services(&["cars"]).await;
    let staged = SealedKey { published_seq: Some(7), ..key("k1", "cars", KeyState::Staged) };
    let retired = SealedKey {
        state: KeyState::Retiring,
        promoted_at: Some(Timestamp(20)),
        activated_at: Some(Timestamp(30)),
        until: Some(40),
        ..staged.clone()
    };
    // No more of it changes.
    let update = SealedKey { public_spki: vec![9], sealed_pkcs8: vec![9], published_seq: Some(9), ..retired.clone() };
    store.write(move |tx| tx.insert_key(&staged)).await.unwrap();
    store.write(move |tx| tx.update_key(&update)).await.unwrap();
    let read = || store.read(|tx| tx.key(&"k1".parse().unwrap()));
    assert_eq!(read().await.unwrap(), Some(retired));
    let delete = || store.write(|tx| tx.delete_key(&"k1".parse().unwrap()));
    delete().await.unwrap();
    assert_eq!(read().await.unwrap(), None);
    assert!(delete().await.is_err());
    assert!(store.write(|tx| tx.update_key(&key("k1", "cars", KeyState::Revoked))).await.is_err());
}

pub(crate) async fn keys_are_published_once(store: &impl Backend) {
    store.with_services(&["cars", "posts"]).await;
    let (first, other) = (key("k1", "cars", KeyState::Active), key("k2", "posts", KeyState::Active));
    store.write(move |tx| [first, other].iter().try_for_each(|key| tx.insert_key(key))).await.unwrap();
    store.write(|tx| tx.publish_keys(&service_id("cars"), 5)).await.unwrap();
    store.write(|tx| tx.insert_key(&key("k3", "cars", KeyState::Staged))).await.unwrap();
    store.write(|tx| tx.publish_keys(&service_id("cars"), 6)).await.unwrap();
    let all = store.read(|tx| tx.all_keys()).await.unwrap();
    let published: Vec<_> = all.iter().map(|key| (key.kid.as_str(), key.published_seq)).collect();
    assert_eq!(published, [("k1", Some(5)), ("k3", Some(6)), ("k2", None)]);
}

// Roles; more in their own file.

pub(crate) async fn a_role_is_given_and_taken_once(store: &impl Backend) {
    store.with_roles().await;
    for holder in [Holder::User(user_id("u_1")), Holder::Client(client_id("web"))] {
        let [given, again, held, taken, gone, left] = store
            .write(move |tx| {
                let buyer = role("cars", "buyer");
                Ok::<_, StoreError>([
                    tx.give_role(&holder, &buyer)?,
                    tx.give_role(&holder, &buyer)?,
                    tx.roles_of_holder(&holder)? == [buyer.clone()],
                    tx.take_role(&holder, &buyer)?,
                    tx.take_role(&holder, &buyer)?,
                    !tx.roles_of_holder(&holder)?.is_empty(),
                ])
            })
            .await
            .unwrap();
        assert_eq!([given, again, held, taken, gone, left], [true, false, true, true, false, false]);
    }
}

pub(crate) async fn holders_roles_come_in_order_and_people_are_not_clients(store: &impl Backend) {
    store.with_roles().await;
    let (person, client) = (Holder::User(user_id("u_1")), Holder::Client(client_id("web")));
    let [of_person, of_client] = store
        .write(move |tx| {
            for (service, name) in [("posts", "admin"), ("cars", "buyer"), ("cars", "admin")] {
                tx.give_role(&person, &role(service, name))?;
            }
            tx.give_role(&client, &role("posts", "admin"))?;
            Ok::<_, StoreError>([tx.roles_of_holder(&person)?, tx.roles_of_holder(&client)?])
        })
        .await
        .unwrap();
    assert_eq!(of_person, [role("cars", "admin"), role("cars", "buyer"), role("posts", "admin")]);
    assert_eq!(of_client, [role("posts", "admin")]);
}

pub(crate) async fn a_role_of_nothing_cannot_be_given(store: &impl Backend) {
    store.with_roles().await;
    let give = |holder, role| store.write(move |tx| tx.give_role(&holder, &role));
    assert!(give(Holder::User(user_id("u_1")), role("cars", "none")).await.is_err());
    assert!(give(Holder::User(user_id("u_none")), role("cars", "buyer")).await.is_err());
    assert!(give(Holder::Client(client_id("none")), role("cars", "buyer")).await.is_err());
}

// Exchange rules.

pub(crate) async fn an_exchange_rule_is_put_and_replaced(store: &impl Backend) {
    store.with_services(&["cars", "users", "posts"]).await;
    store.with_clients(&["cars", "posts"]).await;
    let rule = |subjects: &[SubjectKind], from: &[&str]| ExchangeRule {
        actor: client_id("cars"),
        audience: service_id("users"),
        subjects: subjects.to_vec(),
        from: from.iter().copied().map(service_id).collect(),
    };
    let find = |actor, audience| store.read(move |tx| tx.exchange_rule(&client_id(actor), &service_id(audience)));
    assert_eq!(find("cars", "users").await.unwrap(), None);
    for rule in [
        rule(&[SubjectKind::User, SubjectKind::Client], &["cars", "posts"]),
        rule(&[SubjectKind::Client], &["posts"]),
        rule(&[], &[]),
    ] {
        let put = rule.clone();
        store.write(move |tx| tx.put_exchange_rule(&put)).await.unwrap();
        assert_eq!(find("cars", "users").await.unwrap(), Some(rule));
    }
    assert_eq!(find("cars", "posts").await.unwrap(), None);
    assert_eq!(find("posts", "users").await.unwrap(), None);
    let delete = || store.write(|tx| tx.delete_exchange_rule(&client_id("cars"), &service_id("users")));
    assert!(delete().await.unwrap() && !delete().await.unwrap());
    assert_eq!(find("cars", "users").await.unwrap(), None);
    let unknown = ExchangeRule { actor: client_id("none"), ..rule(&[], &[]) };
    assert!(store.write(move |tx| tx.put_exchange_rule(&unknown)).await.is_err());
}

// Sessions.

pub(crate) async fn a_session_is_read_back_whole(store: &impl Backend) {
    store.with_people(&["u_1"]).await;
    store.with_clients(&["web"]).await;
    let full = Session {
        epoch: 12,
        scope: Some("cars:buy".to_owned()),
        last_used_at: Timestamp(2_000),
        idle_expires_at: Timestamp(3_000),
        expires_at: Timestamp(4_000),
        ended_at: Some(Timestamp(2_500)),
        origin: SessionOrigin { address: Some("::1".to_owned()), user_agent: Some("Mözilla".to_owned()) },
        ..session("s_full", "u_1")
    };
    for session in [full, session("s_empty", "u_1")] {
        let new = session.clone();
        store.write(move |tx| tx.insert_session(&new)).await.unwrap();
        let id = session.id.clone();
        assert_eq!(store.read(move |tx| tx.session(&id)).await.unwrap(), Some(session));
    }
    assert_eq!(store.read(|tx| tx.session(&session_id("s_none"))).await.unwrap(), None);
    assert!(store.write(|tx| tx.insert_session(&session("s_empty", "u_1"))).await.is_err());
    assert!(store.write(|tx| tx.insert_session(&session("s_new", "u_none"))).await.is_err());
}

pub(crate) async fn sessions_come_in_pages_without_the_ended(store: &impl Backend) {
    store.with_sessions(&[("s_c", "u_1"), ("s_a", "u_1"), ("s_B", "u_1"), ("s_d", "u_1"), ("s_x", "u_2")]).await;
    store.write(|tx| tx.end_session(&session_id("s_c"), Timestamp(5))).await.unwrap();
    let expired = Session { expires_at: Timestamp(0), idle_expires_at: Timestamp(0), ..session("s_e", "u_1") };
    store.write(move |tx| tx.insert_session(&expired)).await.unwrap();
    let of = |user| {
        pages(store, move |tx, page| {
            let found = tx.sessions_of(&user_id(user), page)?;
            Ok(found.into_iter().map(|session| session.id.to_string()).collect())
        })
    };
    assert_eq!(of("u_1").await, ["s_B", "s_a", "s_d", "s_e"], "expired ones too");
    assert_eq!(of("u_2").await, ["s_x"]);
    assert_eq!(of("u_none").await, [""; 0]);
}

pub(crate) async fn a_session_ends_once(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1")]).await;
    let end = |id, at| store.write(move |tx| tx.end_session(&session_id(id), Timestamp(at)));
    assert!(end("s_1", 5).await.unwrap());
    assert!(!end("s_1", 6).await.unwrap());
    assert!(!end("s_none", 6).await.unwrap());
    let [first, second] = ["s_1", "s_2"].map(|id| store.read(move |tx| tx.session(&session_id(id))));
    assert_eq!(first.await.unwrap().unwrap().ended_at, Some(Timestamp(5)));
    assert_eq!(second.await.unwrap().unwrap().ended_at, None);
}

pub(crate) async fn all_sessions_of_a_person_end(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1"), ("s_3", "u_1"), ("s_4", "u_2")]).await;
    store.write(|tx| tx.end_session(&session_id("s_1"), Timestamp(5))).await.unwrap();
    let end = || store.write(|tx| tx.end_sessions_of(&user_id("u_1"), Timestamp(6)));
    assert_eq!((end().await.unwrap(), end().await.unwrap()), (2, 0));
    let mut ended = Vec::new();
    for id in ["s_1", "s_2", "s_3", "s_4"] {
        let session = store.read(move |tx| tx.session(&session_id(id))).await.unwrap().unwrap();
        ended.push(session.ended_at.map(|at| at.0));
    }
    assert_eq!(ended, [Some(5), Some(6), Some(6), None]);
}

pub(crate) async fn a_session_is_touched(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1")]).await;
    let touch = |id| store.write(move |tx| tx.touch_session(&session_id(id), Timestamp(77), Timestamp(88)));
    touch("s_1").await.unwrap();
    let [first, second] = ["s_1", "s_2"].map(|id| store.read(move |tx| tx.session(&session_id(id))));
    let touched = Session { last_used_at: Timestamp(77), idle_expires_at: Timestamp(88), ..session("s_1", "u_1") };
    assert_eq!(first.await.unwrap(), Some(touched));
    assert_eq!(second.await.unwrap(), Some(session("s_2", "u_1")));
    assert!(touch("s_none").await.is_err());
}

// Refresh tokens.

pub(crate) async fn a_refresh_token_is_used_once(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1")]).await;
    let find = |n: u8| store.read(move |tx| tx.refresh_token(&hash(n)));
    store.write(|tx| tx.insert_refresh_token(&token(1, "s_1"))).await.unwrap();
    assert_eq!(find(1).await.unwrap(), Some(token(1, "s_1")));
    let rotation = |n: u8| Rotation { at: Timestamp(n.into()), successor: hash(n), sealed_successor: vec![n; 75] };
    let rotate = |of, to| store.write(move |tx| tx.rotate_refresh_token(&hash(of), &rotation(to)));
    assert!(rotate(1, 2).await.unwrap());
    assert!(!rotate(1, 3).await.unwrap(), "it was used before");
    assert!(!rotate(9, 3).await.unwrap(), "there is no such token");
    let used = RefreshToken { rotation: Some(rotation(2)), ..token(1, "s_1") };
    assert_eq!(find(1).await.unwrap(), Some(used.clone()));
    assert_eq!(find(9).await.unwrap(), None);
    // One that was used before it came in.
    let used = RefreshToken { hash: hash(4), ..used };
    let new = used.clone();
    store.write(move |tx| tx.insert_refresh_token(&new)).await.unwrap();
    assert_eq!(find(4).await.unwrap(), Some(used));
}

pub(crate) async fn a_refresh_token_needs_a_session_and_is_there_once(store: &impl Backend) {
    store.with_sessions(&[("s_1", "u_1"), ("s_2", "u_1")]).await;
    let insert = |n, of| store.write(move |tx| tx.insert_refresh_token(&token(n, of)));
    insert(1, "s_1").await.unwrap();
    assert!(insert(1, "s_2").await.is_err());
    assert!(insert(2, "s_none").await.is_err());
    assert_eq!(store.read(|tx| tx.refresh_token(&hash(1))).await.unwrap(), Some(token(1, "s_1")));
}

pub(crate) async fn expired_sessions_are_forgotten_with_their_tokens(store: &impl Backend) {
    store.with_people(&["u_1"]).await;
    store.with_clients(&["web"]).await;
    store
        .write(|tx| {
            for (n, id, expires_at) in [(1, "s_1", 99), (3, "s_2", 100), (5, "s_3", 101)] {
                tx.insert_session(&Session { expires_at: Timestamp(expires_at), ..session(id, "u_1") })?;
                tx.insert_refresh_token(&token(n, id))?;
                tx.insert_refresh_token(&token(n + 1, id))?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    let forget = |before| store.write(move |tx| tx.forget_expired_sessions(Timestamp(before)));
    assert_eq!((forget(100).await.unwrap(), forget(100).await.unwrap()), (1, 0));
    let left = store
        .read(|tx| {
            let page = Page { after: None, limit: 9 };
            let sessions = tx.sessions_of(&user_id("u_1"), &page)?.len();
            let tokens: Vec<bool> =
                (1..=6).map(|n| Ok(tx.refresh_token(&hash(n))?.is_some())).collect::<Result<_, StoreError>>()?;
            Ok::<_, StoreError>((sessions, tokens))
        })
        .await
        .unwrap();
    assert_eq!(left, (2, vec![false, false, true, true, true, true]));
}

// The log.

pub(crate) async fn events_follow_each_other(store: &impl Backend) {
    assert_eq!(store.read(|tx| tx.log_state()).await.unwrap(), LogState::default());
    let append = |key: &'static str| store.write(move |tx| tx.append_event("token_revoked", key, "", Timestamp(5)));
    assert_eq!((append("a").await.unwrap(), append("b").await.unwrap()), (1, 2));
    let failed = store.write(|tx| {
        tx.append_event("token_revoked", "c", "", Timestamp(5))?;
        Err::<(), _>(StoreError::Busy)
    });
    assert!(failed.await.is_err());
    assert_eq!(append("d").await.unwrap(), 3, "what was not committed has no place");
    let in_one = store.write(|tx| {
        let first = tx.append_event("keys_changed", "cars", "{\"keys\":[]}", Timestamp(6))?;
        Ok::<_, StoreError>((first, tx.append_event("keys_changed", "cars", "", Timestamp(7))?, tx.log_state()?.head))
    });
    assert_eq!(in_one.await.unwrap(), (4, 5, 5));
    let rows = store.read(|tx| tx.events_after(2, 2)).await.unwrap();
    let event = |seq, kind: &str, key: &str, payload: &str, at| LogRow {
        seq,
        kind: kind.to_owned(),
        key: key.to_owned(),
        payload: payload.to_owned(),
        until: 0,
        at: Timestamp(at),
    };
    assert_eq!(rows, [event(3, "token_revoked", "d", "", 5), event(4, "keys_changed", "cars", "{\"keys\":[]}", 6)]);
}

pub(crate) async fn the_last_event_of_a_key_is_found(store: &impl Backend) {
    store.with_events(&[("a", "x"), ("a", "y"), ("b", "x"), ("a", "x")]).await;
    let last = |kind: &'static str, key: &'static str| store.read(move |tx| tx.last_event(kind, key));
    assert_eq!(last("a", "x").await.unwrap(), Some(4));
    assert_eq!(last("a", "y").await.unwrap(), Some(2));
    assert_eq!(last("b", "x").await.unwrap(), Some(3));
    assert_eq!(last("b", "y").await.unwrap(), None);
    assert_eq!(last("A", "x").await.unwrap(), None);
}

pub(crate) async fn events_are_read_in_pages(store: &impl Backend) {
    store.with_events(&[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4"), ("a", "5")]).await;
    let after = |seq, limit| {
        let read = store.read(move |tx| tx.events_after(seq, limit));
        async { read.await.unwrap().iter().map(|event| event.seq).collect::<Vec<_>>() }
    };
    assert_eq!(after(0, 2).await, [1, 2]);
    assert_eq!(after(2, 2).await, [3, 4]);
    assert_eq!(after(4, 2).await, [5]);
    assert_eq!(after(5, 2).await, [0; 0]);
    assert_eq!(after(0, 0).await, [0; 0]);
    assert_eq!(after(u64::MAX, 2).await, [0; 0]);
    assert_eq!(after(3, usize::MAX).await, [4, 5]);
}

pub(crate) async fn limits_only_grow_and_are_kept_with_the_events(store: &impl Backend) {
    let raise = |ceiling, floor| store.write(move |tx| tx.raise_log_limits(ceiling, floor));
    let state = |head, exp_ceiling, floor| LogState { head, exp_ceiling, floor };
    assert_eq!(raise(100, 10).await.unwrap(), state(0, 100, 10));
    assert_eq!(raise(90, 20).await.unwrap(), state(0, 100, 20));
    store.with_events(&[("a", "x")]).await;
    assert_eq!(raise(200, 5).await.unwrap(), state(1, 200, 20));
    store.with_events(&[("a", "y")]).await;
    let untils: Vec<u64> =
        store.read(|tx| tx.events_after(0, 9)).await.unwrap().iter().map(|event| event.until).collect();
    assert_eq!(untils, [100, 200], "the ceiling at the commit");
    assert_eq!(store.read(|tx| tx.log_state()).await.unwrap(), state(2, 200, 20));
}

pub(crate) async fn events_that_the_floor_passed_are_dropped(store: &impl Backend) {
    let raise = |ceiling, floor| store.write(move |tx| tx.raise_log_limits(ceiling, floor));
    let left = || {
        let read = store.read(|tx| tx.events_after(0, 99));
        async { read.await.unwrap().iter().map(|event| event.seq).collect::<Vec<_>>() }
    };
    for ceiling in [100, 101, 102] {
        raise(ceiling, 0).await.unwrap();
        store.with_events(&[("a", "x"), ("a", "y")]).await;
    }
    raise(0, 99).await.unwrap();
    assert_eq!(left().await, [1, 2, 3, 4, 5, 6]);
    raise(0, 100).await.unwrap();
    assert_eq!(left().await, [3, 4, 5, 6], "until at the floor is dropped");
    raise(0, 50).await.unwrap();
    assert_eq!(left().await, [3, 4, 5, 6]);
    assert_eq!(store.read(|tx| tx.last_event("a", "x")).await.unwrap(), Some(5));
    raise(0, 500).await.unwrap();
    assert_eq!(left().await, [0; 0]);
    assert_eq!(store.read(|tx| tx.last_event("a", "x")).await.unwrap(), None);
    let next = store.write(|tx| tx.append_event("a", "x", "", Timestamp(0))).await.unwrap();
    assert_eq!(next, 7, "no place is used twice");
}

pub(crate) async fn the_longest_lease_only_grows(store: &impl Backend) {
    let longest = || store.read(|tx| tx.longest_lease_ms());
    assert_eq!(longest().await.unwrap(), 0);
    for (raised, longest_then) in [(3_000, 3_000), (1_000, 3_000), (3_000, 3_000), (4_000, 4_000), (0, 4_000)] {
        store.write(move |tx| tx.raise_longest_lease_ms(raised)).await.unwrap();
        assert_eq!(longest().await.unwrap(), longest_then);
    }
}

pub(crate) async fn numbers_that_do_not_fit_are_refused(store: &impl Backend) {
    let most = u64::try_from(i64::MAX).unwrap();
    assert!(store.write(move |tx| tx.raise_longest_lease_ms(most + 1)).await.is_err());
    assert!(store.write(move |tx| tx.raise_log_limits(most + 1, 0)).await.is_err());
    assert!(store.write(move |tx| tx.append_event("a", "x", "", Timestamp(u64::MAX))).await.is_err());
    assert_eq!(store.read(|tx| tx.log_state()).await.unwrap(), LogState::default(), "and nothing was written");
    store.write(move |tx| tx.raise_longest_lease_ms(most)).await.unwrap();
    assert_eq!(store.read(|tx| tx.longest_lease_ms()).await.unwrap(), most);
}

// The audit log.

pub(crate) async fn audit_entries_come_newest_first_in_pages(store: &impl Backend) {
    let full = AuditEntry {
        actor: "u_admin".to_owned(),
        action: "role_taken",
        subject: "u_1".to_owned(),
        service: Some("cars".to_owned()),
        outcome: "ok",
        jti: Some("j1".to_owned()),
        kid: Some("k1".to_owned()),
        request_id: "r1".to_owned(),
    };
    let entries = [full, AuditEntry::default(), AuditEntry { outcome: "invalid", ..AuditEntry::default() }];
    let appended = entries.clone();
    store
        .write(move |tx| appended.iter().zip(10..).try_for_each(|(entry, at)| tx.append_audit(entry, Timestamp(at))))
        .await
        .unwrap();
    let read = |before, limit| store.read(move |tx| tx.audit_entries(&AuditFilter::default(), before, limit));
    let all = read(None, 9).await.unwrap();
    assert_eq!(all.iter().map(|entry| entry.at.0).collect::<Vec<_>>(), [12, 11, 10]);
    assert!(all.is_sorted_by(|newer, older| newer.n > older.n));
    let AuditEntry { actor, subject, service, jti, kid, request_id, action, outcome } = entries[0].clone();
    let (n, at, action, outcome) = (all[2].n, Timestamp(10), action.to_owned(), outcome.to_owned());
    let stored = StoredAuditEntry { n, at, actor, action, subject, service, outcome, jti, kid, request_id };
    assert_eq!(all[2], stored);
    assert_eq!(read(None, 2).await.unwrap(), all[..2]);
    assert_eq!(read(Some(all[1].n), 2).await.unwrap(), all[2..]);
    assert_eq!(read(Some(all[2].n), 2).await.unwrap(), []);
    assert_eq!(read(Some(u64::MAX), 9).await.unwrap(), all);
    assert_eq!(read(None, 0).await.unwrap(), []);
}

pub(crate) async fn audit_entries_are_filtered_by_every_condition(store: &impl Backend) {
    store
        .write(|tx| {
            for bits in 0_u64..16 {
                let pick = |bit: u64, no: &'static str, yes: &'static str| if bits & bit == 0 { no } else { yes };
                let entry = AuditEntry {
                    subject: pick(1, "u_1", "u_2").to_owned(),
                    actor: pick(2, "", "u_admin").to_owned(),
                    service: (bits & 4 != 0).then(|| "cars".to_owned()),
                    action: pick(8, "login", "logout"),
                    ..AuditEntry::default()
                };
                tx.append_audit(&entry, Timestamp(bits))?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    for mask in 0_u64..16 {
        let wanted = |bit: u64, text: &str| (mask & bit != 0).then(|| text.to_owned());
        let filter = AuditFilter {
            subject: wanted(1, "u_2"),
            actor: wanted(2, "u_admin"),
            service: wanted(4, "cars"),
            action: wanted(8, "logout"),
        };
        let found = store.read(move |tx| tx.audit_entries(&filter, None, 99)).await.unwrap();
        let found: Vec<u64> = found.iter().map(|entry| entry.at.0).collect();
        let expected: Vec<u64> = (0..16).rev().filter(|bits| bits & mask == mask).collect();
        assert_eq!(found, expected, "conditions {mask:04b}");
    }
    let filter = AuditFilter { subject: Some("u_2".to_owned()), ..AuditFilter::default() };
    let all = store
        .read({
            let filter = filter.clone();
            move |tx| tx.audit_entries(&filter, None, 99)
        })
        .await
        .unwrap();
    let before = all[2].n;
    let rest = store.read(move |tx| tx.audit_entries(&filter, Some(before), 2)).await.unwrap();
    assert_eq!(rest, all[3..5]);
}

// Transactions.

/// An error of the caller's own.
#[derive(Debug, PartialEq)]
enum Refused {
    ByTheJob,
    ByTheStore,
}

impl From<StoreError> for Refused {
    fn from(_: StoreError) -> Self {
        Self::ByTheStore
    }
}

pub(crate) async fn a_job_that_fails_leaves_nothing_behind(store: &impl Backend) {
    let refused = store.write(|tx| {
        tx.insert_user(&user("u_1", "ann"))?;
        tx.append_audit(&AuditEntry::default(), Timestamp(0))?;
        tx.append_event("a", "x", "", Timestamp(0))?;
        tx.raise_log_limits(100, 10)?;
        tx.raise_longest_lease_ms(5)?;
        Err::<(), _>(Refused::ByTheJob)
    });
    assert_eq!(refused.await, Err(Refused::ByTheJob));
    let failed = store.write(|tx| {
        tx.insert_user(&user("u_1", "ann"))?;
        tx.insert_session(&session("s_1", "u_none"))?;
        Ok::<_, Refused>(())
    });
    assert_eq!(failed.await, Err(Refused::ByTheStore));
    let left = store.read(|tx| {
        let page = Page { after: None, limit: 9 };
        let audit = tx.audit_entries(&AuditFilter::default(), None, 9)?;
        Ok::<_, StoreError>((tx.users(&page)?.len(), audit.len(), tx.log_state()?, tx.longest_lease_ms()?))
    });
    assert_eq!(left.await.unwrap(), (0, 0, LogState::default(), 0));
}

pub(crate) async fn a_write_sees_what_it_wrote_and_what_was_written_before(store: &impl Backend) {
    store.with_people(&["u_1"]).await;
    let seen = store.write(|tx| {
        tx.insert_user(&user("u_2", "u_2"))?;
        tx.update_user(&User { disabled: true, ..user("u_1", "") })?;
        let [first, second] = [tx.user(&user_id("u_1"))?, tx.user(&user_id("u_2"))?];
        Ok::<_, StoreError>((first.map(|user| user.disabled), second.map(|user| user.disabled)))
    });
    assert_eq!(seen.await.unwrap(), (Some(true), Some(false)));
}

pub(crate) async fn a_read_sees_one_snapshot(store: &impl Backend) {
    store.with_people(&["u_1"]).await;
    let (begun, begins) = tokio::sync::oneshot::channel();
    let (go_on, wait) = mpsc::channel();
    let read = store.read(move |tx| {
        let before = tx.users(&Page { after: None, limit: 9 })?.len();
        begun.send(()).unwrap();
        wait.recv_timeout(Duration::from_secs(30)).unwrap();
        Ok::<_, StoreError>((before, tx.users(&Page { after: None, limit: 9 })?.len(), tx.log_state()?.head))
    });
    let change = async {
        begins.await.unwrap();
        let written = store.write(|tx| {
            tx.insert_user(&user("u_2", "u_2"))?;
            tx.append_event("a", "x", "", Timestamp(0))
        });
        assert_eq!(written.await.unwrap(), 1, "readers do not hold up a writer");
        go_on.send(()).unwrap();
    };
    let (seen, ()) = tokio::join!(read, change);
    assert_eq!(seen.unwrap(), (1, 1, 0));
    assert_eq!(store.read(|tx| Ok::<_, StoreError>(tx.log_state()?.head)).await.unwrap(), 1);
}

pub(crate) async fn a_read_sees_what_was_acknowledged_before_it(store: &impl Backend) {
    for n in 1..=50 {
        let seq = store.write(|tx| tx.append_event("a", "x", "", Timestamp(0))).await.unwrap();
        assert_eq!(seq, n);
        assert_eq!(store.read(|tx| tx.log_state()).await.unwrap().head, n);
    }
}

// What the cases are made of.

/// Beginnings that many cases share.
trait Fixtures: Backend {
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
async fn pages(
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

fn user(id: &str, username: &str) -> User {
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

fn client(id: &str) -> Client {
    Client::named(client_id(id), "", Timestamp(1_795_356_000_123))
}

fn service(id: &str) -> Service {
    Service {
        id: service_id(id),
        alg: SigningAlg::Ed25519,
        resource_uri: None,
        access_ttl_s: None,
        created_at: Timestamp(1_795_356_000_123),
        version: 1,
    }
}

fn key(kid: &str, of: &str, state: KeyState) -> SealedKey {
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

fn role(service: &str, name: &str) -> RoleGrant {
    RoleGrant { service: service_id(service), role: name.parse().unwrap() }
}

fn made_of(name: &str, permissions: &[&str], inherits: &[&str]) -> Role {
    Role {
        name: name.parse().unwrap(),
        permissions: permissions.iter().map(|text| text.parse().unwrap()).collect(),
        inherits: inherits.iter().map(|text| text.parse().unwrap()).collect(),
        version: 1,
    }
}

fn session(id: &str, of: &str) -> Session {
    Session {
        id: session_id(id),
        user_id: user_id(of),
        client_id: client_id("web"),
        epoch: 0,
        scope: None,
        created_at: Timestamp(1_000),
        last_used_at: Timestamp(1_000),
        idle_expires_at: Timestamp(2_000),
        expires_at: Timestamp(3_000),
        ended_at: None,
        origin: SessionOrigin::default(),
    }
}

fn token(n: u8, of: &str) -> RefreshToken {
    RefreshToken { hash: hash(n), session_id: session_id(of), created_at: Timestamp(n.into()), rotation: None }
}

fn hash(n: u8) -> HashedSecret {
    HashedSecret::from_bytes([n; 32])
}

fn user_id(text: &str) -> UserId {
    text.parse().unwrap()
}

fn client_id(text: &str) -> ClientId {
    text.parse().unwrap()
}

fn service_id(text: &str) -> ServiceId {
    text.parse().unwrap()
}

fn session_id(text: &str) -> SessionId {
    text.parse().unwrap()
}
