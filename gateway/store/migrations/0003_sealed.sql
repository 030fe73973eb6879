-- What is personal is sealed with the clinic's data key, and looked up by keyed hashes (see sealing.py).
--
-- In clear stay: channels, times, states, counters, kinds and codes; and WhatsApp's message ids, which are random and
-- mean nothing to who has no session that they are from.
--
-- token(kind, value) is a keyed hash; sealed(kind, row, value) is sealed for a row; private(...) and paired(...) are what
-- a command and a channel know of people, sealed (see migrating.py).

-- With which of the clinic's keys all of this file is sealed. "clear": pages and copies may still hold what was not.
CREATE TABLE sealed_with (
    key   BLOB    NOT NULL,
    clear INTEGER NOT NULL
);

INSERT INTO sealed_with SELECT key_id(), EXISTS (SELECT 1 FROM commands)
                                         OR EXISTS (SELECT 1 FROM claims)
                                         OR EXISTS (SELECT 1 FROM people)
                                         OR EXISTS (SELECT 1 FROM channels);

DROP VIEW owned;
DROP VIEW shown;
DROP VIEW told;

CREATE TABLE commands_3 (
    seq          INTEGER PRIMARY KEY,           -- the order of acceptance
    channel      TEXT    NOT NULL,
    id           TEXT    NOT NULL,              -- token of the sender's idempotency key
    run          INTEGER NOT NULL CHECK (run >= 1),
    state        TEXT    NOT NULL CHECK (state = 'waiting' OR state = 'in_flight' OR state = 'sent' OR
                                         state = 'scheduled' OR state = 'failed' OR state = 'expired' OR
                                         state = 'held' OR state = 'discarded'),
    attempts     INTEGER NOT NULL CHECK (attempts >= 0),
    turn         INTEGER,                       -- its place among what is to be sent; NULL: scheduled, or final
    secret       BLOB,                          -- of the message of the attempt that is not settled; sealed
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
    chat         TEXT    NOT NULL,              -- token of the recipient's JID
    type         TEXT    NOT NULL,
    private      BLOB    NOT NULL,              -- id, recipient, chat, content, headers and meta; sealed
    UNIQUE (channel, id)
);

INSERT INTO commands_3
SELECT seq, channel, token('id', id), run, state, attempts, turn,
       CASE WHEN secret IS NOT NULL THEN sealed('attempt', token('id', id), secret) END,
       wa_id, queued_at, not_before, expires_at, deliver_by, ended_at, deadline, delivered_at, read_at, played_at,
       priority, token('jid', chat), type, private(seq, id, recipient, chat, content, headers, meta)
  FROM commands;

CREATE TABLE people_3 (
    channel   TEXT NOT NULL,
    jid       TEXT NOT NULL,                    -- its token
    last_in   INTEGER,                          -- when they last wrote to us
    first_out INTEGER,                          -- when we first wrote to them
    last_out  INTEGER,
    cold      INTEGER NOT NULL DEFAULT 0,       -- we wrote first
    opted_out INTEGER NOT NULL DEFAULT 0,
    sealed    BLOB NOT NULL,                    -- the JID
    PRIMARY KEY (channel, jid)
) WITHOUT ROWID;

INSERT INTO people_3
SELECT channel, token('jid', jid), last_in, first_out, last_out, cold, opted_out,
       sealed('person', token('jid', jid), jid)
  FROM people;

CREATE TABLE channels_3 (
    channel    TEXT PRIMARY KEY,
    created    INTEGER,                         -- when it was registered; another one of its name has another time
    traced     INTEGER,                         -- the row of the session store up to which all is accounted for
    first_sent INTEGER,
    paired     BLOB                             -- the number that was connected last, as which device, since when; sealed
) WITHOUT ROWID;

INSERT INTO channels_3
SELECT channel, created, traced, first_sent,
       CASE WHEN phone IS NOT NULL THEN paired(channel, phone, jid, phone_at) END
  FROM channels;

