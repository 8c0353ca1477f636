-- What gateways ask each other: whether an attempt that seems silent was answered where another one sees it. `well`: up to
-- when the service is known to have answered; NULL: nobody knows anything.
CREATE TABLE question (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    gateway     TEXT   NOT NULL,
    asked       BIGINT NOT NULL,
    server      BLOB   NOT NULL,
    port        BIGINT NOT NULL,
    client      BLOB   NOT NULL,
    client_port BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    since       BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    well        BIGINT
);
