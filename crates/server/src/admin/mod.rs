//! `/admin/v1/*`: bearer token for audience `propusk` with permission `propusk:*`; every call is elite.

mod audit;
mod backup;
mod clients;
mod exchange_rules;
mod groups;
mod keys;
mod once;
mod patch;
mod roles;
mod services;
mod sessions;
mod tokens;
mod transfer;
mod users;
mod verifiers;
mod version;
mod why;

use propusk_verify::verifier::Verifier;

use crate::api::{self, Api, delete, get, post, put, says};
use crate::auth::SessionView;

/// What the whole of the admin API demands.
const PERMISSION: &str = "propusk:*";

/// The routes.
pub(crate) fn routes(verifier: &Verifier) -> Api {
    let of_people = people().merge(accounts()).merge(sessions());
    let of_rights = assignments().merge(roles()).merge(groups());
    let of_machines = clients().merge(exchanges()).merge(services()).merge(keys());
    let v1 = of_people.merge(of_rights).merge(of_machines).merge(operation());
    Api::new().nest("/admin/v1", v1).guarded(verifier.elite().permission(PERMISSION))
}

/// People: who there is, and what they are called.
fn people() -> Api {
    Api::new()
        .route(
            "/users",
            get(
                users::list,
                says("List people, or find one by name").asks("username", false).answers_page::<users::UserView>(),
            )
            .post(
                users::create,
                says("Register a person")
                    .takes::<users::New>()
                    .once()
                    .answers::<users::UserView>(201)
                    .versioned(201)
                    .waits()
                    .or(&[409, 422]),
            ),
        )
        .route(
            "/users/{id}",
            get(users::show, says("Show a person").answers::<users::UserView>(200).versioned(200).or(&[404]))
                .patch(
                    users::change,
                    says("Change a person")
                        .takes::<users::Changes>()
                        .needs_if_match()
                        .waits()
                        .answers::<users::UserView>(200)
                        .versioned(200)
                        .tells(&[200])
                        .or(&[404, 409, 422]),
                )
                .delete(
                    users::delete,
                    says("Erase a person; the id and the audit log stay").if_match().changes().or(&[404, 409]),
                ),
        )
        .route(
            "/users/import",
            post(
                transfer::import,
                says("Take people over with the hashes of their passwords; the same again changes nothing")
                    .takes::<transfer::Batch>()
                    .once()
                    .waits()
                    .answers::<transfer::ImportAnswer>(200)
                    .or(&[422]),
            ),
        )
        .route(
            "/users/export",
            get(
                transfer::export,
                says("List people with the hashes of their passwords; each page is audited")
                    .answers_page::<transfer::TransferredUser>(),
            ),
        )
}

/// What is done to a person's account.
fn accounts() -> Api {
    Api::new()
        .route("/users/{id}/disable", post(users::disable, says("Disable a person").once().changes().or(&[404, 409])))
        .route("/users/{id}/enable", post(users::enable, says("Enable a person").once().changes().or(&[404])))
        .route(
            "/users/{id}/password",
            put(
                users::set_password,
                says("Give a person another password").takes::<users::NewPassword>().changes().or(&[404, 422]),
            ),
        )
        .route(
            "/users/{id}/sessions",
            delete(users::end_sessions, says("Sign a person out everywhere").changes().or(&[404])),
        )
        .route(
            "/users/{id}/why",
            get(
                why::show,
                says("Tell by which ways a person has a permission")
                    .asks("permission", true)
                    .asks("service", false)
                    .answers::<why::Answer>(200)
                    .or(&[404]),
            ),
        )
        .route(
            "/users/{id}/roles",
            get(
                roles::of_user,
                says("List the roles that a person was given").answers_page::<roles::HeldRole>().or(&[404]),
            ),
        )
}

/// Sessions and tokens.
fn sessions() -> Api {
    Api::new()
        .route(
            "/sessions",
            get(
                sessions::list,
                says("List somebody's sessions").asks("user_id", true).answers_page::<SessionView>().or(&[404]),
            ),
        )
        .route("/sessions/{id}", delete(sessions::end, says("End a session").changes().or(&[404])))
        .route(
            "/tokens/revoke",
            post(tokens::revoke, says("Refuse one access token").takes::<tokens::Body>().once().changes()),
        )
}

/// Who has which role.
fn assignments() -> Api {
    let given = || says("Give a role").changes().or(&[404]);
    let taken = || says("Take a role").changes().or(&[404, 409]);
    Api::new()
        .route("/users/{id}/roles/{service}/{role}", put(roles::give_user, given()).delete(roles::take_user, taken()))
        .route(
            "/clients/{id}/roles/{service}/{role}",
            put(roles::give_client, given()).delete(roles::take_client, taken()),
        )
        .route(
            "/groups/{id}/roles/{service}/{role}",
            put(roles::give_group, given()).delete(roles::take_group, taken()),
        )
}

/// The roles of services.
fn roles() -> Api {
    Api::new()
        .route(
            "/services/{id}/roles",
            get(roles::of_service, says("List the roles of a service").answers_page::<roles::RoleView>().or(&[404])),
        )
        .route(
            "/services/{service}/roles/{role}",
            get(roles::show, says("Show a role").answers::<roles::RoleView>(200).versioned(200).or(&[404]))
                .put(
                    roles::put,
                    says("Make or change a role").takes::<roles::NewRole>().if_match().changes().or(&[404, 409, 422]),
                )
                .delete(roles::delete, says("Delete a role").if_match().changes().or(&[404, 409])),
        )
        .route(
            "/services/{service}/roles/{role}/permissions/{permission}",
            put(roles::permit, says("Let a role permit something").if_match().changes().or(&[404, 422])).delete(
                roles::forbid,
                says("Let a role not permit something").if_match().changes().or(&[404, 409, 422]),
            ),
        )
}