-- Rows keep their places, and sqlite_sequence its count: none comes again.
ALTER TABLE claims ADD COLUMN sealed BLOB;      -- the key
UPDATE claims SET sealed = sealed('claim', seq, key);
UPDATE claims SET key = token('claim', key);

UPDATE spool SET what = sealed('spooled', seq, what);
UPDATE bodies SET body = sealed('body', command, body);
UPDATE failures SET message = sealed('failure', command || '/' || run || '/' || number, message);
UPDATE results SET event = sealed('result', command || '/' || run, event);

-- Who agreed to be written to, or did not, and how that came to be known.
CREATE TABLE consents (
    seq     INTEGER PRIMARY KEY,
    channel TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    what    TEXT    NOT NULL CHECK (what = 'opted_out' OR what = 'opted_in' OR what = 'granted' OR what = 'withdrawn'),
    source  TEXT    NOT NULL CHECK (source = 'word' OR source = 'operator' OR source = 'service'),
    sealed  BLOB    NOT NULL                    -- the JIDs of the person, and a note
);

CREATE INDEX consents_channel ON consents (channel, seq);

CREATE TABLE consenting (
    person  TEXT    NOT NULL,                   -- token of a JID
    consent INTEGER NOT NULL REFERENCES consents (seq) ON DELETE CASCADE,
    PRIMARY KEY (person, consent)
) WITHOUT ROWID;

CREATE INDEX consenting_consent ON consenting (consent);

DROP TABLE commands;
DROP TABLE people;
DROP TABLE channels;
ALTER TABLE commands_3 RENAME TO commands;
ALTER TABLE people_3 RENAME TO people;
ALTER TABLE channels_3 RENAME TO channels;

CREATE INDEX commands_turn ON commands (channel, turn) WHERE turn IS NOT NULL;
CREATE INDEX commands_state ON commands (channel, state) WHERE turn IS NULL;
CREATE INDEX commands_ended ON commands (channel, ended_at, state) WHERE ended_at IS NOT NULL;
CREATE INDEX commands_deadline ON commands (channel, deadline) WHERE deadline IS NOT NULL;
CREATE INDEX commands_wa_id ON commands (wa_id) WHERE wa_id IS NOT NULL;
CREATE INDEX people_cold ON people (channel, first_out) WHERE cold;

-- What is not final, as the outbox takes it up, with what is known of its chat.
CREATE VIEW owned AS
SELECT c.channel, c.seq, c.id, c.turn, c.state, b.body, c.run, c.priority, c.attempts, c.queued_at, c.private, c.secret,
       c.wa_id, p.last_in, p.first_out, p.opted_out
  FROM commands c
  JOIN bodies b ON b.command = c.seq
  LEFT JOIN people p ON p.channel = c.channel AND p.jid = c.chat;

-- A command as a person is shown it, with the result of its last run.
CREATE VIEW shown AS
SELECT c.channel, c.seq, c.turn, c.id, c.run, c.state, c.priority, c.type, c.attempts, c.queued_at,
       c.not_before, c.expires_at, c.deliver_by, c.delivered_at, c.read_at, c.wa_id, c.private, r.event
  FROM commands c
  LEFT JOIN results r ON r.command = c.seq AND r.run = c.run;

-- Results with what goes with them; failures: of all runs so far, as JSON, in which a message is hexadecimal.
CREATE VIEW told AS
SELECT c.channel, c.seq, c.id, r.run, r.place, r.status, r.code, r.event, c.private, r.at, b.body,
       CASE WHEN r.status = 'failed' THEN
           (SELECT json_group_array(json_array(f.run, f.number, f.at, f.code, hex(f.message), f.permanent))
              FROM (SELECT * FROM failures WHERE command = r.command AND run <= r.run ORDER BY seq) f)
       END AS failures
  FROM results r
  JOIN commands c ON c.seq = r.command
  LEFT JOIN bodies b ON b.command = c.seq;
