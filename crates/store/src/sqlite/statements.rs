//! Every statement there is, checked against the schema that the migrations make.

use rusqlite::Connection;

use super::{
    Synchronous, audit, clients, done, exchange_rules, gone, groups, idempotency, keys, log, open, refresh_tokens,
    roles, services, sessions, users,
};

/// A file, its text and its statements.
type File = (&'static str, &'static str, &'static [&'static str]);

const FILES: &[File] = &[
    (
        "audit",
        include_str!("audit.rs"),
        &[audit::SELECT, audit::SELECT_BY_SUBJECT, audit::SELECT_BY_ACTOR, audit::INSERT],
    ),
    ("clients", include_str!("clients.rs"), &[clients::SELECT, clients::SELECT_PAGE, clients::INSERT, clients::UPDATE]),
    ("done", include_str!("done.rs"), &[done::SELECT, done::INSERT]),
    (
        "exchange_rules",
        include_str!("exchange_rules.rs"),
        &[exchange_rules::SELECT, exchange_rules::PUT, exchange_rules::DELETE],
    ),
    (
        "gone",
        include_str!("gone.rs"),
        &[
            gone::SELECT,
            gone::INSERT,
            gone::HAS_USER,
            gone::HAS_CLIENT,
            gone::HAS_SERVICE,
            gone::USER_TOKENS,
            gone::USER_SESSIONS,
            gone::USER_ROLES,
            gone::USER_GROUPS,
            gone::USER,
            gone::CLIENT_TOKENS,
            gone::CLIENT_SESSIONS,
            gone::CLIENT_ROLES,
            gone::CLIENT_RULES,
            gone::CLIENT,
            gone::SERVICE_KEYS,
            gone::SERVICE_USERS,
            gone::SERVICE_CLIENTS,
            gone::SERVICE_GROUPS,
            gone::SERVICE_INHERITS,
            gone::SERVICE_PERMISSIONS,
            gone::SERVICE_ROLES,
            gone::SERVICE_RULES,
            gone::SERVICE,
        ],
    ),
    (
        "groups",
        include_str!("groups.rs"),
        &[
            groups::SELECT,
            groups::SELECT_PAGE,
            groups::INSERT,
            groups::DELETE,
            groups::DELETE_MEMBERS,
            groups::DELETE_ROLES,
            groups::SELECT_MEMBERS,
            groups::SELECT_OF_USER,
            groups::ADD_MEMBER,
            groups::REMOVE_MEMBER,
        ],
    ),
    ("idempotency", include_str!("idempotency.rs"), &[idempotency::SELECT, idempotency::PUT, idempotency::FORGET]),
    (
        "keys",
        include_str!("keys.rs"),
        &[
            keys::SELECT_ALL,
            keys::SELECT_OF_SERVICE,
            keys::SELECT,
            keys::SELECT_ACTIVE,
            keys::INSERT,
            keys::UPDATE,
            keys::PUBLISH,
            keys::DELETE,
        ],
    ),
    (
        "log",
        include_str!("log.rs"),
        &[
            log::SELECT_STATE,
            log::SELECT_LAST,
            log::SELECT_LASTS,
            log::SELECT_AFTER,
            log::RAISE_HEAD,
            log::RAISE_HEAD_TO,
            log::INSERT,
            log::RAISE_LIMITS,
            log::DROP_PASSED,
            log::SELECT_LONGEST_LEASE,
            log::RAISE_LONGEST_LEASE,
        ],
    ),
    (
        "refresh_tokens",
        include_str!("refresh_tokens.rs"),
        &[
            refresh_tokens::SELECT,
            refresh_tokens::SELECT_NEWEST,
            refresh_tokens::TOUCH,
            refresh_tokens::SELECT_WITHOUT_PLACE,
            refresh_tokens::INSERT,
            refresh_tokens::ROTATE,
            refresh_tokens::FORGET_USED,
            refresh_tokens::FORGET_EXPIRED,
            refresh_tokens::FORGET_EXPIRED_SESSIONS,
        ],
    ),
    (
        "roles",
        include_str!("roles.rs"),
        &[
            roles::SELECT_VERSION,
            roles::SELECT_OF_SERVICE,
            roles::SELECT_PERMISSIONS,
            roles::SELECT_INHERITED,
            roles::SELECT_OF_USER,
            roles::SELECT_OF_CLIENT,
            roles::SELECT_OF_GROUP,
            roles::SELECT_GROUP_ROLES_OF_USER,
            roles::HAS_ACTIVE_HOLDER,
            roles::SELECT_USERS,
            roles::SELECT_CLIENTS,
            roles::SELECT_MEMBERS,
            roles::PUT,
            roles::DELETE,
            roles::DELETE_PERMISSIONS,
            roles::INSERT_PERMISSION,
            roles::DELETE_INHERITED,
            roles::DELETE_HEIRS,
            roles::INSERT_INHERITED,
            roles::GIVE_USER,
            roles::GIVE_CLIENT,
            roles::GIVE_GROUP,
            roles::TAKE_USER,
            roles::TAKE_CLIENT,
            roles::TAKE_GROUP,
            roles::TAKE_FROM_USERS,
            roles::TAKE_FROM_CLIENTS,
            roles::TAKE_FROM_GROUPS,
        ],
    ),
    (
        "services",
        include_str!("services.rs"),
        &[services::SELECT, services::SELECT_BY_RESOURCE, services::SELECT_PAGE, services::INSERT, services::UPDATE],
    ),
    (
        "sessions",
        include_str!("sessions.rs"),
        &[
            sessions::SELECT,
            sessions::SELECT_OF_USER,
            sessions::INSERT,
            sessions::END,
            sessions::END_OF_USER,
            sessions::END_ALL,
        ],
    ),
    (
        "users",
        include_str!("users.rs"),
        &[
            users::SELECT,
            users::SELECT_BY_USERNAME,
            users::SELECT_PAGE,
            users::INSERT,
            users::UPDATE,
            users::RENEW_PASSWORD_HASH,
            users::RENAME,
        ],
    ),
];

