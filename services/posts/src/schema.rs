//! The tables. Posts.

/// The steps that make them: append, never edit. See [`demo_common::db::migrate`].
pub(crate) const MIGRATIONS: &[&str] = &["
    CREATE TABLE posts (
        -- Grows only, so newer posts have greater numbers and none is used twice.
        post_id INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id TEXT NOT NULL,
        content TEXT NOT NULL
    ) STRICT;
"];
