-- What there is of people: handed over, erased, and what they agreed to.
--
-- :everybody is 1 for all, else :people are tokens. These statements look through whole tables: no index is kept on
-- every command for what is asked once in a while.

-- name: export_numbers
-- The clinic's own.
SELECT channel, paired FROM channels WHERE paired IS NOT NULL AND channel > :after ORDER BY channel LIMIT :limit;

-- name: export_commands
-- Commands from beyond a place, with all failures as JSON.
SELECT s.seq, s.run, s.state, s.priority, s.type, s.attempts, s.queued_at, s.not_before, s.expires_at, s.deliver_by,
       s.delivered_at, s.read_at, s.wa_id, s.private, s.event,
       (SELECT json_group_array(json_array(f.run, f.number, f.at, f.code, hex(f.message), f.permanent))
          FROM (SELECT * FROM failures WHERE command = s.seq ORDER BY seq) f),
       s.channel, c.played_at, (SELECT body FROM bodies WHERE command = s.seq)
  FROM shown s
  JOIN commands c ON c.seq = s.seq
 WHERE s.seq > :after
   AND (:everybody OR c.chat IN (SELECT value FROM json_each(:people)))
 ORDER BY s.seq
 LIMIT :limit;

-- name: export_results
-- Of these commands.
SELECT command, run, event FROM results WHERE command IN (SELECT value FROM json_each(:seqs)) ORDER BY command, run;

-- name: export_spool
-- What came in, from beyond a place.
SELECT s.seq, s.channel, s.what, c.at
  FROM spool s
  JOIN claims c ON c.seq = s.seq
 WHERE s.seq > :after
 ORDER BY s.seq
 LIMIT :limit;

-- name: export_people
-- Who is remembered, from beyond a place.
SELECT channel, jid, sealed, last_in, first_out, last_out, opted_out
  FROM people
 WHERE (channel, jid) > (:channel, :after)
   AND (:everybody OR jid IN (SELECT value FROM json_each(:people)))
 ORDER BY channel, jid
 LIMIT :limit;

-- name: select_consents
-- The register, newest first; :channel NULL for all channels.
SELECT seq, channel, at, what, source, sealed
  FROM consents
 WHERE seq < :before
   AND (:channel IS NULL OR channel = :channel)
   AND (:everybody OR seq IN (SELECT consent FROM consenting WHERE person IN (SELECT value FROM json_each(:people))))
 ORDER BY seq DESC
 LIMIT :limit;

-- name: select_last_consent
-- The last place in the register.
SELECT coalesce(max(seq), 0) FROM consents;

-- name: insert_consent
-- Place, channel, time, what, source, the rest sealed.
INSERT INTO consents (seq, channel, at, what, source, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: insert_consenting
-- Whose consent it is: token of a JID, consent.
INSERT INTO consenting (person, consent) VALUES (?1, ?2) ON CONFLICT DO NOTHING;

-- name: note_consent
-- Whether they want to be written to: channel, JID, whether not, the JID sealed.
INSERT INTO people (channel, jid, opted_out, sealed) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (channel, jid) DO UPDATE SET opted_out = excluded.opted_out;

-- name: select_opted_out
-- Who of these does not want to be written to.
SELECT jid FROM people WHERE channel = :channel AND jid IN (SELECT value FROM json_each(:jids)) AND opted_out;

-- name: count_under_way
-- What is to be sent to them, or being sent.
SELECT count(*) FROM commands WHERE turn IS NOT NULL AND chat IN (SELECT value FROM json_each(:people));

-- name: erase_commands
-- What was sent to them, and what hangs on it; what is scheduled.
DELETE FROM commands WHERE turn IS NULL AND chat IN (SELECT value FROM json_each(:people));

-- name: erase_spooled
-- What came in from them, by place.
DELETE FROM spool WHERE seq IN (SELECT value FROM json_each(:seqs)) RETURNING size;

-- name: select_consents_to_keep
-- The last entry of each channel that says that they do not want to be written to, if so.
SELECT c.seq, c.sealed
  FROM consents c
 WHERE c.seq IN (SELECT max(e.seq)
                   FROM consents e
                   JOIN consenting g ON g.consent = e.seq
                   JOIN people p ON p.channel = e.channel AND p.jid = g.person AND p.opted_out
                  WHERE g.person IN (SELECT value FROM json_each(:people))
                    AND e.what IN ('opted_out', 'withdrawn')
                  GROUP BY e.channel);

-- name: erase_consents
-- What they agreed to, save these.
DELETE FROM consents
 WHERE seq IN (SELECT consent FROM consenting WHERE person IN (SELECT value FROM json_each(:people)))
   AND seq NOT IN (SELECT value FROM json_each(:kept));

-- name: erase_people
-- Who may be written to.
DELETE FROM people WHERE NOT opted_out AND jid IN (SELECT value FROM json_each(:people));

-- name: strip_people
-- Who may not: nothing but that.
UPDATE people
   SET last_in = NULL, first_out = NULL, last_out = NULL, cold = 0
 WHERE jid IN (SELECT value FROM json_each(:people));

-- name: sweep_people
-- Who was last heard of or written to before a time, and may be written to; at most so many.
DELETE FROM people
 WHERE (channel, jid) IN (SELECT channel, jid
                            FROM people
                           WHERE NOT opted_out
                             AND max(coalesce(last_in, 0), coalesce(last_out, 0), coalesce(first_out, 0)) < :before
                           LIMIT :limit);

-- name: sweep_consents
-- What was agreed to before a time, by who is remembered no more; at most so many.
DELETE FROM consents
 WHERE seq IN (SELECT c.seq
                 FROM consents c
                WHERE c.at < :before
                  AND NOT EXISTS (SELECT 1
                                    FROM consenting g
                                    JOIN people p ON p.channel = c.channel AND p.jid = g.person
                                   WHERE g.consent = c.seq)
                LIMIT :limit);

-- name: forget_consents
-- All of a channel.
DELETE FROM consents WHERE channel = :channel;
