-- The whole file: how much there is, and what goes.

-- name: count_commands
-- By channel and state.
SELECT channel, state, count(*) FROM commands WHERE turn IS NULL GROUP BY channel, state
 UNION ALL
SELECT channel, state, count(*) FROM commands WHERE turn IS NOT NULL GROUP BY channel, state;

-- name: count_spooled
-- By channel.
SELECT channel, count(*) FROM spool GROUP BY channel;

-- name: select_size
-- The pages that hold something, and the bytes of a page.
SELECT page_count - freelist_count, page_size
  FROM pragma_page_count, pragma_freelist_count, pragma_page_size;

-- name: forget_commands
-- All of a channel, with what hangs on them.
DELETE FROM commands WHERE channel = :channel;

-- name: forget_spool
-- All of a channel.
DELETE FROM spool WHERE channel = :channel RETURNING size;

-- name: forget_claims
-- All of a channel.
DELETE FROM claims WHERE channel = :channel;

-- name: forget_people
-- All of a channel.
DELETE FROM people WHERE channel = :channel;

-- name: forget_channel
-- What is known of it.
DELETE FROM channels WHERE channel = :channel;

-- name: forget_strays
-- All of a channel.
DELETE FROM strays WHERE channel = :channel;

-- name: select_channels
-- The channels that have commands; one step in the index for each.
WITH RECURSIVE each (channel) AS (
    SELECT min(channel) FROM commands
     UNION ALL
    SELECT (SELECT min(channel) FROM commands WHERE channel > each.channel) FROM each WHERE each.channel IS NOT NULL
)
SELECT channel FROM each WHERE channel IS NOT NULL;

-- name: sweep_commands
-- What ended before a time, and of which NATS has all; at most so many.
DELETE FROM commands
 WHERE seq IN (SELECT c.seq
                 FROM commands c
                WHERE c.channel = :channel
                  AND c.ended_at < :before
                  AND c.deadline IS NULL
                  AND NOT EXISTS (SELECT 1 FROM results r WHERE r.command = c.seq AND r.place IS NOT NULL)
                LIMIT :limit);

-- name: sweep_claims
-- The keys of what came in before a time, and NATS has; at most so many.
DELETE FROM claims
 WHERE seq IN (SELECT c.seq
                 FROM claims c
                WHERE c.at < :before
                  AND NOT EXISTS (SELECT 1 FROM spool s WHERE s.seq = c.seq)
                LIMIT :limit);

-- name: sweep_strays
-- Receipts from before a time that nobody asked for; at most so many.
DELETE FROM strays
 WHERE (channel, wa_id, kind) IN (SELECT channel, wa_id, kind FROM strays WHERE noted < :before LIMIT :limit);
