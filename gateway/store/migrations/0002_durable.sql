-- Durable messaging: states in full, attempts, schedules and deadlines, people, and what came in.
--
-- Checks say OR, not IN, for which SQLite builds a table each time: 5 µs a row.
--
-- packed(blob, path) is a value out of msgpack, micros(text) the number of an RFC 3339 time (see schema.py).

CREATE TABLE commands_2 (
    seq          INTEGER PRIMARY KEY,           -- the order of acceptance
    channel      TEXT    NOT NULL,
    id           TEXT    NOT NULL,              -- the sender's idempotency key
    run          INTEGER NOT NULL CHECK (run >= 1),
    state        TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'in_flight' OR state = 'sent' OR
                                         state = 'scheduled' OR state = 'failed' OR state = 'expired' OR
                                         state = 'held' OR state = 'discarded'),
    attempts     INTEGER NOT NULL CHECK (attempts >= 0),
    turn         INTEGER,                       -- its place among what is to be sent; NULL: scheduled, or final
    secret       BLOB,                          -- of the message of the attempt that is not settled
    wa_id        TEXT,                          -- under which that message was found
    queued_at    INTEGER NOT NULL,
    not_before   INTEGER,
    expires_at   INTEGER,
    deliver_by   INTEGER,
    ended_at     INTEGER,                       -- when its run ended; NULL: it has not
    deadline     INTEGER,                       -- deliver_by of what is sent, while a late result may be due
    delivered_at INTEGER,
    read_at      INTEGER,
    played_at    INTEGER,
    priority     TEXT    NOT NULL CHECK (priority = 'normal' OR priority = 'high' OR priority = 'bulk'),
    recipient    TEXT    NOT NULL,              -- as the command says it
    chat         TEXT    NOT NULL,              -- the same as a JID
    type         TEXT    NOT NULL,
    content      BLOB    NOT NULL,              -- hash of the command: tells a repeat from a conflict
    headers      BLOB    NOT NULL,              -- correlation headers: name to value
    meta         BLOB,
    UNIQUE (channel, id)
);

CREATE TABLE results_2 (
    command INTEGER NOT NULL REFERENCES commands (seq) ON DELETE CASCADE,
    run     INTEGER NOT NULL CHECK (run >= 1),
    place   INTEGER,                            -- its place among what NATS may not have; NULL: it has it
    at      INTEGER NOT NULL,                   -- when it was recorded
    status  TEXT    NOT NULL,
    code    TEXT,                               -- of its error
    wa_id   TEXT,
    event   BLOB    NOT NULL,                   -- the result event
    PRIMARY KEY (command, run)
) WITHOUT ROWID;

-- What was received; kept until it was sent, or for good if a run of it failed. Apart, because every change of a row writes all of it anew.
CREATE TABLE bodies (
    command INTEGER PRIMARY KEY REFERENCES commands (seq) ON DELETE CASCADE,
    body    BLOB NOT NULL
);

CREATE TABLE failures (
    seq       INTEGER PRIMARY KEY,
    command   INTEGER NOT NULL REFERENCES commands (seq) ON DELETE CASCADE,
    run       INTEGER NOT NULL,
    number    INTEGER NOT NULL,                 -- of the attempt in its run
    at        INTEGER NOT NULL,
    code      TEXT    NOT NULL,
    message   TEXT    NOT NULL,
    permanent INTEGER NOT NULL
);

CREATE TABLE people (
    channel   TEXT NOT NULL,
    jid       TEXT NOT NULL,
    last_in   INTEGER,                          -- when they last wrote to us
    first_out INTEGER,                          -- when we first wrote to them
    last_out  INTEGER,
    cold      INTEGER NOT NULL DEFAULT 0,       -- we wrote first
    opted_out INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (channel, jid)
) WITHOUT ROWID;

CREATE TABLE channels (
    channel    TEXT PRIMARY KEY,
    created    INTEGER,                         -- when it was registered; another one of its name has another time
    traced     INTEGER,                         -- the row of the session store up to which all is accounted for
    first_sent INTEGER,
    phone      TEXT,                            -- the number that was connected last
    jid        TEXT,                            -- as which device
    phone_at   INTEGER                          -- since when, if another was connected before
) WITHOUT ROWID;

CREATE TABLE claims (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of claims; none comes again, whatever is swept
    channel TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    UNIQUE (channel, key)
);

-- Receipts of messages that no command is known to have sent, or not yet.
CREATE TABLE strays (
    channel TEXT    NOT NULL,
    wa_id   TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    at      INTEGER NOT NULL,                   -- when it came, as WhatsApp says
    noted   INTEGER NOT NULL,                   -- when it was written here
    PRIMARY KEY (channel, wa_id, kind)
) WITHOUT ROWID;

-- What was claimed and NATS may not have.
CREATE TABLE spool (
    seq     INTEGER PRIMARY KEY REFERENCES claims (seq) ON DELETE CASCADE,
    channel TEXT    NOT NULL,
    size    INTEGER NOT NULL,
    what    BLOB    NOT NULL
);

CREATE TABLE spool_size (
    bytes INTEGER NOT NULL
);

INSERT INTO spool_size VALUES (0);

INSERT INTO commands_2 (seq, channel, id, run, state, attempts, turn, queued_at, not_before, expires_at, deliver_by,
                        ended_at, priority, recipient, chat, type, content, headers, meta)
