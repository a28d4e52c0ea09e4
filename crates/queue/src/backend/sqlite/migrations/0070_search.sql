-- What jobs are found by besides their id, name, queue and state: only those that have any.
--   term: g:TAG, d:KEY NUL VALUE, or e:FINGERPRINT of the newest error
CREATE TABLE terms (
    term    BLOB    NOT NULL,
    made_ms INTEGER NOT NULL,  -- when the job was made
    id      BLOB    NOT NULL,
    PRIMARY KEY (term, made_ms, id)
) WITHOUT ROWID;
CREATE INDEX terms_id ON terms (id, term);

ALTER TABLE jobs ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;

-- However a job goes, its terms go with it.
CREATE TRIGGER jobs_gone AFTER DELETE ON jobs WHEN old.indexed BEGIN
    DELETE FROM terms WHERE id = old.id;
END;
CREATE TRIGGER flow_drafts_gone AFTER DELETE ON flow_drafts
WHEN NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = old.id) BEGIN
    DELETE FROM terms WHERE id = old.id;
END;
