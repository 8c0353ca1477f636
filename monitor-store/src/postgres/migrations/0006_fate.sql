-- One attempt, one fate. An outage is a time by the kernel's clock; who may still get through by a repeated SYN stays on its
-- list for a while after its end; and the kernel's reports are taken once, whenever the daemon is killed.
ALTER TABLE outage ADD COLUMN from_ns BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outage ADD COLUMN until_ns BIGINT;
-- The latest failed attempt that was reported: when its SYN passed, and how often the service had answered then.
ALTER TABLE outage ADD COLUMN latest_ns BIGINT;
ALTER TABLE outage ADD COLUMN latest_answers BIGINT;
-- Until when one of its clients may still get through.
ALTER TABLE outage ADD COLUMN trying_until BIGINT NOT NULL DEFAULT 0;
-- 1: it is over, and its list may still change.
ALTER TABLE outage ADD COLUMN settling_list BIGINT NOT NULL DEFAULT 0;
CREATE INDEX outage_settling_list ON outage (id) WHERE settling_list = 1;

ALTER TABLE waiting ADD COLUMN trying_until BIGINT NOT NULL DEFAULT 0;
-- 1: it is told whatever else it tries: an attempt is over and failed, or it has asked. (Lists of before are told as they are.)
ALTER TABLE waiting ADD COLUMN certain BIGINT NOT NULL DEFAULT 1;
-- 1: the client has asked to be told, whether or not it failed.
ALTER TABLE waiting ADD COLUMN asked BIGINT NOT NULL DEFAULT 0;
UPDATE waiting SET asked = 1 WHERE evidence = 'asked';

-- 1: the gateway knows that the common outage is over, and may still have to say something of its list.
ALTER TABLE outage_alias ADD COLUMN ended BIGINT NOT NULL DEFAULT 0;

-- Up to where the kernel's reports are in this database: which ring buffer, and the position in it.
CREATE TABLE kernel_reports (
    one      BIGINT PRIMARY KEY CHECK (one = 1),
    ring     BIGINT NOT NULL,
    position BIGINT NOT NULL
);
