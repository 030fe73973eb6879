-- What came in, and people.

-- name: select_claimed
-- Which of these keys were ever claimed.
SELECT key
  FROM claims
 WHERE channel = :channel
   AND key IN (SELECT value FROM json_each(:keys));

-- name: select_last_claim
-- The last place in the order of claims, and the bytes that wait for NATS.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'claims'), 0), (SELECT bytes FROM spool_size);

-- name: insert_claim
-- Take ownership: place, channel, key, time, the key sealed.
INSERT INTO claims (seq, channel, key, at, sealed) VALUES (?1, ?2, ?3, ?4, ?5);

-- name: insert_spooled
-- What was claimed: place, channel, size, what.
INSERT INTO spool (seq, channel, size, what) VALUES (?1, ?2, ?3, ?4);

-- name: add_size
-- The spool has grown by so much, or shrunk.
UPDATE spool_size SET bytes = bytes + :bytes;

-- name: select_spooled
-- What NATS may not have, in the order of claims.
SELECT s.seq, c.sealed, s.what, c.at
  FROM spool s
  JOIN claims c ON c.seq = s.seq
 WHERE s.channel = :channel
   AND s.seq > :after
 ORDER BY s.seq
 LIMIT :limit;

-- name: delete_spooled
-- NATS has these.
DELETE FROM spool
 WHERE seq IN (SELECT c.seq
                 FROM claims c
                WHERE c.channel = :channel
                  AND c.key IN (SELECT value FROM json_each(:keys)))
RETURNING size;

-- name: select_people
-- What is known of these people.
SELECT jid, last_in, first_out, opted_out
  FROM people
 WHERE channel = :channel
   AND jid IN (SELECT value FROM json_each(:jids));

-- name: note_in
-- They wrote to us: channel, JID, time, whether they want to be written to (NULL: they did not say), the JID sealed.
INSERT INTO people (channel, jid, last_in, opted_out, sealed) VALUES (?1, ?2, ?3, coalesce(?4, 0), ?5)
    ON CONFLICT (channel, jid) DO UPDATE
   SET last_in = max(excluded.last_in, coalesce(last_in, excluded.last_in)), opted_out = coalesce(?4, opted_out);

-- name: note_out
-- We wrote to them: channel, JID, time, whether it is a person, the JID sealed.
INSERT INTO people (channel, jid, first_out, last_out, cold, sealed) VALUES (?1, ?2, ?3, ?3, ?4, ?5)
    ON CONFLICT (channel, jid) DO UPDATE
   SET cold = CASE WHEN first_out IS NULL THEN last_in IS NULL AND ?4 ELSE cold END,
       first_out = coalesce(first_out, ?3),
       last_out = max(coalesce(last_out, ?3), ?3);

-- name: select_registered
-- All channels of which there is anything.
SELECT channel, created FROM channels;

-- name: register_channel
-- A channel, and when it was registered, unless that is known.
INSERT INTO channels (channel, created) VALUES (?1, ?2)
    ON CONFLICT (channel) DO UPDATE SET created = excluded.created
 WHERE created IS NULL;

-- name: select_traced
-- Up to which row of the session store all is accounted for.
SELECT traced FROM channels WHERE channel = :channel;

-- name: mark_traced
-- Up to this row.
INSERT INTO channels (channel, traced) VALUES (:channel, :row)
    ON CONFLICT (channel) DO UPDATE SET traced = excluded.traced;

-- name: select_paired
-- The number that was connected last, as which device, and since when, if another was connected before.
SELECT paired FROM channels WHERE channel = :channel AND paired IS NOT NULL;

-- name: mark_paired
-- This number is connected.
INSERT INTO channels (channel, paired) VALUES (:channel, :paired)
    ON CONFLICT (channel) DO UPDATE SET paired = excluded.paired;
