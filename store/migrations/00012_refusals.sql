-- +goose Up

-- Bills that Almara Pay refuses without saying in a known form that the account
-- is wrong: a 4xx of another form, or a 403 (forbidden). since is when it first
-- did, of the refusals in a row.
CREATE TABLE refusals (
    bill_id   INTEGER PRIMARY KEY REFERENCES bills (id) ON DELETE CASCADE,
    since     BIGINT  NOT NULL,
    forbidden INTEGER NOT NULL
);
CREATE INDEX refusals_unclear ON refusals (since) WHERE forbidden = 0;
CREATE INDEX refusals_forbidden ON refusals (since) WHERE forbidden = 1;

-- Bills that Almara Pay had accepted and then rejected, of the last day, or
-- since too many of them stopped sending.
CREATE TABLE rejections (
    bill_id INTEGER PRIMARY KEY REFERENCES bills (id) ON DELETE CASCADE,
    at      BIGINT  NOT NULL
);
CREATE INDEX rejections_at ON rejections (at);
