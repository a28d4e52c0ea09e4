-- Jobs written in the application's own transactions, until a relay has handed them over.
CREATE TABLE legwork_outbox (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL,     -- the job's
    name     TEXT NOT NULL,     -- the job's
    record   TEXT NOT NULL,     -- the job: a header line and the payload
    delay_ms BIGINT,            -- due this long after it was written, or
    due_ms   BIGINT,            -- due at this instant, or at once
    made_ms  BIGINT NOT NULL,   -- when it was written, by this database's clock
    batch    BIGINT,            -- the batch in which it is being handed over
    refused  TEXT               -- why it cannot be; set to NULL to try again
);

CREATE INDEX legwork_outbox_batch ON legwork_outbox (batch) WHERE batch IS NOT NULL;

-- One row: what all relays of this database agree on.
CREATE TABLE legwork_outbox_relay (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    fence    TEXT NOT NULL,             -- the name under which the queue knows this outbox
    batch    BIGINT NOT NULL DEFAULT 0, -- the number of the last batch
    holder   TEXT,                      -- the relay whose turn it is
    until_ms BIGINT NOT NULL DEFAULT 0  -- until when, unless it comes again
);

INSERT INTO legwork_outbox_relay (one, fence) VALUES (1, lower(hex(randomblob(16))));
