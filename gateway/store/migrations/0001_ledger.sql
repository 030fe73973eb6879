-- The ledger: every command that a clinic's channels own, and its outcome.
--
-- Times are whole microseconds since 1970-01-01 UTC. Blobs named body, event and headers are msgpack.

CREATE TABLE commands (
    seq       INTEGER PRIMARY KEY,              -- the order of acceptance
    channel   TEXT    NOT NULL,
    id        TEXT    NOT NULL,                 -- the sender's idempotency key
    run       INTEGER NOT NULL CHECK (run >= 1),
    content   BLOB    NOT NULL,                 -- hash of the command: tells a repeat from a conflict
    priority  TEXT    NOT NULL CHECK (priority IN ('high', 'normal', 'bulk')),
    queued_at INTEGER NOT NULL,
    attempts  INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    state     TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'in_flight', 'final')),
    headers   BLOB    NOT NULL,                 -- correlation headers: name to value
    body      BLOB    NOT NULL,                 -- the command; last, as it may fill many pages
    UNIQUE (channel, id)
);

CREATE INDEX commands_unfinished ON commands (channel, seq) WHERE state <> 'final';

CREATE TABLE results (
    seq       INTEGER PRIMARY KEY,              -- the order of finishing
    command   INTEGER NOT NULL REFERENCES commands (seq) ON DELETE CASCADE,
    run       INTEGER NOT NULL CHECK (run >= 1),
    wa_id     TEXT,
    published INTEGER NOT NULL DEFAULT 0 CHECK (published IN (0, 1)),
    event     BLOB    NOT NULL,                 -- the result event
    UNIQUE (command, run)
);

CREATE INDEX results_unpublished ON results (seq) WHERE published = 0;
CREATE INDEX results_wa_id ON results (wa_id) WHERE wa_id IS NOT NULL;
