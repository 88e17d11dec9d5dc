-- +goose Up

-- Phones that were texted, in the order of their first texts, which is that of
-- the bills. An index of texts by the phone itself lay in no order: once it had
-- grown, nearly each text wrote a page of its own. They stay as long as their
-- bills do, which are not deleted either.
CREATE TABLE phones (
    phone_id INTEGER PRIMARY KEY,
    number   TEXT NOT NULL UNIQUE
);
INSERT INTO phones (number) SELECT phone FROM texts GROUP BY phone ORDER BY min(id);

-- States as before, in other words: SQLite looks an IN of more than two
-- up in a table of its own for each row that is written, where OR ends at the
-- first that fits. So those that are written most come first. It took nearly a tenth of
-- what the store does for a text. SQLite changes a CHECK only with its table.
CREATE TABLE new_texts (
    id              INTEGER PRIMARY KEY,
    phone           TEXT    NOT NULL, -- the customer's
    phone_id        INTEGER NOT NULL REFERENCES phones (phone_id),
    sent_to         TEXT    NOT NULL, -- where it went: the customer's phone, or the redirect
    body            TEXT    NOT NULL,
    language        TEXT    NOT NULL,
    segments        INTEGER NOT NULL,
    state           TEXT    NOT NULL CHECK (state = 'sending' OR state = 'accepted' OR state = 'delivered' OR state = 'sent'
                                            OR state = 'unknown' OR state = 'not_found' OR state = 'refused' OR state = 'undelivered'
                                            OR state = 'failed' OR state = 'canceled' OR state = 'unconfirmed'),
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
    CHECK (provider_id IS NOT NULL OR state = 'sending' OR state = 'unknown' OR state = 'not_found' OR state = 'refused')
);
INSERT INTO new_texts SELECT id, phone, (SELECT phone_id FROM phones WHERE number = phone), sent_to, body, language, segments, state, owner, lease_until, planned_at, not_after, created_at,
    accepted_at, settled_at, provider_id, provider_status, error_code, error, billed_segments, price, price_unit, next_look_at, looks, refused_for
    FROM texts;
DROP TABLE texts;
ALTER TABLE new_texts RENAME TO texts;
CREATE INDEX texts_phone ON texts (phone_id, created_at);
CREATE INDEX texts_redirected ON texts (sent_to, provider_id) WHERE sent_to <> phone;
CREATE INDEX texts_next_look ON texts (next_look_at) WHERE next_look_at IS NOT NULL;
CREATE INDEX texts_in_doubt ON texts (state, created_at) WHERE state IN ('sending', 'unknown');

-- One stage of one due date that was acted on. The unique key is what makes
-- "once" hold: a second text for the same stage cannot be written.
CREATE TABLE new_reminders (
    id         INTEGER PRIMARY KEY,
    bill_id    INTEGER NOT NULL REFERENCES bills (id),
    due_date   TEXT    NOT NULL,
    stage      INTEGER NOT NULL,
    outcome    TEXT    NOT NULL CHECK (outcome = 'texted' OR outcome = 'skipped' OR outcome = 'held'),
    reason     TEXT    NOT NULL CHECK (reason <> ''),
    text_id    INTEGER REFERENCES texts (id),
    tries      INTEGER NOT NULL DEFAULT 0, -- texts of this stage that came to nothing after they were handed over
    decided_at BIGINT  NOT NULL,
    paid_at    BIGINT,                     -- when Almara Pay first said that what the text reminded of is paid
    UNIQUE (bill_id, due_date, stage),
    CHECK ((outcome = 'texted') = (text_id IS NOT NULL))
);
INSERT INTO new_reminders SELECT id, bill_id, due_date, stage, outcome, reason, text_id, tries, decided_at, paid_at FROM reminders;
DROP TABLE reminders;
ALTER TABLE new_reminders RENAME TO reminders;
CREATE INDEX reminders_held ON reminders (reason, bill_id) WHERE outcome = 'held';
CREATE INDEX reminders_text ON reminders (text_id) WHERE text_id IS NOT NULL;
