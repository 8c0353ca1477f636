-- One outbox for letters of every kind. A row names its letter by the key of its Message-ID, and what the letter says
-- is in tables of its own: no letter needs an outage, a client or an evidence that it does not speak of. Keys stay as
-- they were computed before, so that nobody gets a second mail.
--
-- The names of the columns that outcomes and leases are written into stay too: a gateway of the version before that is
-- delivering just now can still say that a letter is delivered.

-- The stable part of the Message-ID. Compared byte by byte: it is ASCII, and no language's order is needed.
ALTER TABLE letter ADD COLUMN key TEXT COLLATE "C";
UPDATE letter SET key = (SELECT r.key FROM letter_ready r WHERE r.letter = letter.id);
UPDATE letter SET key = 'ringback.' || outage || '.' || COALESCE(
            (SELECT o.since FROM letter_service s JOIN outage o ON o.id = s.outage
             WHERE s.letter = letter.id AND s.outage = letter.outage), recovered) || '.' ||
        -- An IPv4 address is written as one.
        CASE WHEN substr(encode(client, 'hex'), 1, 24) = '00000000000000000000ffff'
            THEN substr(encode(client, 'hex'), 25) ELSE encode(client, 'hex') END
    WHERE key IS NULL;
ALTER TABLE letter ALTER COLUMN key SET NOT NULL;
CREATE UNIQUE INDEX letter_key ON letter (key);

-- The recipient's machine; of several, one.
ALTER TABLE letter_service ADD COLUMN client BYTEA;
UPDATE letter_service SET client = (SELECT l.client FROM letter l WHERE l.id = letter_service.letter);
-- Nothing refers to letters that are gone.
DELETE FROM letter_service WHERE client IS NULL;
ALTER TABLE letter_service ALTER COLUMN client SET NOT NULL;

-- The words of any other letter. They go with it in the same transaction, without a reference, as `letter_service`
-- does.
CREATE TABLE letter_words (
    letter      BIGINT PRIMARY KEY,
    subject     TEXT   NOT NULL,
    text        TEXT   NOT NULL,
    unsubscribe BIGINT NOT NULL
);
INSERT INTO letter_words (letter, subject, text, unsubscribe)
    SELECT letter, subject, text, unsubscribe FROM letter_ready;

CREATE TABLE letter_attachment (
    letter BIGINT PRIMARY KEY,
    name   TEXT   NOT NULL,
    bytes  BYTEA  NOT NULL
);
INSERT INTO letter_attachment (letter, name, bytes)
    SELECT letter, attachment_name, attachment FROM letter_ready
    WHERE attachment_name IS NOT NULL AND attachment IS NOT NULL;
DROP TABLE letter_ready;

ALTER TABLE letter RENAME COLUMN mail TO recipient;
-- When what it tells of happened: the mail's date.
ALTER TABLE letter RENAME COLUMN recovered TO at;
ALTER TABLE letter DROP COLUMN outage;
ALTER TABLE letter DROP COLUMN client;
ALTER TABLE letter DROP COLUMN evidence;
