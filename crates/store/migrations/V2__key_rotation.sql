-- `published_seq` is the event that tells verifiers of the key, `until` in Unix seconds the ceiling at its end.
ALTER TABLE keys ADD COLUMN published_seq INTEGER;
ALTER TABLE keys ADD COLUMN promoted_at INTEGER;
ALTER TABLE keys ADD COLUMN until INTEGER;

-- Some event before told of them; which one does not matter.
UPDATE keys SET published_seq = (SELECT head FROM log);
