//! A snapshot: the rings and tables of some audiences and every event that is alive, in parts.
//!
//! Its end is fixed at the first part; what is appended later follows from the tail. An event that is forgotten between
//! two parts can hit no living token.

use propusk_core::id::ServiceId;
use propusk_core::keys;
use propusk_core::store::{StoreError, Tx};

use super::proto;
use super::tail::{policy, tail_event};
use crate::app::App;

/// Events of one part; a message stays below a megabyte.
const EVENTS_OF_A_PART: usize = 8 * 1024;

/// A snapshot that is being sent.
pub(super) struct Snapshot {
    to: u64,
    /// The last event that was sent.
    cursor: u64,
    part: u32,
}

impl Snapshot {
    /// The first part, and the rest if there is one.
    pub(super) async fn begin(app: &App, audiences: &[ServiceId]) -> Result<(proto::Batch, Option<Self>), StoreError> {
        let audiences = audiences.to_vec();
        let (to, mut first) = app
            .read(move |tx, _| {
                let to = tx.log_state()?.head;
                let mut events = Vec::new();
                for audience in &audiences {
                    events.extend(state_of(tx, audience, to)?);
                }
                Ok::<_, StoreError>((to, events))
            })
            .await?;
        let mut snapshot = Self { to, cursor: 0, part: 0 };
        let mut batch = snapshot.part(app).await?;
        first.append(&mut batch.events);
        batch.events = first;
        let rest = (!batch.last).then_some(snapshot);
        Ok((batch, rest))
    }

    /// The position that it brings a subscriber to.
    pub(super) fn to(&self) -> u64 {
        self.to
    }

    /// The next part.
    pub(super) async fn part(&mut self, app: &App) -> Result<proto::Batch, StoreError> {
        let (cursor, to) = (self.cursor, self.to);
        let (events, end, floor) = app
            .read(move |tx, _| {
                let rows = tx.events_after(cursor, EVENTS_OF_A_PART)?;
                let end = rows.last().map_or(to, |row| row.seq);
                let mut events = Vec::with_capacity(rows.len());
                for row in rows.iter().filter(|row| row.seq <= to && !is_state(&row.kind)) {
                    events.push(tail_event(tx, row)?.message());
                }
                // Of this very snapshot: what is missing from it because it was forgotten is below.
                Ok::<_, StoreError>((events, end, tx.log_state()?.floor))
            })
            .await?;
        self.cursor = end;
        let part = self.part;
        self.part += 1;
        Ok(proto::Batch { from: 0, to, floor, events, last: end >= to, part })
    }
}

/// Rings and tables come once, as they are now.
fn is_state(kind: &str) -> bool {
    kind == propusk_core::log::KEYS_CHANGED || kind == propusk_core::log::POLICY_CHANGED
}

fn state_of(tx: &dyn Tx, audience: &ServiceId, head: u64) -> Result<[proto::Event; 2], StoreError> {
    use proto::event::Change;
    let aud = audience.to_string();
    let jwks = keys::jwks_for_verifiers(tx, audience)?.into();
    let roles = policy(tx, audience)?;
    let event = |change| proto::Event { seq: head, until: u64::MAX, change: Some(change) };
    Ok([
        event(Change::KeysChanged(proto::KeysChanged { aud: aud.clone(), jwks })),
        event(Change::PolicyChanged(proto::PolicyChanged { aud, roles })),
    ])
}
