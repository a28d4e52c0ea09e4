-- Small durable settings by kind and name: schedules, subscribers, limits, …
CREATE TABLE settings (
    kind    TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    value   TEXT    NOT NULL,
    last_ms INTEGER NOT NULL,
    fired   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
INSERT INTO settings SELECT 'schedule', name, view, last_ms, fired FROM schedules;
DROP TABLE schedules;

-- Grows with every change to a setting of its kind.
CREATE TABLE versions (kind TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
