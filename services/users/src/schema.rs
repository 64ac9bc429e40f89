//! The tables. People and debits.

/// The steps that make them: append, never edit. See [`demo_common::db::migrate`].
pub(crate) const MIGRATIONS: &[&str] = &["
    CREATE TABLE users (
        user_id  TEXT PRIMARY KEY,
        username TEXT NOT NULL,
        email    TEXT,
        balance  INTEGER NOT NULL CHECK (balance >= 0)
    ) STRICT;
    -- A reference that was voided before any debit came has neither user nor amount.
    CREATE TABLE debits (
        reference TEXT PRIMARY KEY,
        state     TEXT NOT NULL CHECK (state IN ('charged', 'voided')),
        user_id   TEXT REFERENCES users (user_id),
        amount    INTEGER CHECK (amount > 0),
        balance   INTEGER
    ) STRICT;
"];
