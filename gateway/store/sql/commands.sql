-- Commands: taken, woken, sent again, put away.
--
-- Ids, chats, people and keys of claims are tokens (see sealing.py), here and in the other files. :ids and the like are JSON arrays, so that one statement serves any number of them.
-- Statements that run for each command of a batch take their values by number, which is cheaper than by name.

-- name: select_known
-- The commands that are known by these ids, with the final result of their present run if there is one.
SELECT c.id, c.seq, c.run, c.queued_at, c.private, r.event
  FROM commands c
  LEFT JOIN results r ON r.command = c.seq AND r.run = c.run
 WHERE c.channel = :channel
   AND c.id IN (SELECT value FROM json_each(:ids));

-- name: select_last
-- The last place in the order of acceptance, and the last turn of the channel.
SELECT coalesce((SELECT max(seq) FROM commands), 0),
       coalesce((SELECT max(turn) FROM commands WHERE channel = :channel AND turn IS NOT NULL), 0);

-- name: insert_command
-- Take ownership of a command.
INSERT INTO commands (seq, channel, id, run, state, attempts, turn, queued_at, not_before, expires_at, deliver_by,
                      priority, chat, type, private)
VALUES (?1, ?2, ?3, 1, ?4, 0, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13);

-- name: insert_body
-- What was received.
INSERT INTO bodies (command, body) VALUES (?1, ?2);

-- name: select_unfinished
-- What is to be sent, in the order of its turns.
SELECT seq, id, body, run, priority, attempts, state, queued_at, private, secret, wa_id, last_in, first_out, opted_out
  FROM owned
 WHERE channel = :channel
   AND turn IS NOT NULL
 ORDER BY turn;

-- name: select_scheduled
-- What waits for its time, in the order of acceptance.
SELECT seq, run, not_before, private
  FROM commands
 WHERE channel = :channel
   AND state = 'scheduled'
   AND turn IS NULL
 ORDER BY seq;

-- name: select_owned
-- Some of what is to be sent, in the order of its turns.
SELECT seq, id, body, run, priority, attempts, state, queued_at, private, secret, wa_id, last_in, first_out, opted_out
  FROM owned
 WHERE seq IN (SELECT value FROM json_each(:seqs))
 ORDER BY turn;

-- name: select_asleep
-- Which of these are scheduled, in the order of acceptance.
SELECT seq, id, run
  FROM commands
 WHERE channel = :channel
   AND id IN (SELECT value FROM json_each(:ids))
   AND state = 'scheduled'
 ORDER BY seq;

-- name: wake_command
-- Its time has come.
UPDATE commands
   SET state = 'waiting', turn = ?2
 WHERE seq = ?1;

-- name: select_state
-- Where a command is.
SELECT seq, state
  FROM commands
 WHERE channel = :channel
   AND id = :id;

-- name: begin_again
-- A new run, whose turn comes after all others.
UPDATE commands
   SET state = 'waiting', run = run + 1, attempts = 0, turn = :turn, queued_at = :now,
       ended_at = NULL, delivered_at = NULL, read_at = NULL, played_at = NULL
 WHERE seq = :seq;

-- name: put_to_sleep
-- Its time is still to come.
UPDATE commands
   SET state = 'scheduled', turn = NULL
 WHERE seq = :seq;

-- name: discard_command
-- A person has seen it.
UPDATE commands
   SET state = 'discarded'
 WHERE seq = :seq;

-- name: select_command
-- One, with all failures as JSON.
SELECT seq, run, state, priority, type, attempts, queued_at, not_before, expires_at, deliver_by,
       delivered_at, read_at, wa_id, private, event,
       (SELECT json_group_array(json_array(f.run, f.number, f.at, f.code, hex(f.message), f.permanent))
          FROM (SELECT * FROM failures WHERE command = shown.seq ORDER BY seq) f)
  FROM shown
 WHERE channel = :channel
   AND id = :id;

-- name: select_page_of_state
-- What is scheduled, or ended in a way, newest first.
SELECT seq, run, state, priority, type, attempts, queued_at, not_before, expires_at, deliver_by,
       delivered_at, read_at, wa_id, private, event, NULL
  FROM shown
 WHERE channel = :channel
   AND state = :state
   AND turn IS NULL
   AND seq < :before
 ORDER BY seq DESC
 LIMIT :limit;

-- name: select_page_to_send
-- What is to be sent and in a state, newest first.
SELECT seq, run, state, priority, type, attempts, queued_at, not_before, expires_at, deliver_by,
       delivered_at, read_at, wa_id, private, event, NULL
  FROM shown
 WHERE channel = :channel
   AND state = :state
   AND turn IS NOT NULL
   AND seq < :before
 ORDER BY seq DESC
 LIMIT :limit;
