-- Times are milliseconds since the Unix epoch. Addresses are 16 bytes, IPv4 mapped into ::ffff:0:0/96.
-- Words (evidence, level, phase, state, origin, language) are those of the JSON output.

-- The row with the highest id is never deleted: it says which id comes next.
CREATE TABLE outage (
    id               INTEGER PRIMARY KEY,
    server           BLOB    NOT NULL,
    port             INTEGER NOT NULL,
    since            BIGINT  NOT NULL,
    latest           BIGINT  NOT NULL,
    evidence         TEXT    NOT NULL,
    level            TEXT    NOT NULL,
    failures         BIGINT  NOT NULL,
    phase            TEXT    NOT NULL CHECK (phase IN ('suspected', 'open', 'settling')),
    settle_until     BIGINT,
    settle_evidence  TEXT,
    settle_recovered BIGINT,
    server_name      TEXT,
    -- Kept beside the waiting list so that showing it does not count a million rows.
    clients          BIGINT  NOT NULL DEFAULT 0,
    ended            BIGINT,
    recovery         TEXT,
    letters          BIGINT  NOT NULL DEFAULT 0
);
CREATE INDEX outage_open ON outage (id) WHERE ended IS NULL;

-- No index on `latest`: attempts come by the thousand per second, purges by the minute.
CREATE TABLE waiting (
    outage    BIGINT NOT NULL REFERENCES outage (id),
    client    BLOB   NOT NULL,
    first     BIGINT NOT NULL,
    latest    BIGINT NOT NULL,
    attempts  BIGINT NOT NULL,
    evidence  TEXT   NOT NULL,
    connected BIGINT,
    PRIMARY KEY (outage, client)
) WITHOUT ROWID;

CREATE TABLE service (
    server   BLOB    NOT NULL,
    port     INTEGER NOT NULL,
    answered BIGINT  NOT NULL,
    PRIMARY KEY (server, port)
) WITHOUT ROWID;

CREATE TABLE address (
    net        BLOB     NOT NULL,
    -- Of the 16 bytes: 128 is one address, IPv4 /24 is 120.
    prefix     SMALLINT NOT NULL,
    mail       TEXT     NOT NULL,
    language   TEXT,
    origin     TEXT     NOT NULL,
    registered BIGINT   NOT NULL,
    PRIMARY KEY (net, prefix)
) WITHOUT ROWID;

CREATE TABLE letter (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    outage    BIGINT   NOT NULL,
    client    BLOB     NOT NULL,
    mail      TEXT     NOT NULL,
    language  TEXT,
    recovered BIGINT   NOT NULL,
    evidence  TEXT     NOT NULL,
    expires   BIGINT   NOT NULL,
    state     TEXT     NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'delivered', 'dead')),
    tries     INTEGER  NOT NULL DEFAULT 0,
    -- Queued: when it may be given out next.
    due       BIGINT   NOT NULL,
    leased    SMALLINT NOT NULL DEFAULT 0,
    -- Delivered or dead: since when.
    settled   BIGINT,
    reason    TEXT,
    -- The stable part of the Message-ID.
    UNIQUE (outage, client)
);
CREATE INDEX letter_due ON letter (due, id) WHERE state = 'queued';
CREATE INDEX letter_oldest ON letter (recovered) WHERE state = 'queued';
CREATE INDEX letter_dead ON letter (settled, id) WHERE state = 'dead';
CREATE INDEX letter_settled ON letter (settled) WHERE state <> 'queued';

-- What a letter speaks of. The server and the begin are in the outage's row, which stays as long as the letter.
CREATE TABLE letter_service (
    letter   BIGINT NOT NULL REFERENCES letter (id) ON DELETE CASCADE,
    outage   BIGINT NOT NULL,
    first    BIGINT NOT NULL,
    latest   BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    failure  TEXT   NOT NULL,
    PRIMARY KEY (letter, outage)
) WITHOUT ROWID;

-- One row: the outbox in numbers, kept with every change of it.
CREATE TABLE letter_tally (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    queued     BIGINT NOT NULL DEFAULT 0,
    retrying   BIGINT NOT NULL DEFAULT 0,
    delivered  BIGINT NOT NULL DEFAULT 0,
    dead       BIGINT NOT NULL DEFAULT 0,
    last_error TEXT
);
INSERT INTO letter_tally (one) VALUES (1);

CREATE TABLE local_engine (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    id    BLOB   NOT NULL,
    boots BIGINT NOT NULL
);

CREATE TABLE remote_engine (
    id       BLOB   PRIMARY KEY,
    boots    BIGINT NOT NULL,
    time     BIGINT NOT NULL,
    received BIGINT NOT NULL,
    -- Pairs of engine time and message id, four bytes each, big endian.
    seen     BLOB   NOT NULL
) WITHOUT ROWID;
