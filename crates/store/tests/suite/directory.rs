//! Roles that inherit, groups, what is deleted, and kept answers.

use propusk_core::id::{GroupId, Subject};
use propusk_core::store::{GoneId, Group};

use super::*;

pub(crate) async fn a_role_is_put_and_put_again(store: &impl Backend) {
    store.with_services(&["cars", "posts"]).await;
    let put = |made: Role| store.write(move |tx| tx.put_role(&service_id("cars"), &made));
    let read = |of, name| store.read(move |tx| tx.role(&role(of, name)));
    assert_eq!(read("cars", "buyer").await.unwrap(), None);
    let buyer = made_of("buyer", &["cars:buy", "cars:sell"], &[]);
    put(made_of("buyer", &["cars:sell", "cars:buy", "cars:buy"], &[])).await.unwrap();
    assert_eq!(read("cars", "buyer").await.unwrap(), Some(buyer));
    assert_eq!(read("posts", "buyer").await.unwrap(), None);
    let admin = Role { version: 7, ..made_of("admin", &["cars:*"], &["buyer"]) };
    put(admin.clone()).await.unwrap();
    assert_eq!(read("cars", "admin").await.unwrap(), Some(admin));
    for again in [
        Role { version: 8, ..made_of("admin", &["cars:look"], &[]) },
        Role { version: 9, ..made_of("admin", &[], &["buyer"]) },
    ] {
        put(again.clone()).await.unwrap();
        assert_eq!(read("cars", "admin").await.unwrap(), Some(again));
    }
    let parts = store.read(|tx| {
        let admin = role("cars", "admin");
        Ok::<_, StoreError>((tx.role_exists(&admin)?, tx.permissions_of_role(&admin)?, tx.inherited_by_role(&admin)?))
    });
    assert_eq!(parts.await.unwrap(), (true, vec![], vec!["buyer".parse().unwrap()]));
    assert!(store.write(|tx| tx.put_role(&service_id("none"), &made_of("admin", &[], &[]))).await.is_err());
}

pub(crate) async fn roles_come_in_pages_with_what_they_are_made_of(store: &impl Backend) {
    store.with_services(&["cars", "posts"]).await;
    let made = ["a", "a-b", "boss", "buyer", "c9", "c10"].map(|name| made_of(name, &["x:y"], &[]));
    let all = made.clone();
    store.write(move |tx| all.iter().try_for_each(|role| tx.put_role(&service_id("cars"), role))).await.unwrap();
    let found = pages(store, |tx, page| {
        let found = tx.roles_of_service(&service_id("cars"), page)?;
        Ok(found.into_iter().map(|role| role.name.to_string()).collect())
    });
    assert_eq!(found.await, ["a", "a-b", "boss", "buyer", "c10", "c9"]);
    let first = store.read(|tx| tx.roles_of_service(&service_id("cars"), &Page { after: None, limit: 1 }));
    assert_eq!(first.await.unwrap(), [made[0].clone()]);
    let none = store.read(|tx| tx.roles_of_service(&service_id("posts"), &Page { after: None, limit: 9 }));
    assert_eq!(none.await.unwrap(), []);
}

pub(crate) async fn a_role_inherits_only_what_is_there(store: &impl Backend) {
    store.with_roles().await;
    let put = |inherits: &[&str]| {
        let made = made_of("boss", &[], inherits);
        store.write(move |tx| tx.put_role(&service_id("cars"), &made))
    };
    put(&["admin", "buyer"]).await.unwrap();
    assert!(put(&["none"]).await.is_err());
    assert!(put(&["boss"]).await.is_err());
    let boss = store.read(|tx| tx.role(&role("cars", "boss"))).await.unwrap();
    assert_eq!(boss, Some(made_of("boss", &[], &["admin", "buyer"])));
}

