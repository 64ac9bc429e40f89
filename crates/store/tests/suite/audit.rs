//! The audit log.

use super::*;

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
