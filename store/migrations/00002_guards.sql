-- +goose Up

-- What was handed to the provider, or is about to be, by day. since is the
-- midnight at which the day began.
CREATE TABLE usage (
    since    BIGINT PRIMARY KEY,
    texts    INTEGER NOT NULL,
    segments INTEGER NOT NULL
);

-- Why no text may leave at all.
CREATE TABLE stops (
    reason   TEXT   PRIMARY KEY,
    since    BIGINT NOT NULL,
    until_at BIGINT,          -- NULL = until the operator releases it
    detail   TEXT   NOT NULL
);

-- Guards that the operator has lifted, until they are back.
CREATE TABLE lifts (
    guard    TEXT   PRIMARY KEY,
    since    BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    who      TEXT   NOT NULL
);

-- Texts about our bills that the provider has and this store did not know: it
-- is a copy, or was restored.
CREATE TABLE strangers (
    provider_id TEXT    NOT NULL,
    bill_id     INTEGER NOT NULL REFERENCES bills (id) ON DELETE CASCADE,
    at          BIGINT  NOT NULL,
    PRIMARY KEY (provider_id, bill_id)
);
CREATE INDEX strangers_bill ON strangers (bill_id);

-- Why it came to nothing, at once or later, or may have; '' when it did not, or
-- when nobody knows.
ALTER TABLE texts ADD COLUMN refused_for TEXT NOT NULL DEFAULT '';

-- The highest balance believed so far: the measure of what is plausible.
ALTER TABLE bills ADD COLUMN usual TEXT;
UPDATE bills SET usual = balance WHERE balance IS NOT NULL AND balance NOT LIKE '-%' AND balance <> '0';