pub(crate) async fn a_role_is_deleted_with_all_that_refers_to_it(store: &impl Backend) {
    store.with_roles().await;
    let deleted = store.write(|tx| {
        let buyer = role("cars", "buyer");
        tx.put_role(&service_id("cars"), &made_of("boss", &["cars:*"], &["admin", "buyer"]))?;
        tx.put_role(&service_id("cars"), &made_of("buyer", &["cars:buy"], &["admin"]))?;
        tx.insert_group(&group("drivers"))?;
        for holder in
            [Holder::User(user_id("u_1")), Holder::Client(client_id("web")), Holder::Group(group_id("drivers"))]
        {
            tx.give_role(&holder, &buyer)?;
            tx.give_role(&holder, &role("cars", "admin"))?;
        }
        Ok::<_, StoreError>([tx.delete_role(&buyer)?, tx.delete_role(&buyer)?, tx.role_exists(&buyer)?])
    });
    assert_eq!(deleted.await.unwrap(), [true, false, false]);
    let boss = store.read(|tx| tx.role(&role("cars", "boss"))).await.unwrap();
    assert_eq!(boss, Some(made_of("boss", &["cars:*"], &["admin"])));
    for holder in [Holder::User(user_id("u_1")), Holder::Client(client_id("web")), Holder::Group(group_id("drivers"))] {
        assert_eq!(store.read(move |tx| tx.roles_of_holder(&holder)).await.unwrap(), [role("cars", "admin")]);
    }
    // Nothing of the old one comes back with a new one of its name.
    store.write(|tx| tx.put_role(&service_id("cars"), &made_of("buyer", &[], &[]))).await.unwrap();
    assert_eq!(store.read(|tx| tx.role(&role("cars", "buyer"))).await.unwrap(), Some(made_of("buyer", &[], &[])));
}

pub(crate) async fn only_those_who_can_come_are_active_holders(store: &impl Backend) {
    store.with_roles().await;
    let has = |name| store.read(move |tx| tx.has_active_holder(&role("cars", name)));
    assert!(!has("admin").await.unwrap());
    store.write(|tx| tx.give_role(&Holder::User(user_id("u_1")), &role("posts", "admin"))).await.unwrap();
    assert!(!has("admin").await.unwrap(), "the role of another service");
    store.write(|tx| tx.give_role(&Holder::User(user_id("u_1")), &role("cars", "admin"))).await.unwrap();
    assert!(has("admin").await.unwrap() && !has("buyer").await.unwrap() && !has("none").await.unwrap());
    store.write(|tx| tx.update_user(&User { disabled: true, ..user("u_1", "") })).await.unwrap();
    assert!(!has("admin").await.unwrap(), "the person is disabled");
    store.write(|tx| tx.update_user(&User { password_hash: None, ..user("u_1", "") })).await.unwrap();
    assert!(!has("admin").await.unwrap(), "the person cannot sign in");
    store.write(|tx| tx.give_role(&Holder::Client(client_id("web")), &role("cars", "admin"))).await.unwrap();
    let able = || Client {
        secret: Some(hash(1)),
        grant_types: vec![GrantType::Password, GrantType::ClientCredentials],
        audiences: vec![service_id("posts"), service_id("cars")],
        ..client("web")
    };
    let becomes = |client| store.write(move |tx| tx.update_client(&client));
    becomes(able()).await.unwrap();
    assert!(has("admin").await.unwrap(), "a client");
    for (what, unable) in [
        ("disabled", Client { disabled: true, ..able() }),
        ("without a secret", Client { secret: None, ..able() }),
        ("without the grant", Client { grant_types: vec![GrantType::Password], ..able() }),
        ("for another audience", Client { audiences: vec![service_id("posts")], ..able() }),
    ] {
        becomes(unable).await.unwrap();
        assert!(!has("admin").await.unwrap(), "the client is {what}");
    }
    store.write(|tx| tx.update_user(&User { disabled: true, ..user("u_1", "") })).await.unwrap();
    let in_group = |user| {
        store.write(move |tx| {
            tx.insert_group(&group("drivers"))?;
            tx.give_role(&Holder::Group(group_id("drivers")), &role("cars", "admin"))?;
            tx.add_member(&group_id("drivers"), &user_id(user))
        })
    };
    in_group("u_1").await.unwrap();
    assert!(!has("admin").await.unwrap(), "only somebody disabled is in the group");
    in_group("u_2").await.unwrap();
    assert!(has("admin").await.unwrap(), "through a group");
}

