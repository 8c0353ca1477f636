-- How far the wall clock is ahead of the kernel's, in nanoseconds: by it, times of the kernel's clock are kept.
ALTER TABLE kernel_reports ADD COLUMN steady BIGINT;

-- Since when the gateway has seen the common outage, in milliseconds: an end from before that is not its own.
ALTER TABLE outage_alias ADD COLUMN since BIGINT NOT NULL DEFAULT 0;

-- Which of its attempts a client's line counts: a bit each. All: they were counted before they were told apart.
ALTER TABLE waiting ADD COLUMN counted BIGINT NOT NULL DEFAULT -1;
