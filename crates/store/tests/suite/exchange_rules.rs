//! Exchange rules.

use super::*;

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
