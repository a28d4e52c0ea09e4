-- What a handler remembers from one attempt to the next, and what its worker has seen.
ALTER TABLE jobs ADD COLUMN steps TEXT;   -- done: a line each, as StepView writes them
ALTER TABLE jobs ADD COLUMN cursor TEXT;  -- how far a long iteration has come
ALTER TABLE jobs ADD COLUMN cancel_seen INTEGER NOT NULL DEFAULT 0;