pub(crate) async fn subjects_of_a_role_are_found_through_groups_too(store: &impl Backend) {
    store.with_roles().await;
    let of = |name, limit| store.read(move |tx| tx.subjects_of_role(&role("cars", name), limit));
    store
        .write(|tx| {
            tx.insert_group(&group("drivers"))?;
            tx.give_role(&Holder::Group(group_id("drivers")), &role("cars", "buyer"))?;
            tx.give_role(&Holder::User(user_id("u_1")), &role("cars", "buyer"))?;
            tx.give_role(&Holder::Client(client_id("web")), &role("cars", "buyer"))?;
            tx.give_role(&Holder::Client(client_id("web")), &role("cars", "admin"))?;
            tx.add_member(&group_id("drivers"), &user_id("u_2"))
        })
        .await
        .unwrap();
    let subject = |text: &str| text.parse::<Subject>().unwrap();
    let all: std::collections::BTreeSet<_> = of("buyer", 10).await.unwrap().into_iter().collect();
    assert_eq!(all, ["u_1", "u_2", "web"].map(subject).into());
    assert_eq!(of("admin", 10).await.unwrap(), [subject("web")]);
    for limit in 0..3 {
        assert_eq!(of("buyer", limit).await.unwrap().len(), limit);
    }
}

pub(crate) async fn a_group_is_made_once_and_deleted_whole(store: &impl Backend) {
    store.with_roles().await;
    let drivers = group_id("drivers");
    let steps = store.write(move |tx| {
        let made = [tx.insert_group(&group("drivers"))?, tx.insert_group(&group("drivers"))?];
        tx.add_member(&drivers, &user_id("u_1"))?;
        tx.give_role(&Holder::Group(drivers.clone()), &role("cars", "buyer"))?;
        Ok::<_, StoreError>((made, tx.delete_group(&drivers)?, tx.delete_group(&drivers)?))
    });
    assert_eq!(steps.await.unwrap(), ([true, false], true, false));
    assert_eq!(store.read(|tx| tx.group(&group_id("drivers"))).await.unwrap(), None);
    assert_eq!(store.read(|tx| tx.groups_of_user(&user_id("u_1"))).await.unwrap(), []);
    // A new one of the same name has nothing of the old one.
    store.write(|tx| tx.insert_group(&group("drivers"))).await.unwrap();
    let left = store.read(|tx| {
        let drivers = group_id("drivers");
        let members = tx.members_of_group(&drivers, &Page { after: None, limit: 9 })?;
        Ok::<_, StoreError>((tx.group(&drivers)?, members, tx.roles_of_holder(&Holder::Group(drivers))?))
    });
    assert_eq!(left.await.unwrap(), (Some(group("drivers")), vec![], vec![]));
}

pub(crate) async fn groups_and_members_come_in_pages_in_order_of_id(store: &impl Backend) {
    store.with_people(&["u_b", "u_C", "u_a", "u_10", "u_9"]).await;
    store
        .write(|tx| {
            for id in ["drivers", "a9", "a10", "a-"] {
                tx.insert_group(&group(id))?;
            }
            for user in ["u_b", "u_C", "u_10", "u_9"] {
                tx.add_member(&group_id("drivers"), &user_id(user))?;
            }
            tx.add_member(&group_id("a9"), &user_id("u_a"))
        })
        .await
        .unwrap();
    let groups = pages(store, |tx, page| Ok(tx.groups(page)?.into_iter().map(|group| group.id.to_string()).collect()));
    assert_eq!(groups.await, ["a-", "a10", "a9", "drivers"]);
    let members = pages(store, |tx, page| {
        Ok(tx.members_of_group(&group_id("drivers"), page)?.iter().map(ToString::to_string).collect())
    });
    assert_eq!(members.await, ["u_10", "u_9", "u_C", "u_b"]);
}

pub(crate) async fn a_member_is_added_and_removed_once(store: &impl Backend) {
    store.with_people(&["u_1"]).await;
    let steps = store.write(|tx| {
        let (drivers, person) = (group_id("drivers"), user_id("u_1"));
        tx.insert_group(&group("drivers"))?;
        let added = [tx.add_member(&drivers, &person)?, tx.add_member(&drivers, &person)?];
        let removed = [tx.remove_member(&drivers, &person)?, tx.remove_member(&drivers, &person)?];
        Ok::<_, StoreError>((added, removed))
    });
    assert_eq!(steps.await.unwrap(), ([true, false], [true, false]));
    let add = |group, user| store.write(move |tx| tx.add_member(&group_id(group), &user_id(user)));
    assert!(add("drivers", "u_none").await.is_err());
    assert!(add("none", "u_1").await.is_err());
}

