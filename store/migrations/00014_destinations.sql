-- +goose Up

-- Phones, and countries by their calling code, that the provider refuses to
-- text: their bills wait until then, each time longer. A text that is taken
-- ends the row.
CREATE TABLE destinations (
    scope    TEXT    PRIMARY KEY, -- a phone in full, or a calling code with its plus
    since    BIGINT  NOT NULL,
    until_at BIGINT  NOT NULL,
    times    INTEGER NOT NULL,    -- how often it was refused
    code     INTEGER NOT NULL,    -- the provider's, 0 = none
    detail   TEXT    NOT NULL
);

-- Messages in the provider's list that this store does not know, and that name
-- neither a phone nor a bill: sending was stopped for them once.
CREATE TABLE unattributed (
    provider_id TEXT   PRIMARY KEY,
    at          BIGINT NOT NULL
);
