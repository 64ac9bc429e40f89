//! People taken over from elsewhere, and handed on.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::World;

const PASSWORD: &str = "seven violet staplers 4417";

/// Hashes of the password, as other systems make them.
const KINDS: [(&str, &str); 10] = [
    ("bcrypt", "$2y$04$/OSD/OSD/OSD/OSD/OSD/O76hC.Z3.SDhqg8DKPG3j.yjcGpHECly"),
    ("bcrypt-django", "bcrypt$$2b$04$/OSD/OSD/OSD/OSD/OSD/O76hC.Z3.SDhqg8DKPG3j.yjcGpHECly"),
    ("scrypt", "$scrypt$ln=4,r=8,p=1$c2FsdHlzYWx0$XaQCB2Xq3h9LFIG+aXV5P1dZWccTBQ08MkHa3PWWnzI"),
    ("argon2i", "$argon2i$v=19$m=32,t=1,p=1$c2FsdCBvZiBvdGhlcnMhIQ$sYdvEnfSnaPbev8iyYjoRGjdx8LRVdtifE5vML/dNyQ"),
    ("argon2d", "$argon2d$v=19$m=32,t=1,p=1$c2FsdCBvZiBvdGhlcnMhIQ$OPrkz/22RHo1wduLxBSFvjxz0m2x7ERtIdoKd2s9xt0"),
    ("argon2id", "$argon2id$v=19$m=32,t=1,p=1$c2FsdCBvZiBvdGhlcnMhIQ$QpuYrZPvPRayRviu4ubxXrUABioPwDv6ALcHgHjgTMw"),
    ("pbkdf2-sha1", "$pbkdf2-sha1$1000$c2FsdHlzYWx0$LEXA7YJnPg0J/NDYEwBIc0Db6i8"),
    ("pbkdf2-sha256", "$pbkdf2-sha256$i=1000,l=32$c2FsdHlzYWx0$350m7niOlnbV+XEGD44ylov/4LlGRBMv9TVhqjlMSeA"),
    (
        "pbkdf2-sha512",
        "$pbkdf2-sha512$1000$c2FsdHlzYWx0$p7fOCnezQhLAyp/uIvf2SLx+gZIybojrSX+hYyykfMiibW/rojufQsEAFtrPBxEVA5+ifM0nonLHJ3nGyJMwRQ",
    ),
    ("pbkdf2-django", "pbkdf2_sha256$1000$seasalt$eZsmgGyFp3Ev4nT5I1+3Vx/UakDvzmRlf4XISSeJitU="),
];

/// What a hash looks like that the world makes itself.
const OURS: &str = "$argon2id$v=19$m=64,t=1,p=1$";

async fn import(world: &World, items: &[Value]) -> Vec<Value> {
    let answer = world.post("/users/import", json!({ "items": items })).await.expect(200);
    answer["items"].as_array().unwrap().clone()
}

fn outcomes(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["outcome"].as_str().unwrap()).collect()
}

async fn exported(world: &World) -> Vec<Value> {
    let (mut people, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let page = world.get(&format!("/users/export{query}")).await;
        people.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=3&cursor={cursor}"),
            None => return people,
        }
    }
}