pub(crate) async fn group_roles_of_a_person_come_in_order(store: &impl Backend) {
    store.with_roles().await;
    store
        .write(|tx| {
            for (id, of, name) in
                [("b", "posts", "admin"), ("b", "cars", "buyer"), ("a", "cars", "admin"), ("c", "cars", "admin")]
            {
                tx.insert_group(&group(id))?;
                tx.give_role(&Holder::Group(group_id(id)), &role(of, name))?;
            }
            tx.insert_group(&group("empty"))?;
            for id in ["b", "a", "empty"] {
                tx.add_member(&group_id(id), &user_id("u_1"))?;
            }
            tx.add_member(&group_id("c"), &user_id("u_2"))
        })
        .await
        .unwrap();
    let (roles, groups) = store
        .read(|tx| Ok::<_, StoreError>((tx.group_roles_of_user(&user_id("u_1"))?, tx.groups_of_user(&user_id("u_1"))?)))
        .await
        .unwrap();
    let through = |id, of, name| (group_id(id), role(of, name));
    assert_eq!(roles, [through("a", "cars", "admin"), through("b", "cars", "buyer"), through("b", "posts", "admin")]);
    assert_eq!(groups, ["a", "b", "empty"].map(group_id));
}

pub(crate) async fn a_person_is_deleted_with_everything(store: &impl Backend) {
    store.with_roles().await;
    store
        .write(|tx| {
            tx.insert_group(&group("drivers"))?;
            for id in ["u_1", "u_2"] {
                tx.insert_session(&session(&format!("s{}", &id[1..]), id))?;
                tx.give_role(&Holder::User(user_id(id)), &role("cars", "buyer"))?;
                tx.add_member(&group_id("drivers"), &user_id(id))?;
            }
            tx.insert_refresh_token(&token(1, "s_1"))?;
            tx.insert_refresh_token(&token(2, "s_2"))
        })
        .await
        .unwrap();
    let gone = GoneId::User(user_id("u_1"));
    assert_eq!(delete_twice(store, gone).await, [false, true, false, true]);
    let left = store.read(|tx| {
        let people = [tx.user(&user_id("u_1"))?.is_some(), tx.user(&user_id("u_2"))?.is_some()];
        let sessions = [tx.session(&session_id("s_1"))?.is_some(), tx.session(&session_id("s_2"))?.is_some()];
        let is_there = |n, of| Ok::<_, StoreError>(tx.refresh_token(&place(n, of))?.is_some());
        let tokens = [is_there(1, "s_1")?, is_there(2, "s_2")?];
        let members = tx.members_of_group(&group_id("drivers"), &Page { after: None, limit: 9 })?;
        Ok::<_, StoreError>((people, sessions, tokens, members, tx.subjects_of_role(&role("cars", "buyer"), 9)?))
    });
    let other = [false, true];
    let (people, sessions, tokens, members, holders) = left.await.unwrap();
    assert_eq!((people, sessions, tokens), (other, other, other));
    assert_eq!(members, [user_id("u_2")]);
    assert!(holders.iter().all(|subject| subject.as_str() == "u_2"));
    // The name is free again.
    assert!(store.write(|tx| tx.insert_user(&user("u_3", "u_1"))).await.unwrap());
}

