-- When a session was last used, and until when it may stay idle, is known by its newest refresh token: a rotation writes
-- there anyway, and no longer in the session.

ALTER TABLE refresh_tokens ADD COLUMN last_used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE refresh_tokens ADD COLUMN idle_expires_at INTEGER NOT NULL DEFAULT 0;
UPDATE refresh_tokens SET (last_used_at, idle_expires_at) =
        (SELECT last_used_at, idle_expires_at FROM sessions WHERE id = session_id)
    WHERE rotated_at IS NULL;
ALTER TABLE sessions DROP COLUMN last_used_at;
ALTER TABLE sessions DROP COLUMN idle_expires_at;

-- What a session's refresh tokens are marked with, so that those that were used need not be kept. Sessions of before have
-- none, and keep theirs.
ALTER TABLE sessions ADD COLUMN token_key BLOB CHECK (length(token_key) = 32);