async fn stored_hash(world: &World, username: &str) -> String {
    let people = exported(world).await;
    let person = people.iter().find(|person| person["username"] == username).unwrap();
    person["password_hash"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn each_kind_of_hash_signs_in_and_is_ours_afterwards() {
    let world = World::start().await;
    let items = KINDS.map(|(name, hash)| json!({ "username": name, "password_hash": hash }));
    assert_eq!(outcomes(&import(&world, &items).await), vec!["created"; KINDS.len()]);
    for (name, hash) in KINDS {
        assert_eq!(stored_hash(&world, name).await, hash, "kept until the sign-in");
        world.sign_in(name, "another password", "propusk").await.problem(401);
        assert_eq!(stored_hash(&world, name).await, hash, "a wrong password changes nothing");
        world.sign_in(name, PASSWORD, "propusk").await.expect(200);
        let ours = stored_hash(&world, name).await;
        assert!(ours.starts_with(OURS), "{name}: {ours}");
        world.sign_in(name, PASSWORD, "propusk").await.expect(200);
        assert_eq!(stored_hash(&world, name).await, ours, "once");
    }
}

/// It is no change: no session ends, and whoever edits the person has seen nothing else.
#[tokio::test]
async fn a_renewed_hash_is_no_changed_password() {
    let world = World::start().await;
    let (name, hash) = KINDS[0];
    let id = import(&world, &[json!({ "username": name, "password_hash": hash })]).await[0]["id"].clone();
    let path = format!("/users/{}", id.as_str().unwrap());
    let before = world.call(Method::GET, &path, None).await.header("etag");
    let token = world.sign_in(name, PASSWORD, "cars").await.expect(200)["access_token"].clone();
    assert_eq!(world.introspect("cars", token.as_str().unwrap()).await["active"], true);
    assert_eq!(world.call(Method::GET, &path, None).await.header("etag"), before);
    let changes = world.get(&format!("/audit?subject={}&action=password_changed", id.as_str().unwrap())).await;
    assert_eq!(changes["items"], json!([]));
}

/// All of them check the old hash, one stores a new one, and the others notice.
#[tokio::test]
async fn first_sign_ins_beside_each_other_all_succeed() {
    let world = World::start().await;
    for (name, hash) in [KINDS[0], KINDS[2]] {
        import(&world, &[json!({ "username": name, "password_hash": hash })]).await;
        let sign_ins = (0..12).map(|_| world.sign_in(name, PASSWORD, "propusk"));
        for answer in futures_util::future::join_all(sign_ins).await {
            answer.expect(200);
        }
        assert!(stored_hash(&world, name).await.starts_with(OURS));
    }
}

#[tokio::test]
async fn the_same_again_changes_nothing_whatever_happened_since() {
    let world = World::start().await;
    let items = [
        json!({ "username": "Carol", "email": "carol@Example.org", "password_hash": KINDS[0].1, "roles": ["cars/buyer"] }),
        json!({ "username": "dave", "groups": ["drivers"], "created_at": "2020-02-02T02:02:02Z" }),
        json!({ "username": "erin", "disabled": true }),
    ];
    let first = import(&world, &items).await;
    assert_eq!(outcomes(&first), ["created"; 3]);
    let again = import(&world, &items).await;
    assert_eq!(outcomes(&again), ["exists"; 3]);
    assert_eq!(
        [&again[0]["id"], &again[1]["id"], &again[2]["id"]],
        [&first[0]["id"], &first[1]["id"], &first[2]["id"]]
    );
    // Signed in, renamed, deleted: none of it is undone, and nobody is there twice.
    world.sign_in("carol", PASSWORD, "cars").await.expect(200);
    let path = |n: usize| format!("/users/{}", first[n]["id"].as_str().unwrap());
    let rename = Some(json!({ "username": "david" }));
    world.call_with(Method::PATCH, &path(1), rename, &[("if-match", "*")]).await.expect(200);
    world.delete(&path(2)).await;
    let third = import(&world, &items).await;
    assert_eq!(outcomes(&third), ["exists", "exists", "refused"]);
    assert!(third[2]["reason"].as_str().unwrap().contains("was deleted here"), "{third:?}");
    assert!(stored_hash(&world, "carol").await.starts_with(OURS));
    let people = exported(&world).await;
    let names: Vec<_> = people.iter().map(|person| person["username"].as_str().unwrap()).collect();
    for (name, times) in [("carol", 1), ("dave", 0), ("david", 1), ("erin", 0)] {
        assert_eq!(names.iter().filter(|it| **it == name).count(), times, "{name}: {names:?}");
    }
    // Somebody else of the same name is not taken for the same.
    let other = import(&world, &[json!({ "username": "CAROL", "password_hash": KINDS[2].1 })]).await;
    assert_eq!((outcomes(&other), &other[0]["reason"]), (vec!["refused"], &json!("username is taken")));
}

#[tokio::test]
async fn who_cannot_be_imported_is_refused_alone_and_with_the_reason() {
    let world = World::start().await;
    let items = [
        json!({ "username": "good" }),
        json!({ "username": "a b" }),
        json!({ "username": "mail", "email": "nobody" }),
        json!({ "username": "md5", "password_hash": "5f4dcc3b5aa765d61d8327deb882cf99" }),
        json!({ "username": "costly", "password_hash": "$2b$31$/OSD/OSD/OSD/OSD/OSD/O76hC.Z3.SDhqg8DKPG3j.yjcGpHECly" }),
        json!({ "username": "role", "roles": ["cars/pilot"] }),
        json!({ "username": "when", "created_at": "long ago" }),
        json!({ "username": "alice" }),
        json!({ "username": "odd", "shoe_size": 44 }),
        json!({ "user": "nobody" }),
        json!(7),
        json!({ "username": "also-good" }),
    ];
    let answers = import(&world, &items).await;
    let reasons: Vec<_> = answers.iter().map(|item| item["reason"].as_str().unwrap_or_default()).collect();
    for (reason, part) in reasons.iter().zip([
        "",
        "username has only letters",
        "email is an address",
        "password_hash is of a kind",
        "its cost is 31, and at most 14",
        "there is no cars/pilot",
        "created_at is a time",
        "username is taken",
        "shoe_size",
        "user",
        "invalid type",
        "",
    ]) {
        assert!(reason.contains(part) && reason.is_empty() == part.is_empty(), "{reason:?}: {part:?}");
    }
    assert_eq!(world.get("/users?username=role").await["items"], json!([]), "nothing of a refused person is there");
    assert_eq!(world.get("/users?username=also-good").await["items"].as_array().unwrap().len(), 1);
    let many = vec![json!({ "username": "x" }); 201];
    assert_eq!(world.post("/users/import", json!({ "items": many })).await.problem(422), "invalid-field");
    world.post("/users/import", json!({ "people": [] })).await.problem(400);
}

#[tokio::test]
async fn what_was_exported_is_the_same_elsewhere() {
    let (from, to) = (World::start().await, World::start().await);
    let items = [
        json!({ "username": "carol", "email": "carol@example.org", "password_hash": KINDS[0].1, "roles": ["cars/buyer", "cars/admin"] }),
        json!({ "username": "dave", "groups": ["drivers", "clerks"], "created_at": "2020-02-02T02:02:02Z" }),
        json!({ "username": "иван99", "disabled": true, "password_hash": KINDS[3].1 }),
    ];
    import(&from, &items).await;
    from.sign_in("carol", PASSWORD, "cars").await.expect(200);
    let is_new = |person: &Value| !["alice", "bob", "admin"].contains(&person["username"].as_str().unwrap());
    let people: Vec<Value> = exported(&from).await.into_iter().filter(is_new).collect();
    assert_eq!(people.len(), 3);
    assert_eq!(outcomes(&import(&to, &people).await), ["created"; 3]);
    assert_eq!(outcomes(&import(&to, &people).await), ["exists"; 3]);
    let there: Vec<Value> = exported(&to).await.into_iter().filter(is_new).collect();
    assert_eq!(there, people, "ids, hashes, roles, groups and times");
    let answer = to.sign_in("carol", PASSWORD, "cars").await.expect(200);
    let claims = crate::world::claims(answer["access_token"].as_str().unwrap());
    assert_eq!(claims["roles"], json!(["admin", "buyer"]));
    to.sign_in("иван99", PASSWORD, "cars").await.problem(401);
    let mut other = people[0].clone();
    other["username"] = json!("mallory");
    assert_eq!(import(&to, &[other]).await[0]["reason"], "id is another person's");
}

#[tokio::test]
async fn both_are_for_administrators_and_in_the_audit_log() {
    let world = World::start().await;
    let alice = world.token("alice", "propusk").await;
    world.call_as(&alice, Method::GET, "/admin/v1/users/export").await.problem(403);
    world.call_as(&alice, Method::POST, "/admin/v1/users/import").await.problem(403);
    let people = import(&world, &[json!({ "username": "carol", "roles": ["propusk/admin"] })]).await;
    let carol = people[0]["id"].as_str().unwrap();
    let entries = world.get(&format!("/audit?subject={carol}")).await;
    let actions: Vec<_> =
        entries["items"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["role_given", "user_imported"]);
    let before = world.get("/audit?action=users_exported").await["items"].as_array().map(Vec::len);
    let pages = exported(&world).await.len() / 3 + 1;
    let after = world.get("/audit?action=users_exported").await["items"].clone();
    assert_eq!((before, after.as_array().map(Vec::len)), (Some(0), Some(pages)), "a page, an entry");
    assert_eq!(after[0]["actor"], "bootstrap-admin");
    let answer = world.call(Method::GET, "/users/export", None).await;
    assert_eq!(answer.header("cache-control"), "no-store");
}
