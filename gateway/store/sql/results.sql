-- Attempts, results, receipts and deadlines.
--
-- CROSS JOIN and "+channel" keep SQLite from looking through all commands of a channel.

-- name: select_runs
-- What has to be known of commands to judge what happened to them.
SELECT id, seq, run, state, attempts, deliver_by, delivered_at, chat, private
  FROM commands
 WHERE channel = :channel
   AND id IN (SELECT value FROM json_each(:ids));

-- name: settle_attempt
-- Nothing was sent.
UPDATE commands
   SET state = 'waiting', attempts = ?2, secret = NULL, wa_id = NULL
 WHERE seq = ?1;

-- name: doubt_attempt
-- It may have been sent, perhaps under this WhatsApp id.
UPDATE commands
   SET attempts = ?2, wa_id = coalesce(?3, wa_id)
 WHERE seq = ?1;

-- name: insert_failure
-- An attempt that failed: command, run, number, time, code, message, permanence. What is said twice is kept once.
INSERT INTO failures (command, run, number, at, code, message, permanent)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
 WHERE NOT EXISTS (SELECT 1
                     FROM failures
                    WHERE seq = (SELECT max(seq) FROM failures WHERE command = ?1)
                      AND run = ?2
                      AND number = ?3
                      AND code = ?5);

-- name: finish_command
-- The present run is over.
UPDATE commands
   SET state = ?2, ended_at = ?3, deadline = ?4, turn = NULL, secret = NULL, wa_id = NULL
 WHERE seq = ?1;

-- name: select_last_place
-- The last place among what NATS may not have.
SELECT coalesce(max(place), 0) FROM results WHERE place IS NOT NULL;

-- name: insert_result
-- How it ended: command, run, place, time, status, code, WhatsApp id, event.
INSERT INTO results (command, run, place, at, status, code, wa_id, event)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- name: delete_body
-- It was sent: its words are not needed any more.
DELETE FROM bodies WHERE command = ?1;

-- name: mark_first_sent
-- The channel's first message, unless one was before it.
INSERT INTO channels (channel, first_sent) VALUES (:channel, :at)
    ON CONFLICT (channel) DO UPDATE SET first_sent = excluded.first_sent
 WHERE first_sent IS NULL;

-- name: mark_published
-- NATS has the result of this run: channel, id, run.
UPDATE results
   SET place = NULL
 WHERE place IS NOT NULL
   AND run = ?3
   AND command = (SELECT seq FROM commands WHERE channel = ?1 AND id = ?2);

-- name: begin_attempt
-- Count an attempt and mark it in flight: channel, id, run, secret. What is final or scheduled is not sent.
UPDATE commands
   SET attempts = attempts + 1, state = 'in_flight', secret = ?4, wa_id = NULL
 WHERE channel = ?1
   AND id = ?2
   AND run = ?3
   AND turn IS NOT NULL;

-- name: select_unpublished
-- Results that NATS may not have, in the order of finishing.
SELECT seq, run, event, private, at, status, code, body, failures
  FROM told
 WHERE place IS NOT NULL
   AND +channel = :channel
 ORDER BY place;

-- name: select_failed
-- The failed result of a run.
SELECT seq, run, event, private, at, status, code, body, failures
  FROM told
 WHERE channel = :channel
   AND id = :id
   AND run = :run
   AND status = 'failed';

-- name: select_senders
-- The runs that sent these WhatsApp messages, in the order of finishing, and the receipts that the commands have.
SELECT r.wa_id, c.seq, r.run, c.run, c.private, 0, CASE r.status WHEN 'sent' THEN c.ended_at END,
       c.delivered_at, c.read_at, c.played_at
  FROM results r
  CROSS JOIN commands c ON c.seq = r.command
 WHERE r.wa_id IN (SELECT value FROM json_each(:wa_ids))
   AND c.channel = :channel
 ORDER BY r.at, c.seq, r.run;

-- name: select_unsettled
-- The commands that may have sent these, in the order of acceptance.
SELECT wa_id, seq, run, run, private, 1, NULL, delivered_at, read_at, played_at
  FROM commands
 WHERE wa_id IN (SELECT value FROM json_each(:wa_ids))
   AND +channel = :channel
 ORDER BY +seq;

-- name: insert_stray
-- A receipt of what no command is known to have sent: channel, WhatsApp id, kind, time, now.
INSERT INTO strays (channel, wa_id, kind, at, noted) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO NOTHING;

-- name: select_room_for_strays
-- How many more receipts may be kept: none if nothing of the channel is under way that they could be for.
SELECT :most - (SELECT count(*) FROM strays WHERE channel = :channel)
 WHERE EXISTS (SELECT 1 FROM commands WHERE channel = :channel AND turn IS NOT NULL AND state = 'in_flight');

-- name: select_any_stray
-- Whether there are receipts of what no command of the channel is known to have sent.
SELECT 1 FROM strays WHERE channel = :channel LIMIT 1;

-- name: claim_strays
-- Now it is known who sent these.
DELETE FROM strays
 WHERE channel = :channel
   AND wa_id IN (SELECT value FROM json_each(:wa_ids))
RETURNING wa_id, kind, at;

-- name: select_proven
-- Of what may have been sent under these, what a receipt has come for.
SELECT wa_id
  FROM commands
 WHERE wa_id IN (SELECT value FROM json_each(:wa_ids))
   AND +channel = :channel
   AND delivered_at IS NOT NULL;

-- name: note_delivered
-- A receipt of any kind: command, time. Whoever read it has received it.
UPDATE commands
   SET delivered_at = min(?2, coalesce(delivered_at, ?2)), deadline = NULL
 WHERE seq = ?1;

-- name: note_read
-- It was read, or played.
UPDATE commands
   SET read_at = min(?2, coalesce(read_at, ?2))
 WHERE seq = ?1;

-- name: note_played
-- It was played.
UPDATE commands
   SET played_at = min(?2, coalesce(played_at, ?2))
 WHERE seq = ?1;

-- name: select_overdue
-- What was sent and not delivered by its deadline.
SELECT c.seq, r.run, r.event, c.private, c.deadline
  FROM commands c
  JOIN results r ON r.command = c.seq AND r.run = c.run
 WHERE c.channel = :channel
   AND c.deadline <= :now
 ORDER BY c.deadline, c.seq;

-- name: clear_deadline
-- NATS has the late result of this run: channel, id, run.
UPDATE commands
   SET deadline = NULL
 WHERE channel = ?1
   AND id = ?2
   AND run = ?3
   AND deadline IS NOT NULL;

-- name: select_next_deadline
-- The earliest.
SELECT min(deadline)
  FROM commands
 WHERE channel = :channel
   AND deadline IS NOT NULL;

-- name: count_sendings
-- What was sent since a minute and a day ago, to how many new contacts, and when the first was.
SELECT (SELECT count(*) FROM commands WHERE channel = :channel AND ended_at >= :minute AND state = 'sent'),
       (SELECT count(*) FROM commands WHERE channel = :channel AND ended_at >= :day AND state = 'sent'),
       (SELECT count(*) FROM people WHERE channel = :channel AND first_out >= :day AND cold),
       (SELECT first_sent FROM channels WHERE channel = :channel);
