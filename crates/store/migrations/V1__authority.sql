-- Times are milliseconds since the Unix epoch, unless a comment says otherwise.
-- Lists that are only ever read and written whole are JSON arrays.

PRAGMA application_id = 0x5072706B;

CREATE TABLE users (
    id            TEXT    PRIMARY KEY,
    username      TEXT    NOT NULL UNIQUE,
    email         TEXT,
    password_hash TEXT,
    disabled      INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    ended_seq     INTEGER NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE clients (
    id          TEXT    PRIMARY KEY,
    name        TEXT    NOT NULL,
    secret      BLOB    CHECK (length(secret) = 32),
    first_party INTEGER NOT NULL CHECK (first_party IN (0, 1)),
    grant_types TEXT    NOT NULL CHECK (json_valid(grant_types)),
    audiences   TEXT    NOT NULL CHECK (json_valid(audiences)),
    disabled    INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE services (
    id           TEXT    PRIMARY KEY,
    alg          TEXT    NOT NULL,
    resource_uri TEXT    UNIQUE,
    access_ttl_s INTEGER,
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    kid          TEXT    PRIMARY KEY,
    service      TEXT    NOT NULL REFERENCES services (id),
    alg          TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('staged', 'active', 'retiring', 'revoked')),
    public_spki  BLOB    NOT NULL,
    sealed_pkcs8 BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    activated_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_of_service ON keys (service, created_at, kid);
CREATE UNIQUE INDEX one_active_key ON keys (service) WHERE state = 'active';

CREATE TABLE roles (
    service TEXT NOT NULL REFERENCES services (id),
    role    TEXT NOT NULL,
    PRIMARY KEY (service, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE role_permissions (
    service    TEXT NOT NULL,
    role       TEXT NOT NULL,
    permission TEXT NOT NULL,
    PRIMARY KEY (service, role, permission),
    FOREIGN KEY (service, role) REFERENCES roles (service, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE user_roles (
    user_id TEXT NOT NULL REFERENCES users (id),
    service TEXT NOT NULL,
    role    TEXT NOT NULL,
    PRIMARY KEY (user_id, service, role),
    FOREIGN KEY (service, role) REFERENCES roles (service, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX users_of_role ON user_roles (service, role);

CREATE TABLE client_roles (
    client_id TEXT NOT NULL REFERENCES clients (id),
    service   TEXT NOT NULL,
    role      TEXT NOT NULL,
    PRIMARY KEY (client_id, service, role),
    FOREIGN KEY (service, role) REFERENCES roles (service, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX clients_of_role ON client_roles (service, role);

CREATE TABLE exchange_rules (
    actor         TEXT NOT NULL REFERENCES clients (id),
    audience      TEXT NOT NULL REFERENCES services (id),
    subjects      TEXT NOT NULL CHECK (json_valid(subjects)),
    from_services TEXT NOT NULL CHECK (json_valid(from_services)),
    PRIMARY KEY (actor, audience)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id              TEXT    PRIMARY KEY,
    user_id         TEXT    NOT NULL REFERENCES users (id),
    client_id       TEXT    NOT NULL REFERENCES clients (id),
    epoch           INTEGER NOT NULL,
    scope           TEXT,
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER NOT NULL,
    idle_expires_at INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    address         TEXT,
    user_agent      TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_user ON sessions (user_id, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE refresh_tokens (
    hash             BLOB    PRIMARY KEY CHECK (length(hash) = 32),
    session_id       TEXT    NOT NULL REFERENCES sessions (id),
    created_at       INTEGER NOT NULL,
    rotated_at       INTEGER,
    successor        BLOB    CHECK (length(successor) = 32),
    sealed_successor BLOB,
    CHECK ((rotated_at IS NULL) = (successor IS NULL) AND (rotated_at IS NULL) = (sealed_successor IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

-- The one row that orders the log. `exp_ceiling` and `floor` are Unix seconds.
CREATE TABLE log (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    head        INTEGER NOT NULL,
    exp_ceiling INTEGER NOT NULL,
    floor       INTEGER NOT NULL
) STRICT;
INSERT INTO log (id, head, exp_ceiling, floor) VALUES (1, 0, 0, 0);

-- `until` is Unix seconds and never falls as `seq` grows: it is the ceiling at the event's commit.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    kind    TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    payload TEXT    NOT NULL,
    until   INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX events_by_key ON events (kind, key);

-- One row: the longest lease ever granted to a verifier.
CREATE TABLE leases (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    longest_ms INTEGER NOT NULL
) STRICT;
INSERT INTO leases (id, longest_ms) VALUES (1, 0);

CREATE TABLE audit (
    n          INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    service    TEXT,
    outcome    TEXT    NOT NULL,
    jti        TEXT,
    kid        TEXT,
    request_id TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_by_subject ON audit (subject);
CREATE INDEX audit_by_actor ON audit (actor);
