-- Everything that is sealed, some rows at a time, and the same under another key.
--
-- Each select_…_sealed gives rows from beyond a place, in order; its first columns are their places.

-- name: select_commands_sealed
-- What commands say of people, and the secrets of attempts.
SELECT seq, id, secret, private FROM commands WHERE seq > ?1 ORDER BY seq LIMIT ?2;

-- name: reseal_command
-- Place, id, chat, secret, the rest.
UPDATE commands SET id = ?2, chat = ?3, secret = ?4, private = ?5 WHERE seq = ?1;

-- name: select_bodies_sealed
-- What was received.
SELECT command, body FROM bodies WHERE command > ?1 ORDER BY command LIMIT ?2;

-- name: reseal_body
-- Place, body.
UPDATE bodies SET body = ?2 WHERE command = ?1;

-- name: select_results_sealed
-- How runs ended.
SELECT command, run, event FROM results WHERE (command, run) > (?1, ?2) ORDER BY command, run LIMIT ?3;

-- name: reseal_result
-- Place, event.
UPDATE results SET event = ?3 WHERE command = ?1 AND run = ?2;

-- name: select_failures_sealed
-- What attempts failed of.
SELECT seq, command, run, number, message FROM failures WHERE seq > ?1 ORDER BY seq LIMIT ?2;

-- name: reseal_failure
-- Place, message.
UPDATE failures SET message = ?2 WHERE seq = ?1;

-- name: select_claims_sealed
-- The keys of what came in.
SELECT seq, sealed FROM claims WHERE seq > ?1 ORDER BY seq LIMIT ?2;

-- name: reseal_claim
-- Place, key, the key sealed.
UPDATE claims SET key = ?2, sealed = ?3 WHERE seq = ?1;

-- name: select_spool_sealed
-- What came in.
SELECT seq, what FROM spool WHERE seq > ?1 ORDER BY seq LIMIT ?2;

-- name: reseal_spooled
-- Place, what.
UPDATE spool SET what = ?2 WHERE seq = ?1;

-- name: select_channels_sealed
-- Which numbers were connected.
SELECT channel, paired FROM channels WHERE channel > ?1 AND paired IS NOT NULL ORDER BY channel LIMIT ?2;

-- name: reseal_channel
-- Place, number.
UPDATE channels SET paired = ?2 WHERE channel = ?1;

-- name: put_people_aside
-- Their tokens are their places: they are put back one by one.
CREATE TABLE people_aside AS SELECT * FROM people;

-- name: delete_people
-- All that were put aside.
DELETE FROM people;

-- name: select_people_sealed
-- Who was put aside.
SELECT rowid, jid, sealed FROM people_aside WHERE rowid > ?1 ORDER BY rowid LIMIT ?2;

-- name: put_person_back
-- Place, JID, the JID sealed.
INSERT INTO people (channel, jid, last_in, first_out, last_out, cold, opted_out, sealed)
SELECT channel, ?2, last_in, first_out, last_out, cold, opted_out, ?3 FROM people_aside WHERE rowid = ?1;

-- name: drop_people_aside
-- All are back.
DROP TABLE people_aside;

-- name: delete_consenting
-- Whose consents these are: said anew with each.
DELETE FROM consenting;

-- name: select_consents_sealed
-- Who agreed to what.
SELECT seq, sealed FROM consents WHERE seq > ?1 ORDER BY seq LIMIT ?2;

-- name: reseal_consent
-- Place, JIDs and note.
UPDATE consents SET sealed = ?2 WHERE seq = ?1;

-- name: change_key
-- All is sealed with this one.
UPDATE sealed_with SET key = ?1;
