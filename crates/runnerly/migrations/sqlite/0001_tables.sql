-- Instants are microseconds since 1970, UTC. Local wall-clock times are ISO text without a zone.
-- Everything of an athlete goes with the athlete's row.

CREATE TABLE athletes (
    id              INTEGER PRIMARY KEY,
    name            TEXT NOT NULL,
    profile         TEXT NOT NULL,                -- JSON, as the provider sent it
    state           TEXT NOT NULL DEFAULT 'local' CHECK (state IN ('local', 'connected', 'revoked')),
    scope           TEXT NOT NULL DEFAULT '',     -- what the athlete granted
    tokens          BLOB,                         -- sealed
    token_version   INTEGER NOT NULL DEFAULT 0,    -- grows with every change of the tokens
    expires_at      INTEGER,                       -- of the access token
    refresher       TEXT,                         -- who may refresh the tokens,
    refresher_until INTEGER,                       -- and until when
    synced_at       INTEGER,
    sync_cursor     TEXT,
    sync_count      INTEGER NOT NULL DEFAULT 0,    -- activities read since the cursor was empty
    created_at      INTEGER NOT NULL
);

-- An imported file's id comes from its content, so two athletes can have the same: the key is the pair.
CREATE TABLE activities (
    athlete         INTEGER NOT NULL REFERENCES athletes (id) ON DELETE CASCADE,
    id              INTEGER NOT NULL,
    name            TEXT NOT NULL,
    sport           TEXT NOT NULL,
    start_at        INTEGER NOT NULL,
    start_local     TEXT NOT NULL,
    timezone        TEXT,
    distance_m      REAL NOT NULL,
    moving_s        INTEGER NOT NULL,
    elapsed_s       INTEGER NOT NULL,
    gain_m          REAL NOT NULL,
    average_hr      REAL,
    max_hr          REAL,
    average_cadence REAL,
    workout_type    INTEGER,
    gear            TEXT,
    private         BOOLEAN NOT NULL,
    source          TEXT NOT NULL CHECK (source IN ('strava', 'file')),
    raw             TEXT,                         -- JSON of the provider's latest answer, list or detail
    read_at         INTEGER NOT NULL,              -- when the provider said so: what is older never replaces what is newer
    stream_state    TEXT NOT NULL DEFAULT 'unknown' CHECK (stream_state IN ('unknown', 'fetched', 'absent')),
    PRIMARY KEY (athlete, id)
);
CREATE INDEX activities_by_start ON activities (athlete, start_at, id);
CREATE INDEX activities_without_streams ON activities (athlete, start_at) WHERE stream_state = 'unknown';

-- A deletion can overtake the answer that still holds the activity.
CREATE TABLE tombstones (
    athlete         INTEGER NOT NULL REFERENCES athletes (id) ON DELETE CASCADE,
    id              INTEGER NOT NULL,
    deleted_at      INTEGER NOT NULL,
    PRIMARY KEY (athlete, id)
);

CREATE TABLE streams (
    athlete         INTEGER NOT NULL,
    activity        INTEGER NOT NULL,
    body            BLOB NOT NULL,                -- gzip of JSON
    PRIMARY KEY (athlete, activity),
    FOREIGN KEY (athlete, activity) REFERENCES activities (athlete, id) ON DELETE CASCADE
);

CREATE TABLE efforts (
    athlete         INTEGER NOT NULL,
    activity        INTEGER NOT NULL,
    distance_m      REAL NOT NULL,
    name            TEXT NOT NULL,
    elapsed_s       INTEGER NOT NULL,
    start_index     INTEGER NOT NULL,
    end_index       INTEGER NOT NULL,
    PRIMARY KEY (athlete, activity, distance_m),
    FOREIGN KEY (athlete, activity) REFERENCES activities (athlete, id) ON DELETE CASCADE
);

CREATE TABLE splits (
    athlete         INTEGER NOT NULL,
    activity        INTEGER NOT NULL,
    unit            TEXT NOT NULL,                -- 'km' or 'mile'
    body            TEXT NOT NULL,                -- JSON
    PRIMARY KEY (athlete, activity, unit),
    FOREIGN KEY (athlete, activity) REFERENCES activities (athlete, id) ON DELETE CASCADE
);

-- Every improvement over a distance; the fastest stands.
CREATE TABLE records (
    athlete         INTEGER NOT NULL,
    distance_m      REAL NOT NULL,
    name            TEXT NOT NULL,
    activity        INTEGER NOT NULL,
    elapsed_s       INTEGER NOT NULL,
    day             TEXT NOT NULL,                -- local date
    PRIMARY KEY (athlete, distance_m, activity),
    FOREIGN KEY (athlete, activity) REFERENCES activities (athlete, id) ON DELETE CASCADE
);

CREATE TABLE stats (
    athlete         INTEGER NOT NULL REFERENCES athletes (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    body            TEXT NOT NULL,                -- JSON
    computed_at     INTEGER NOT NULL,
    PRIMARY KEY (athlete, name)
);

CREATE TABLE uploads (
    id              TEXT PRIMARY KEY,
    athlete         INTEGER NOT NULL REFERENCES athletes (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    size            INTEGER NOT NULL,
    bytes           BLOB,                         -- until the file is imported
    state           TEXT NOT NULL CHECK (state IN ('waiting', 'imported', 'failed')),
    error           TEXT,
    activity        INTEGER,
    created_at      INTEGER NOT NULL
);
CREATE INDEX uploads_by_athlete ON uploads (athlete, created_at);
