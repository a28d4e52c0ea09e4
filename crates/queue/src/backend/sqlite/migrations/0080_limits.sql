-- Jobs with a limit key (a serial key is one) wait key by key, and stay available.
DROP INDEX jobs_serial;
DROP INDEX jobs_available;
ALTER TABLE jobs RENAME COLUMN serial_key TO limit_key;
ALTER TABLE jobs ADD COLUMN cost INTEGER NOT NULL DEFAULT 1;
UPDATE jobs SET limit_key = 'serial/' || limit_key WHERE limit_key IS NOT NULL;
UPDATE queues SET
    n1 = n1 + (SELECT count(*) FROM jobs WHERE queue = name AND state = 4 AND parked IS NULL AND waits = 0),
    n4 = n4 - (SELECT count(*) FROM jobs WHERE queue = name AND state = 4 AND parked IS NULL AND waits = 0);
UPDATE jobs SET state = 1 WHERE state = 4 AND parked IS NULL AND waits = 0;
ALTER TABLE flow_drafts RENAME COLUMN serial_key TO limit_key;
ALTER TABLE flow_drafts ADD COLUMN cost INTEGER NOT NULL DEFAULT 1;
UPDATE flow_drafts SET limit_key = 'serial/' || limit_key WHERE limit_key IS NOT NULL;

-- Those without a key first: both lanes by one index.
CREATE INDEX jobs_available ON jobs (queue, priority + 10 * (limit_key IS NOT NULL), ord)
    WHERE state = 1;
CREATE INDEX jobs_keyed ON jobs (queue, limit_key, priority, ord)
    WHERE state = 1 AND limit_key IS NOT NULL;
-- Permits in use are the leased jobs of a key: counted, never written down.
CREATE INDEX jobs_permits ON jobs (limit_key) WHERE state = 2 AND limit_key IS NOT NULL;
ALTER TABLE batches ADD COLUMN keyed INTEGER NOT NULL DEFAULT 0;

-- The keys under which jobs of a queue wait. They take turns.
CREATE TABLE keys (
    queue    TEXT    NOT NULL,
    key      TEXT    NOT NULL,  -- NAME/KEY
    turn     INTEGER NOT NULL,  -- grows with each turn taken
    after_ms INTEGER NOT NULL,  -- 0: has its turn; until when it cools; the greatest number:
                                -- until a permit is free
    PRIMARY KEY (queue, key)
) WITHOUT ROWID;
CREATE INDEX keys_turn ON keys (queue, after_ms, turn);
CREATE INDEX keys_full ON keys (key) WHERE after_ms = 9223372036854775807;
INSERT INTO keys SELECT DISTINCT queue, limit_key, 0, 0 FROM jobs
    WHERE state = 1 AND limit_key IS NOT NULL;

-- What has been spent under a limit, JSON as limit/book.rs writes it.
CREATE TABLE rates (key TEXT NOT NULL PRIMARY KEY, spent TEXT NOT NULL) WITHOUT ROWID;