pub(crate) async fn a_client_is_deleted_with_everything(store: &impl Backend) {
    store.with_roles().await;
    store.with_clients(&["app"]).await;
    store
        .write(|tx| {
            for id in ["web", "app"] {
                let at = Session { client_id: client_id(id), ..session(&format!("s_{id}"), "u_1") };
                tx.insert_session(&at)?;
                tx.give_role(&Holder::Client(client_id(id)), &role("cars", "buyer"))?;
                tx.put_exchange_rule(&ExchangeRule {
                    actor: client_id(id),
                    audience: service_id("posts"),
                    subjects: vec![SubjectKind::User],
                    from: vec![service_id("cars")],
                })?;
            }
            tx.insert_refresh_token(&token(1, "s_web"))?;
            tx.insert_refresh_token(&token(2, "s_app"))
        })
        .await
        .unwrap();
    assert_eq!(delete_twice(store, GoneId::Client(client_id("web"))).await, [false, true, false, true]);
    let left = store.read(|tx| {
        let clients = [tx.client(&client_id("web"))?.is_some(), tx.client(&client_id("app"))?.is_some()];
        let sessions = [tx.session(&session_id("s_web"))?.is_some(), tx.session(&session_id("s_app"))?.is_some()];
        let is_there = |n, of| Ok::<_, StoreError>(tx.refresh_token(&place(n, of))?.is_some());
        let tokens = [is_there(1, "s_web")?, is_there(2, "s_app")?];
        let rule = |id| tx.exchange_rule(&client_id(id), &service_id("posts")).map(|rule| rule.is_some());
        Ok::<_, StoreError>([clients, sessions, tokens, [rule("web")?, rule("app")?]])
    });
    assert_eq!(left.await.unwrap(), [[false, true]; 4]);
}

