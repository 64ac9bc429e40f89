//! What a transaction is.

use std::sync::mpsc;
use std::time::Duration;

use super::*;

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
