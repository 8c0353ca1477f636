-- The clock that times are noted by, as the wall clock steps: which boot's clock, and how far ahead of it, in nanoseconds.
-- `began` and `known`, in milliseconds: since when this boot's clock counts, and when it was last looked at.
CREATE TABLE clock (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    boot TEXT NOT NULL,
    ahead BIGINT NOT NULL,
    measured BIGINT NOT NULL,
    began BIGINT NOT NULL,
    is_behind BIGINT NOT NULL,
    known BIGINT NOT NULL
);
