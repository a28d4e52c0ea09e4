-- A flow: a DAG of jobs. Its nodes come in as drafts, which nobody sees, and become jobs by one
-- commit. What waits for what is derived from the edges; nothing is counted.
CREATE TABLE flows (
    id          BLOB    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    state       INTEGER NOT NULL,           -- 0 draft, 1 running, 2 succeeded, 3 failed, 4 cancelled
    step        INTEGER NOT NULL,           -- the last step taken in
    bad         INTEGER NOT NULL DEFAULT 0, -- a failure that no edge took up
    created_ms  INTEGER NOT NULL,
    finished_ms INTEGER,
    keep_ms     INTEGER NOT NULL,
    look_ms     INTEGER NOT NULL,           -- when the sweep looks at it again
    work        TEXT,                       -- what is left to do of it: begin, cancel, mend, drop
    at          INTEGER NOT NULL DEFAULT 0  -- how far that is
) WITHOUT ROWID;
CREATE INDEX flows_look ON flows (look_ms);
CREATE INDEX flows_work ON flows (id) WHERE work IS NOT NULL;

CREATE TABLE flow_nodes (
    id       BLOB    NOT NULL PRIMARY KEY,
    flow     BLOB    NOT NULL,
    ord      INTEGER NOT NULL,
    kind     INTEGER NOT NULL,           -- 0 entry, 1 other, 2 given by another flow
    label    TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    queue    TEXT    NOT NULL,
    wait_ms  INTEGER,                    -- how long it is put off once its turn has come
    due_ms   INTEGER,                    -- or until when
    outcome  INTEGER,                    -- 5 succeeded, 6 discarded, 7 cancelled, 8 not needed
    ended_ms INTEGER,
    reason   TEXT,
    result   TEXT,
    told     INTEGER NOT NULL DEFAULT 0  -- whether all that wait for it know
) WITHOUT ROWID;
CREATE UNIQUE INDEX flow_nodes_order ON flow_nodes (flow, ord);
CREATE INDEX flow_nodes_left ON flow_nodes (flow, ord) WHERE outcome IS NULL;
CREATE INDEX flow_nodes_untold ON flow_nodes (flow, ord) WHERE outcome IS NOT NULL AND told = 0;

CREATE TABLE flow_edges (
    src    BLOB    NOT NULL,
    dst    BLOB    NOT NULL,
    ord    INTEGER NOT NULL,
    policy TEXT    NOT NULL,           -- the letter of Edge
    done   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (dst, ord)
) WITHOUT ROWID;
CREATE INDEX flow_edges_src ON flow_edges (src, done);
CREATE INDEX flow_edges_open ON flow_edges (dst) WHERE done = 0;

CREATE TABLE flow_drafts (
    id         BLOB    NOT NULL PRIMARY KEY,
    record     BLOB    NOT NULL,
    priority   INTEGER NOT NULL,
    serial_key TEXT
) WITHOUT ROWID;

ALTER TABLE jobs ADD COLUMN flow BLOB;
ALTER TABLE jobs ADD COLUMN waits INTEGER NOT NULL DEFAULT 0; -- blocked: its turn has not come
