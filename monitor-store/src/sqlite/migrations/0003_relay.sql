-- Relays: lists that a gateway has sent, lists that a relay has taken, mails that were refused; notices to operators.

-- The words of letters that are no letters to clients. Such a letter's `client` is made of its key: an address that
-- nobody has (100::/64, RFC 6666).
CREATE TABLE letter_ready (
    letter          BIGINT PRIMARY KEY REFERENCES letter (id) ON DELETE CASCADE,
    -- The stable part of the Message-ID.
    key             TEXT   NOT NULL UNIQUE,
    subject         TEXT   NOT NULL,
    text            TEXT   NOT NULL,
    attachment_name TEXT,
    attachment      BLOB
);

CREATE TABLE relay_list (
    nonce    TEXT   PRIMARY KEY,
    outage   BIGINT NOT NULL,
    letter   BIGINT NOT NULL,
    mail     TEXT   NOT NULL,
    clients  BIGINT NOT NULL,
    issued   BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    -- When the gateway mails the clients itself.
    fallback BIGINT,
    state    TEXT   NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'expired', 'direct')),
    settled  BIGINT,
    told     BIGINT,
    untold   BIGINT,
    -- The list's JSON, as long as it may be needed.
    content  BLOB
) WITHOUT ROWID;
CREATE INDEX relay_list_pending ON relay_list (fallback, expires) WHERE state = 'pending';

-- Nonces, until their lists would be refused as expired. `uid` is the mail's name in the mailbox.
CREATE TABLE relay_taken (
    gateway TEXT   NOT NULL,
    nonce   TEXT   NOT NULL,
    uid     TEXT   NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (gateway, nonce)
) WITHOUT ROWID;
CREATE INDEX relay_taken_expires ON relay_taken (expires);

CREATE TABLE relay_refused (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     BIGINT NOT NULL,
    reason TEXT   NOT NULL,
    file   TEXT
);

-- Outages that operators were told of: they are told of the end too, and of nothing twice.
CREATE TABLE notice_opened (
    outage BIGINT PRIMARY KEY REFERENCES outage (id) ON DELETE CASCADE
);
