//! What every backend of the storage traits has to do. A backend's test says
//!
//! ```ignore
//! mod suite;
//! conformance!(open);
//! ```
//!
//! where `open` is an `async fn` that answers a [`Backend`] over an empty store, and gets a test for each case.

mod audit;
mod clients;
mod directory;
mod exchange_rules;
mod fixtures;
mod keys;
mod log;
mod refresh_tokens;
mod roles;
mod services;
mod sessions;
mod transactions;
mod users;

use propusk_core::env::Timestamp;
use propusk_core::id::{ClientId, ServiceId, SessionId, UserId};
use propusk_core::secret::{HashedSecret, TokenKey};
use propusk_core::store::{
    AuditEntry, AuditFilter, AuthMethod, Client, ExchangeRule, GrantType, Holder, KeyState, LastUse, LogRow, LogState,
    Page, PreviousSecret, RefreshToken, Role, RoleGrant, Rotation, SealedKey, Service, Session, SessionOrigin,
    SigningAlg, StoreError, StoredAuditEntry, SubjectKind, TokenPlace, Tx, User,
};

pub(crate) use audit::*;
pub(crate) use clients::*;
pub(crate) use directory::*;
pub(crate) use exchange_rules::*;
pub(crate) use keys::*;
pub(crate) use log::*;
pub(crate) use refresh_tokens::*;
pub(crate) use roles::*;
pub(crate) use services::*;
pub(crate) use sessions::*;
pub(crate) use transactions::*;
pub(crate) use users::*;

use fixtures::*;

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

/// A test for each case, over the store that `$open` answers; or for each that does one thing at a time.
macro_rules! conformance {
    ($open:path) => {
        $crate::conformance!($open: a_read_sees_one_snapshot);
        $crate::conformance!(one at a time: $open);
    };
    (one at a time: $open:path) => {
        $crate::conformance!(
            $open:
            a_user_is_read_back_by_id_and_name,
            a_username_is_given_once,
            a_user_is_updated_but_for_name_and_creation,
            users_come_in_pages_in_order_of_id,
            a_person_is_renamed_to_a_name_that_is_free,
            a_hash_is_renewed_only_in_the_place_of_the_one_that_was_seen,
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
            only_those_who_can_come_are_active_holders,
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
            what_was_done_stays_done,
            a_role_of_nothing_cannot_be_given,
            an_exchange_rule_is_put_and_replaced,
            a_session_is_read_back_whole,
            sessions_come_in_pages_without_the_ended,
            sessions_are_listed_with_their_last_use,
            a_session_ends_once,
            all_sessions_of_a_person_end,
            all_sessions_end,
            a_refresh_token_is_used_once,
            a_refresh_token_needs_a_session_and_is_there_once,
            refresh_tokens_without_a_place_are_found_by_their_hash,
            the_newest_refresh_token_of_a_session_is_touched,
            used_refresh_tokens_are_forgotten_some_at_a_time,
            expired_sessions_are_forgotten_with_their_tokens,
            events_follow_each_other,
            the_last_event_of_a_key_is_found,
            the_head_is_raised_and_never_lowered,
            events_are_read_in_pages,
            limits_only_grow_and_are_kept_with_the_events,
            events_that_the_floor_passed_are_dropped,
            the_longest_lease_only_grows,
            numbers_that_do_not_fit_are_refused,
            audit_entries_come_newest_first_in_pages,
            audit_entries_are_filtered_by_every_condition,
            a_job_that_fails_leaves_nothing_behind,
            a_write_sees_what_it_wrote_and_what_was_written_before,
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
