-- What operators are told of, by recipient. Rows stay when it is told: nothing is told twice, and the end of an outage goes
-- to those who were told of its opening.
DROP TABLE notice_opened;
CREATE TABLE notice_event (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient TEXT    NOT NULL,
    kind      TEXT    NOT NULL CHECK (kind IN ('opened', 'ended', 'discarded', 'peer-down', 'peer-back')),
    -- An outage, or 0 and a peer's name.
    outage    BIGINT  NOT NULL,
    peer      TEXT    NOT NULL,
    -- When the outage of service or peer began: part of its name.
    since     BIGINT  NOT NULL,
    -- When it happened, and when it was written here.
    at        BIGINT  NOT NULL,
    noted     BIGINT  NOT NULL,
    -- When it is told at the latest; told: NULL.
    due       BIGINT,
    UNIQUE (recipient, kind, outage, peer, since)
);
CREATE INDEX notice_event_due ON notice_event (recipient, id) WHERE due IS NOT NULL;
CREATE INDEX notice_event_outage ON notice_event (outage, kind);

-- When each recipient was last told.
CREATE TABLE notice_recipient (
    recipient TEXT   PRIMARY KEY,
    latest    BIGINT NOT NULL
) WITHOUT ROWID;