pub(crate) async fn a_service_is_deleted_with_everything(store: &impl Backend) {
    store.with_roles().await;
    store
        .write(|tx| {
            tx.insert_group(&group("drivers"))?;
            for holder in
                [Holder::User(user_id("u_1")), Holder::Client(client_id("web")), Holder::Group(group_id("drivers"))]
            {
                tx.give_role(&holder, &role("cars", "buyer"))?;
                tx.give_role(&holder, &role("posts", "admin"))?;
            }
            tx.put_role(&service_id("cars"), &made_of("buyer", &["cars:buy"], &["admin"]))?;
            for id in ["cars", "posts"] {
                tx.insert_key(&key(&format!("k-{id}"), id, KeyState::Active))?;
                tx.put_exchange_rule(&ExchangeRule {
                    actor: client_id("web"),
                    audience: service_id(id),
                    subjects: vec![SubjectKind::User],
                    from: vec![service_id("cars")],
                })?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    assert_eq!(delete_twice(store, GoneId::Service(service_id("cars"))).await, [false, true, false, true]);
    let left = store.read(|tx| {
        let there = |id| {
            let rule = tx.exchange_rule(&client_id("web"), &service_id(id))?.is_some();
            let roles = !tx.roles_of_service(&service_id(id), &Page { after: None, limit: 9 })?.is_empty();
            Ok::<_, StoreError>([
                tx.service(&service_id(id))?.is_some(),
                tx.active_key(&service_id(id))?.is_some(),
                rule,
                roles,
            ])
        };
        Ok::<_, StoreError>((there("cars")?, there("posts")?))
    });
    assert_eq!(left.await.unwrap(), ([false; 4], [true; 4]));
    for holder in [Holder::User(user_id("u_1")), Holder::Client(client_id("web")), Holder::Group(group_id("drivers"))] {
        assert_eq!(store.read(move |tx| tx.roles_of_holder(&holder)).await.unwrap(), [role("posts", "admin")]);
    }
}

pub(crate) async fn a_person_is_renamed_to_a_name_that_is_free(store: &impl Backend) {
    store.with_people(&["u_1", "u_2"]).await;
    let rename = |id, name| store.write(move |tx| tx.rename_user(&user_id(id), name));
    assert!(rename("u_1", "ann").await.unwrap());
    assert!(!rename("u_2", "ann").await.unwrap());
    assert!(!rename("u_none", "bob").await.unwrap());
    let [first, second] = ["u_1", "u_2"].map(|id| store.read(move |tx| tx.user(&user_id(id))));
    assert_eq!(first.await.unwrap(), Some(User { version: 2, ..user("u_1", "ann") }));
    assert_eq!(second.await.unwrap(), Some(user("u_2", "u_2")));
}

pub(crate) async fn a_hash_is_renewed_only_in_the_place_of_the_one_that_was_seen(store: &impl Backend) {
    store.with_people(&["u_1", "u_2"]).await;
    let with_hash = |hash: &str| User { password_hash: Some(hash.to_owned()), ..user("u_1", "u_1") };
    let first = with_hash("first");
    store.write(move |tx| tx.update_user(&first)).await.unwrap();
    let renew = |id, old, new| store.write(move |tx| tx.renew_password_hash(&user_id(id), old, new));
    assert!(renew("u_1", "first", "second").await.unwrap());
    assert!(!renew("u_1", "first", "third").await.unwrap());
    assert!(!renew("u_2", "", "third").await.unwrap(), "who has no password gets none");
    assert!(!renew("u_none", "first", "third").await.unwrap());
    let [first, second] = ["u_1", "u_2"].map(|id| store.read(move |tx| tx.user(&user_id(id))));
    assert_eq!(first.await.unwrap(), Some(User { version: 2, ..with_hash("second") }), "as after the update");
    assert_eq!(second.await.unwrap(), Some(user("u_2", "u_2")));
}

pub(crate) async fn a_service_is_changed_to_a_uri_that_is_free(store: &impl Backend) {
    store.with_services(&["cars", "posts"]).await;
    let update = |id, uri: Option<&str>, access_ttl_s: Option<u32>| {
        let rotate_every_s = access_ttl_s.map(|seconds| seconds * 10);
        let changed = Service { resource_uri: uri.map(str::to_owned), access_ttl_s, rotate_every_s, ..service(id) };
        store.write(move |tx| tx.update_service(&changed))
    };
    assert!(update("cars", Some("urn:cars"), Some(60)).await.unwrap());
    assert!(!update("posts", Some("urn:cars"), None).await.unwrap());
    assert!(!update("none", None, None).await.unwrap());
    let read = |id| store.read(move |tx| tx.service(&service_id(id)));
    let changed = Service {
        resource_uri: Some("urn:cars".to_owned()),
        access_ttl_s: Some(60),
        rotate_every_s: Some(600),
        version: 2,
        ..service("cars")
    };
    assert_eq!(read("cars").await.unwrap(), Some(changed));
    assert_eq!(read("posts").await.unwrap(), Some(service("posts")));
    assert!(update("cars", None, None).await.unwrap());
    assert_eq!(read("cars").await.unwrap(), Some(Service { version: 3, ..service("cars") }));
}

/// Whether it was gone before, was deleted, was deleted again, and is gone now.
async fn delete_twice(store: &impl Backend, id: GoneId) -> [bool; 4] {
    let delete = store.write(move |tx| {
        let before = tx.is_gone(&id)?;
        let deleted = [tx.delete(&id, Timestamp(9))?, tx.delete(&id, Timestamp(9))?];
        Ok::<_, StoreError>([before, deleted[0], deleted[1], tx.is_gone(&id)?])
    });
    delete.await.unwrap()
}

pub(crate) async fn an_answer_is_kept_replaced_and_forgotten(store: &impl Backend) {
    let kept = |n| store.read(move |tx| tx.kept_answer(&hash(n)));
    let keep = |n, sealed: &'static [u8], at| store.write(move |tx| tx.keep_answer(&hash(n), sealed, Timestamp(at)));
    assert_eq!(kept(1).await.unwrap(), None);
    keep(1, b"one", 10).await.unwrap();
    keep(2, b"two", 20).await.unwrap();
    keep(3, b"", 30).await.unwrap();
    assert_eq!(kept(1).await.unwrap().as_deref(), Some(&b"one"[..]));
    keep(1, b"another", 30).await.unwrap();
    assert_eq!(kept(1).await.unwrap().as_deref(), Some(&b"another"[..]));
    let forget = |before| store.write(move |tx| tx.forget_answers(Timestamp(before)));
    assert_eq!(forget(20).await.unwrap(), 0);
    assert_eq!(forget(30).await.unwrap(), 1);
    assert_eq!((kept(2).await.unwrap(), kept(3).await.unwrap()), (None, Some(Vec::new())));
}

pub(crate) async fn what_was_done_stays_done(store: &impl Backend) {
    let done = |what| store.read(move |tx| tx.is_done(what));
    let set = |what| store.write(move |tx| tx.set_done(what, Timestamp(9)));
    assert!(!done("demo").await.unwrap());
    set("demo").await.unwrap();
    set("demo").await.unwrap();
    assert!(done("demo").await.unwrap());
    assert!(!done("dem").await.unwrap());
}

fn group(id: &str) -> Group {
    Group { id: group_id(id), created_at: Timestamp(1_795_356_000_123) }
}

fn group_id(id: &str) -> GroupId {
    id.parse().unwrap()
}
