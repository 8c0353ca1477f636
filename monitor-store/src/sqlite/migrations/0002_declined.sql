-- Clients that answered "no" to the stand-in page: they are not told of the end of this outage.
CREATE TABLE declined (
    outage BIGINT NOT NULL REFERENCES outage (id) ON DELETE CASCADE,
    client BLOB   NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (outage, client)
) WITHOUT ROWID;
