-- One outbox for letters of every kind. A row names its letter by the key of its Message-ID, and what the letter says
-- is in tables of its own: no letter needs an outage, a client or an evidence that it does not speak of. Keys stay as
-- they were computed before, so that nobody gets a second mail.
CREATE TABLE letter_next (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The stable part of the Message-ID.
    key       TEXT    NOT NULL UNIQUE,
    recipient TEXT    NOT NULL,
    -- Of a letter about a recovery: the recipient's language; NULL: the configured one.
    language  TEXT,
    -- When what it tells of happened: the mail's date.
    at        BIGINT  NOT NULL,
    expires   BIGINT  NOT NULL,
    state     TEXT    NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'delivered', 'dead')),
    tries     INTEGER NOT NULL DEFAULT 0,
    -- Queued: when it may be given out next.
    due       BIGINT  NOT NULL,
    -- Whose it is: 0 nobody's, else the number of the process that has taken it.
    leased    BIGINT  NOT NULL DEFAULT 0,
    -- Delivered or dead: since when.
    settled   BIGINT,
    reason    TEXT
);
INSERT INTO letter_next (id, key, recipient, language, at, expires, state, tries, due, leased, settled, reason)
    SELECT l.id,
        COALESCE(r.key, 'ringback.' || l.outage || '.' || COALESCE(o.since, l.recovered) || '.' || lower(
            -- An IPv4 address is written as one.
            CASE WHEN substr(l.client, 1, 12) = x'00000000000000000000FFFF' THEN hex(substr(l.client, 13))
                ELSE hex(l.client) END)),
        l.mail, l.language, l.recovered, l.expires, l.state, l.tries, l.due, l.leased, l.settled, l.reason
    FROM letter l
    LEFT JOIN letter_ready r ON r.letter = l.id
    LEFT JOIN letter_service s ON s.letter = l.id AND s.outage = l.outage
    LEFT JOIN outage o ON o.id = s.outage
    ORDER BY l.id;
-- Ids go on where they were: lists refer to them, also to those of letters that are gone.
DELETE FROM sqlite_sequence WHERE name = 'letter_next';
INSERT INTO sqlite_sequence (name, seq) SELECT 'letter_next', seq FROM sqlite_sequence WHERE name = 'letter';

-- What a letter about a recovery speaks of. The server and the begin are in the outage's row, which stays as long as
-- the letter.
CREATE TABLE letter_service_next (
    letter   BIGINT NOT NULL,
    outage   BIGINT NOT NULL,
    -- The recipient's machine; of several, one.
    client   BLOB   NOT NULL,
    first    BIGINT NOT NULL,
    latest   BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    failure  TEXT   NOT NULL,
    PRIMARY KEY (letter, outage)
) WITHOUT ROWID;
INSERT INTO letter_service_next (letter, outage, client, first, latest, attempts, failure)
    SELECT s.letter, s.outage, l.client, s.first, s.latest, s.attempts, s.failure
    FROM letter_service s JOIN letter l ON l.id = s.letter ORDER BY s.letter, s.outage;

-- The words of any other letter.
CREATE TABLE letter_words (
    letter      INTEGER PRIMARY KEY,
    subject     TEXT    NOT NULL,
    text        TEXT    NOT NULL,
    unsubscribe BIGINT  NOT NULL
);
INSERT INTO letter_words (letter, subject, text, unsubscribe)
    SELECT letter, subject, text, unsubscribe FROM letter_ready;

CREATE TABLE letter_attachment (
    letter INTEGER PRIMARY KEY,
    name   TEXT    NOT NULL,
    bytes  BLOB    NOT NULL
);
INSERT INTO letter_attachment (letter, name, bytes)
    SELECT letter, attachment_name, attachment FROM letter_ready
    WHERE attachment_name IS NOT NULL AND attachment IS NOT NULL;

-- Children first: dropping their letters would delete them.
DROP TABLE letter_ready;
DROP TABLE letter_service;
DROP TABLE letter;
ALTER TABLE letter_next RENAME TO letter;
ALTER TABLE letter_service_next RENAME TO letter_service;
CREATE INDEX letter_due ON letter (due, id) WHERE state = 'queued';
CREATE INDEX letter_oldest ON letter (at) WHERE state = 'queued';
CREATE INDEX letter_dead ON letter (settled, id) WHERE state = 'dead';
CREATE INDEX letter_settled ON letter (settled) WHERE state <> 'queued';
CREATE INDEX letter_leased ON letter (leased) WHERE state = 'queued' AND leased <> 0;
