-- Roles that inherit, groups, what is left of what was deleted, and answers that are kept for who asks again.

ALTER TABLE users ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE services ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE roles ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE clients ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE clients ADD COLUMN auth_method TEXT NOT NULL DEFAULT 'client_secret_basic';
ALTER TABLE clients ADD COLUMN redirect_uris TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(redirect_uris));
-- The secret before this one, until a time at which it is no good any more.
ALTER TABLE clients ADD COLUMN previous_secret BLOB CHECK (length(previous_secret) = 32);
ALTER TABLE clients ADD COLUMN previous_until INTEGER;

CREATE TABLE role_inherits (
    service  TEXT NOT NULL,
    role     TEXT NOT NULL,
    inherits TEXT NOT NULL CHECK (inherits <> role),
    PRIMARY KEY (service, role, inherits),
    FOREIGN KEY (service, role) REFERENCES roles (service, role),
    FOREIGN KEY (service, inherits) REFERENCES roles (service, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX heirs_of_role ON role_inherits (service, inherits);

CREATE TABLE groups (
    id         TEXT    PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE group_members (
    group_id TEXT NOT NULL REFERENCES groups (id),
    user_id  TEXT NOT NULL REFERENCES users (id),
    PRIMARY KEY (group_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX groups_of_user ON group_members (user_id, group_id);

CREATE TABLE group_roles (
    group_id TEXT NOT NULL REFERENCES groups (id),
    service  TEXT NOT NULL,
    role     TEXT NOT NULL,
    PRIMARY KEY (group_id, service, role),
    FOREIGN KEY (service, role) REFERENCES roles (service, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX groups_of_role ON group_roles (service, role);

-- What is deleted leaves its rows by these.
CREATE INDEX sessions_of_client ON sessions (client_id);
CREATE INDEX exchange_rules_of_audience ON exchange_rules (audience);

-- Ids that were somebody's: they are not given again.
CREATE TABLE gone (
    kind TEXT    NOT NULL CHECK (kind IN ('user', 'client', 'service')),
    id   TEXT    NOT NULL,
    at   INTEGER NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE kept_answers (
    key    BLOB    PRIMARY KEY CHECK (length(key) = 32),
    sealed BLOB    NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX kept_answers_by_age ON kept_answers (at);
