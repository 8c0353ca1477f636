-- Several gateways, one set of outages.

-- Whose changes are in here, and up to which of its own numbers: what comes twice counts once.
CREATE TABLE gateway (
    name    TEXT   PRIMARY KEY,
    host    TEXT   NOT NULL,
    applied BIGINT NOT NULL,
    seen    BIGINT NOT NULL
);

-- What a gateway calls an outage that it has seen, and how many failures of it are its own.
CREATE TABLE outage_alias (
    gateway  TEXT   NOT NULL,
    local    BIGINT NOT NULL,
    outage   BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    PRIMARY KEY (gateway, local)
);
CREATE INDEX outage_alias_outage ON outage_alias (outage);

-- One row. `turn`: one gateway's changes at a time. `book`: how often the address book has changed.
CREATE TABLE shared (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    turn BIGINT NOT NULL,
    book BIGINT NOT NULL
);
INSERT INTO shared (one, turn, book) VALUES (1, 0, 0);

-- What this gateway has committed here and not yet there. Only embedded databases have rows in these two.
CREATE TABLE spool (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      BIGINT NOT NULL,
    changes BLOB   NOT NULL
);
CREATE TABLE self (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    name TEXT   NOT NULL
);

CREATE INDEX letter_leased ON letter (leased) WHERE state = 'queued' AND leased <> 0;
