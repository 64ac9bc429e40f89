-- How long a key of the service signs; what the setting says if null, for ever if zero.
ALTER TABLE services ADD COLUMN rotate_every_s INTEGER;