/// Groups and who is in them.
fn groups() -> Api {
    Api::new()
        .route(
            "/groups",
            get(groups::list, says("List groups").answers_page::<groups::GroupView>()).post(
                groups::create,
                says("Make a group")
                    .takes::<groups::New>()
                    .once()
                    .answers::<groups::GroupView>(201)
                    .waits()
                    .or(&[409, 422]),
            ),
        )
        .route(
            "/groups/{id}",
            get(groups::show, says("Show a group and its roles").answers::<groups::WholeGroupView>(200).or(&[404]))
                .delete(groups::delete, says("Delete a group").changes().or(&[404, 409])),
        )
        .route(
            "/groups/{id}/members",
            get(groups::members, says("List a group's members").answers_page::<groups::MemberView>().or(&[404])),
        )
        .route(
            "/groups/{id}/members/{user_id}",
            put(groups::add_member, says("Put a person into a group").changes().or(&[404]))
                .delete(groups::remove_member, says("Take a person out of a group").changes().or(&[404, 409])),
        )
}

/// Clients.
fn clients() -> Api {
    Api::new()
        .route(
            "/clients",
            get(clients::list, says("List clients").answers_page::<clients::ClientView>()).post(
                clients::create,
                says("Register a client")
                    .takes::<clients::New>()
                    .once()
                    .answers::<clients::RegisteredView>(201)
                    .versioned(201)
                    .waits()
                    .or(&[409, 422]),
            ),
        )
        .route(
            "/clients/{id}",
            get(
                clients::show,
                says("Show a client and its roles").answers::<clients::WholeClientView>(200).versioned(200).or(&[404]),
            )
            .patch(
                clients::change,
                says("Change a client")
                    .takes::<clients::Changes>()
                    .needs_if_match()
                    .waits()
                    .answers::<clients::ClientView>(200)
                    .versioned(200)
                    .tells(&[200])
                    .or(&[404, 409, 422]),
            )
            .delete(clients::delete, says("Delete a client").if_match().changes().or(&[404, 409])),
        )
        .route(
            "/clients/{id}/secret",
            post(
                clients::new_secret,
                says("Give a client another secret")
                    .takes::<clients::Overlap>()
                    .once()
                    .waits()
                    .answers::<clients::SecretView>(201)
                    .tells(&[201])
                    .or(&[404, 409, 422]),
            ),
        )
        .route(
            "/clients/{id}/revoke-tokens",
            post(clients::revoke_tokens, says("Refuse every token that a client got").once().changes().or(&[404])),
        )
        .route(
            "/clients/{id}/disable",
            post(clients::disable, says("Disable a client").once().changes().or(&[404, 409])),
        )
        .route("/clients/{id}/enable", post(clients::enable, says("Enable a client").once().changes().or(&[404])))
}

/// Which tokens clients may exchange.
fn exchanges() -> Api {
    let allowed = says("Let a client exchange tokens").takes::<exchange_rules::Body>().changes().or(&[404, 422]);
    let forbidden = says("Let a client not exchange tokens").changes().or(&[404]);
    Api::new().route(
        "/exchange-rules/{actor_client}/{audience}",
        put(exchange_rules::put, allowed).delete(exchange_rules::delete, forbidden),
    )
}

/// Services: the audiences of tokens.
fn services() -> Api {
    Api::new()
        .route(
            "/services",
            get(services::list, says("List services").answers_page::<services::ServiceView>()).post(
                services::create,
                says("Register a service")
                    .takes::<services::New>()
                    .once()
                    .waits()
                    .answers::<services::ServiceView>(201)
                    .versioned(201)
                    .tells(&[201])
                    .or(&[409, 422]),
            ),
        )
        .route(
            "/services/{id}",
            get(services::show, says("Show a service").answers::<services::ServiceView>(200).versioned(200).or(&[404]))
                .patch(
                    services::change,
                    says("Change a service")
                        .takes::<services::Changes>()
                        .needs_if_match()
                        .waits()
                        .answers::<services::ServiceView>(200)
                        .versioned(200)
                        .tells(&[200])
                        .or(&[404, 409, 422]),
                )
                .delete(
                    services::delete,
                    says("Delete a service with its keys and roles").if_match().changes().or(&[404, 409]),
                ),
        )
}

/// The keys of services.
fn keys() -> Api {
    Api::new()
        .route(
            "/services/{id}/keys",
            get(keys::list, says("List a service's keys").answers_page::<keys::KeyView>().or(&[404])),
        )
        .route(
            "/services/{id}/keys/rotate",
            post(
                keys::rotate,
                says("Begin to sign with another key")
                    .once()
                    .waits()
                    .answers::<keys::PromotedView>(202)
                    .tells(&[202])
                    .or(&[404]),
            ),
        )
        .route(
            "/keys/{kid}/revoke",
            post(keys::revoke, says("Refuse whatever a key signed").once().changes().or(&[404])),
        )
}

/// What operators look at.
fn operation() -> Api {
    Api::new()
        .route(
            "/verifiers",
            get(
                verifiers::list,
                says("List the verifiers that are heard of").answers_page::<verifiers::VerifierView>(),
            ),
        )
        .route(
            "/audit",
            get(
                audit::list,
                says("Read the audit log, newest first")
                    .asks("subject", false)
                    .asks("actor", false)
                    .asks("service", false)
                    .asks("action", false)
                    .answers_page::<audit::EntryView>(),
            ),
        )
        .route(
            "/backup",
            post(
                backup::make,
                says("Copy the whole database while it is in use").answers_binary(200, backup::KIND).or(&[409]),
            ),
        )
        .route("/openapi.json", get(api::serve, says("This document").answers_as(200, "application/json")))
}
