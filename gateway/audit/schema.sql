-- The audit, version 1. ``seal`` is what gateway.audit.chain says; times are whole microseconds from 1970-01-01 UTC.

CREATE TABLE entries (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    action  TEXT NOT NULL,
    outcome TEXT NOT NULL,
    clinic  TEXT,
    channel TEXT,
    about   INTEGER,
    detail  TEXT NOT NULL,
    seal    BLOB NOT NULL
) STRICT;

CREATE INDEX entries_of_clinic ON entries (clinic, seq) WHERE clinic IS NOT NULL;

-- Against mistakes; tampering is found by the seals.
CREATE TRIGGER never_changed BEFORE UPDATE ON entries
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

CREATE TRIGGER never_deleted BEFORE DELETE ON entries
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

CREATE TRIGGER only_appended BEFORE INSERT ON entries
WHEN NEW.seq <= (SELECT max(seq) FROM entries)
BEGIN
    SELECT RAISE(ABORT, 'the audit is append-only');
END;

PRAGMA user_version = 1;
