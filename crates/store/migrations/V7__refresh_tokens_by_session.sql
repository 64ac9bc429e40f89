-- A session's refresh tokens lie side by side, each found by the place that it names itself. Those from before name none:
-- they have the places below zero, the last one -1, and are found by their hash.

CREATE TABLE placed (
    session_id       TEXT    NOT NULL REFERENCES sessions (id),
    number           INTEGER NOT NULL,
    hash             BLOB    NOT NULL CHECK (length(hash) = 32),
    created_at       INTEGER NOT NULL,
    rotated_at       INTEGER,
    sealed_successor BLOB,
    PRIMARY KEY (session_id, number),
    CHECK ((rotated_at IS NULL) = (sealed_successor IS NULL))
) STRICT, WITHOUT ROWID;

INSERT INTO placed (session_id, number, hash, created_at, rotated_at, sealed_successor)
    SELECT session_id, -row_number() OVER (PARTITION BY session_id ORDER BY rotated_at IS NULL DESC, rotated_at DESC),
        hash, created_at, rotated_at, sealed_successor
    FROM refresh_tokens;

DROP TABLE refresh_tokens;
ALTER TABLE placed RENAME TO refresh_tokens;
CREATE UNIQUE INDEX refresh_tokens_without_place ON refresh_tokens (hash) WHERE number < 0;