SELECT c.seq, c.channel, c.id, c.run,
       CASE c.state WHEN 'final' THEN packed(r.event, 'status') ELSE c.state END,
       c.attempts,
       CASE c.state WHEN 'final' THEN NULL ELSE c.seq END,
       c.queued_at,
       micros(packed(c.body, 'not_before')),
       micros(packed(c.body, 'expires_at')),
       micros(packed(c.body, 'deliver_by')),
       CASE c.state WHEN 'final' THEN coalesce(micros(packed(r.event, 'sent_at')), c.queued_at) END,
       c.priority,
       packed(c.body, 'to'),
       CASE WHEN instr(packed(c.body, 'to'), '@') THEN packed(c.body, 'to')
            ELSE ltrim(packed(c.body, 'to'), '+') || '@s.whatsapp.net' END,
       packed(c.body, 'type'),
       c.content,
       c.headers,
       packed(c.body, 'meta')
  FROM commands c
  LEFT JOIN results r ON r.command = c.seq AND r.run = c.run;

INSERT INTO results_2 (command, run, place, at, status, code, wa_id, event)
SELECT r.command, r.run, CASE r.published WHEN 0 THEN r.seq END,
       coalesce(micros(packed(r.event, 'sent_at')), c.queued_at), packed(r.event, 'status'),
       packed(r.event, 'error.code'), r.wa_id, r.event
  FROM results r
  JOIN commands c ON c.seq = r.command;

INSERT INTO bodies (command, body)
SELECT c.seq, c.body
  FROM commands c
  JOIN commands_2 d ON d.seq = c.seq
 WHERE d.state <> 'sent';

INSERT INTO failures (command, run, number, at, code, message, permanent)
SELECT command, run, packed(event, 'attempts'), at, code, packed(event, 'error.message'),
       packed(event, 'error.permanent')
  FROM results_2
 WHERE status IN ('failed', 'held')
   AND code IS NOT NULL
   AND packed(event, 'attempts') > 0
 ORDER BY command, run;

INSERT INTO people (channel, jid, first_out, last_out, cold)
SELECT channel, chat, min(ended_at), max(ended_at), chat NOT LIKE '%@g.us'
  FROM commands_2
 WHERE state = 'sent'
 GROUP BY channel, chat;

INSERT INTO channels (channel, first_sent)
SELECT channel, min(ended_at)
  FROM commands_2
 WHERE state = 'sent'
 GROUP BY channel;

DROP TABLE results;
DROP TABLE commands;
ALTER TABLE commands_2 RENAME TO commands;
ALTER TABLE results_2 RENAME TO results;

CREATE INDEX commands_turn ON commands (channel, turn) WHERE turn IS NOT NULL;
CREATE INDEX commands_state ON commands (channel, state) WHERE turn IS NULL;
CREATE INDEX commands_ended ON commands (channel, ended_at, state) WHERE ended_at IS NOT NULL;
CREATE INDEX commands_deadline ON commands (channel, deadline) WHERE deadline IS NOT NULL;
CREATE INDEX commands_wa_id ON commands (wa_id) WHERE wa_id IS NOT NULL;
CREATE INDEX results_unpublished ON results (place) WHERE place IS NOT NULL;
CREATE INDEX results_wa_id ON results (wa_id) WHERE wa_id IS NOT NULL;
CREATE INDEX failures_command ON failures (command);
CREATE INDEX people_cold ON people (channel, first_out) WHERE cold;
CREATE INDEX claims_at ON claims (at);
CREATE INDEX strays_noted ON strays (noted);
CREATE INDEX spool_channel ON spool (channel, seq);

-- What is not final, as the outbox takes it up, with what is known of its chat.
CREATE VIEW owned AS
SELECT c.channel, c.seq, c.turn, c.state, b.body, c.run, c.priority, c.attempts, c.queued_at, c.headers, c.secret,
       c.wa_id, p.last_in, p.first_out, p.opted_out
  FROM commands c
  JOIN bodies b ON b.command = c.seq
  LEFT JOIN people p ON p.channel = c.channel AND p.jid = c.chat;

-- A command as a person is shown it, with the result of its last run.
CREATE VIEW shown AS
SELECT c.channel, c.seq, c.turn, c.id, c.run, c.state, c.priority, c.recipient, c.type, c.attempts, c.queued_at,
       c.not_before, c.expires_at, c.deliver_by, c.delivered_at, c.read_at, c.wa_id, c.meta, r.event
  FROM commands c
  LEFT JOIN results r ON r.command = c.seq AND r.run = c.run;

-- Results with what goes with them; failures: of all runs so far, as JSON.
CREATE VIEW told AS
SELECT c.channel, c.id, r.run, r.place, r.status, r.code, r.event, c.headers, r.at, b.body, c.meta,
       CASE WHEN r.status = 'failed' THEN
           (SELECT json_group_array(json_array(f.run, f.number, f.at, f.code, f.message, f.permanent))
              FROM (SELECT * FROM failures WHERE command = r.command AND run <= r.run ORDER BY seq) f)
       END AS failures
  FROM results r
  JOIN commands c ON c.seq = r.command
  LEFT JOIN bodies b ON b.command = c.seq;