#[test]
fn every_statement_is_listed() {
    for (name, text, statements) in FILES {
        let constants = text.matches(": &str =").count();
        assert_eq!(constants, statements.len(), "the constants of {name}.rs and their list here");
    }
}

#[test]
fn every_statement_prepares() {
    let dir = tempfile::tempdir().unwrap();
    let (connection, _) = open::writer(&dir.path().join("a.db"), Synchronous::Off).unwrap();
    for (name, _, statements) in FILES {
        for sql in *statements {
            let statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{name}: {sql}: {error}"));
            assert_eq!(statement.readonly(), sql.starts_with("SELECT"), "{name}: {sql}");
        }
    }
}

/// Whole tables are read only where the answer is most of the table, or where it has one row.
#[test]
fn every_statement_has_its_index() {
    let scans = [
        keys::SELECT_ALL,
        log::SELECT_STATE,
        log::RAISE_HEAD,
        log::RAISE_HEAD_TO,
        log::RAISE_LIMITS,
        // All of them, once in the life of a database.
        sessions::END_ALL,
        // The beginning of the log, as far as it is dropped.
        log::DROP_PASSED,
        log::SELECT_LONGEST_LEASE,
        log::RAISE_LONGEST_LEASE,
    ];
    let dir = tempfile::tempdir().unwrap();
    let (connection, _) = open::writer(&dir.path().join("a.db"), Synchronous::Off).unwrap();
    for (name, _, statements) in FILES {
        for sql in *statements {
            let plan = plan(&connection, sql);
            let full = plan.iter().any(|step| step.starts_with("SCAN") && !step.contains("CONSTANT ROW"));
            assert_eq!(full, scans.contains(sql), "{name}: {sql}: {plan:?}");
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{name}: {sql}: {plan:?}");
        }
    }
    for (sql, index) in [(audit::SELECT_BY_SUBJECT, "audit_by_subject"), (audit::SELECT_BY_ACTOR, "audit_by_actor")] {
        assert!(plan(&connection, sql).iter().any(|step| step.contains(index)), "{sql}");
    }
}

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let parameters = rusqlite::params_from_iter(vec!["1"; explain.parameter_count()]);
    explain.query_map(parameters, |row| row.get("detail")).unwrap().map(Result::unwrap).collect()
}
