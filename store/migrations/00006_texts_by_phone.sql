-- +goose Up

-- A text is found by its phone, and one that was redirected by where it went.
-- An index on the provider's numbers, which lie in no order, cost a page
-- written for each text, as much as all else about it. SQLite drops a UNIQUE
-- only with its table.
CREATE TABLE new_texts (
    id              INTEGER PRIMARY KEY,
    phone           TEXT    NOT NULL, -- the customer's
    sent_to         TEXT    NOT NULL, -- where it went: the customer's phone, or the redirect
    body            TEXT    NOT NULL,
    language        TEXT    NOT NULL,
    segments        INTEGER NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('sending', 'unknown', 'not_found', 'refused', 'accepted', 'sent',
                                                      'delivered', 'undelivered', 'failed', 'canceled', 'unconfirmed')),
    owner           TEXT    NOT NULL, -- the process that holds the intent
    lease_until     BIGINT  NOT NULL, -- after this the owner is taken for dead
    planned_at      BIGINT  NOT NULL, -- when it should have left
    not_after       BIGINT  NOT NULL, -- when it stops being useful
    created_at      BIGINT  NOT NULL,
    accepted_at     BIGINT,
    settled_at      BIGINT,           -- when a final state was reached
    provider_id     TEXT,
    provider_status TEXT    NOT NULL DEFAULT '',
    error_code      INTEGER NOT NULL DEFAULT 0,
    error           TEXT    NOT NULL DEFAULT '',
    billed_segments INTEGER,
    price           TEXT,
    price_unit      TEXT,
    next_look_at    BIGINT,           -- when the receipts job next asks about it
    looks           INTEGER NOT NULL DEFAULT 0, -- how often it asked
    refused_for     TEXT    NOT NULL DEFAULT '', -- why it came to nothing, or may have; '' when it did not, or nobody knows
    CHECK (state NOT IN ('accepted', 'sent', 'delivered', 'undelivered', 'failed', 'canceled', 'unconfirmed') OR provider_id IS NOT NULL)
);
INSERT INTO new_texts SELECT id, phone, sent_to, body, language, segments, state, owner, lease_until, planned_at, not_after, created_at,
    accepted_at, settled_at, provider_id, provider_status, error_code, error, billed_segments, price, price_unit, next_look_at, looks, refused_for
    FROM texts;
DROP TABLE texts;
ALTER TABLE new_texts RENAME TO texts;
CREATE INDEX texts_phone ON texts (phone, created_at);
CREATE INDEX texts_redirected ON texts (sent_to, provider_id) WHERE sent_to <> phone;
CREATE INDEX texts_next_look ON texts (next_look_at) WHERE next_look_at IS NOT NULL;
CREATE INDEX texts_in_doubt ON texts (state, created_at) WHERE state IN ('sending', 'unknown');
