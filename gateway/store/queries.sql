-- Every statement that the ledger runs, each under its name (see queries.py).
--
-- :ids and :wa_ids are JSON arrays of strings, so that one statement serves any number of them.
-- CROSS JOIN keeps SQLite from looking through all commands of a channel: it begins with the table on the left.

-- name: select_known
-- The commands that are known by these ids, with the final result of their present run if there is one.
SELECT c.id, c.content, r.event
  FROM commands c
  LEFT JOIN results r ON r.command = c.seq AND r.run = c.run
 WHERE c.channel = :channel
   AND c.id IN (SELECT value FROM json_each(:ids));

-- name: insert_command
-- Take ownership of a command.
INSERT INTO commands (channel, id, run, content, priority, queued_at, headers, body)
VALUES (:channel, :id, :run, :content, :priority, :queued_at, :headers, :body);

-- name: select_unfinished
-- What has no final result, in the order of acceptance.
SELECT body, run, priority, attempts, state, queued_at, headers
  FROM commands
 WHERE channel = :channel
   AND state <> 'final'
 ORDER BY seq;

-- name: begin_attempt
-- Count an attempt and mark it in flight. Touches no final command: what is final is never sent again.
UPDATE commands
   SET attempts = attempts + 1, state = 'in_flight'
 WHERE channel = :channel
   AND id IN (SELECT value FROM json_each(:ids))
   AND state <> 'final';

-- name: clear_attempt
-- The attempt is settled, and nothing was sent.
UPDATE commands
   SET state = 'waiting'
 WHERE channel = :channel
   AND id = :id
   AND state = 'in_flight';

-- name: finish_command
-- The present run is over. (Touches a final command too, so that the count of rows tells what is unknown.)
UPDATE commands
   SET state = 'final'
 WHERE channel = :channel
   AND id = :id
   AND run = :run;

-- name: insert_result
-- Record how a run ended; of two results for one run the first stands.
INSERT INTO results (command, run, wa_id, event)
SELECT seq, run, :wa_id, :event
  FROM commands
 WHERE channel = :channel
   AND id = :id
   AND run = :run
    ON CONFLICT (command, run) DO NOTHING;

-- name: select_unpublished
-- Results that NATS may not have, in the order of finishing, with the headers of their commands.
SELECT r.event, c.headers
  FROM results r
  CROSS JOIN commands c ON c.seq = r.command
 WHERE r.published = 0
   AND c.channel = :channel
 ORDER BY r.seq;

-- name: mark_published
-- NATS has the results of these commands.
UPDATE results
   SET published = 1
 WHERE published = 0
   AND command IN (SELECT seq
                     FROM commands
                    WHERE channel = :channel
                      AND id IN (SELECT value FROM json_each(:ids)));

-- name: select_senders
-- The commands that sent these WhatsApp messages.
SELECT r.wa_id, c.body, c.headers
  FROM results r
  CROSS JOIN commands c ON c.seq = r.command
 WHERE r.wa_id IN (SELECT value FROM json_each(:wa_ids))
   AND c.channel = :channel
 ORDER BY r.seq;
