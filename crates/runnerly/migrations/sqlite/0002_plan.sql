-- What an athlete means to run, and the run that came of it: nobody's where it was deleted since.
CREATE TABLE planned (
    athlete         INTEGER NOT NULL REFERENCES athletes (id) ON DELETE CASCADE,
    id              TEXT NOT NULL,
    day             TEXT NOT NULL,                -- local date
    name            TEXT NOT NULL,
    distance_m      REAL,
    duration_s      INTEGER,
    note            TEXT NOT NULL,
    activity        INTEGER,
    PRIMARY KEY (athlete, id)
);
CREATE INDEX planned_by_day ON planned (athlete, day);
CREATE UNIQUE INDEX planned_by_activity ON planned (athlete, activity) WHERE activity IS NOT NULL;

-- One for each new run. What it says is written when it is shown, from the run and the plan.
CREATE TABLE messages (
    athlete         INTEGER NOT NULL,
    activity        INTEGER NOT NULL,
    made_at         INTEGER NOT NULL,
    read_at         INTEGER,
    PRIMARY KEY (athlete, activity),
    FOREIGN KEY (athlete, activity) REFERENCES activities (athlete, id) ON DELETE CASCADE
);
CREATE INDEX messages_by_time ON messages (athlete, made_at);
