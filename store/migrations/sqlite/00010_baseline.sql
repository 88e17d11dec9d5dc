-- Instants are milliseconds since 1970 UTC, days are YYYY-MM-DD, money is
-- decimal text. NULL means "not known" or "not yet". Nothing here is peculiar
-- to SQLite, so that PostgreSQL can run the same statements.
--
-- This is the schema as it was at version 10. A store of an earlier version is
-- refused.

-- +goose Up

-- What is watched, and what Almara Pay last said of it.
CREATE TABLE bills (
    id            INTEGER PRIMARY KEY,
    service       TEXT    NOT NULL,
    account       TEXT    NOT NULL,
    phone         TEXT    NOT NULL,
    language      TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    source        TEXT    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'paused', 'rejected', 'removed')),
    customer      TEXT    NOT NULL DEFAULT '',
    balance       TEXT,
    balance_at    BIGINT,
    due_date      TEXT,
    verified      INTEGER NOT NULL DEFAULT 0,
    registered_at BIGINT,
    checked_at    BIGINT,
    failures      INTEGER NOT NULL DEFAULT 0,
    last_error    TEXT    NOT NULL DEFAULT '',
    usual         TEXT,    -- the highest balance believed so far: the measure of what is plausible
    paused_at     BIGINT,  -- since when the operator keeps it silent
    paused_until  BIGINT,  -- when that ends by itself; NULL = when the operator says so
    UNIQUE (service, account)
);
CREATE INDEX bills_phone ON bills (phone);
-- Most bills are active and were imported. The others are found by these
-- without reading those: at each start, to see what is no longer declared, when
-- an operator lists bills by their state, and when those whose calls failed are
-- tried again.
CREATE INDEX bills_declared ON bills (source) WHERE source <> 'import';
CREATE INDEX bills_odd ON bills (state) WHERE state <> 'active';
CREATE INDEX bills_failing ON bills (service) WHERE failures > 0;

-- When each job next evaluates a bill. They stand apart from bills because
-- every evaluation moves them: the rows are narrow, so a tick reads and writes few
-- pages however many bills are watched. A bill that a job need not evaluate has
-- no row. A paused bill has one in due_remind only, for the end of its pause.
CREATE TABLE due_register (
    bill_id INTEGER PRIMARY KEY REFERENCES bills (id) ON DELETE CASCADE,
    at      BIGINT NOT NULL
);
CREATE INDEX due_register_at ON due_register (at, bill_id);

CREATE TABLE due_recheck (
    bill_id INTEGER PRIMARY KEY REFERENCES bills (id) ON DELETE CASCADE,
    at      BIGINT NOT NULL
);
CREATE INDEX due_recheck_at ON due_recheck (at, bill_id);

-- owner is the process that is at work on the bill; at is then when its claim
-- ends.
CREATE TABLE due_remind (
    bill_id INTEGER PRIMARY KEY REFERENCES bills (id) ON DELETE CASCADE,
    at      BIGINT NOT NULL,
    owner   TEXT
);
CREATE INDEX due_remind_at ON due_remind (at, bill_id);
CREATE INDEX due_remind_owner ON due_remind (owner) WHERE owner IS NOT NULL;

-- Phones that were texted, in the order of their first texts, which is that of
-- the bills. An index of texts by the phone itself lay in no order: once it had
-- grown, nearly each text wrote a page of its own. They stay as long as their
-- bills do, which are not deleted either.
CREATE TABLE phones (
    phone_id INTEGER PRIMARY KEY,
    number   TEXT NOT NULL UNIQUE
);

-- One SMS to one phone. A row in state sending is the intent, committed before
-- the provider is called. What a CHECK allows is said by OR: SQLite looks an IN of
-- more than two up in a table of its own for each row that is written.
CREATE TABLE texts (
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
-- A text is found by its phone, and one that was redirected by where it went. An
-- index on the provider's numbers, which lie in no order, cost as much as all else.
CREATE INDEX texts_phone ON texts (phone_id, created_at);
CREATE INDEX texts_redirected ON texts (sent_to, provider_id) WHERE sent_to <> phone;
CREATE INDEX texts_next_look ON texts (next_look_at) WHERE next_look_at IS NOT NULL;
CREATE INDEX texts_in_doubt ON texts (state, created_at) WHERE state IN ('sending', 'unknown');

-- One stage of one due date that was acted on. The unique key is what makes
-- "once" hold: a second text for the same stage cannot be written.
CREATE TABLE reminders (
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
CREATE INDEX reminders_held ON reminders (reason, bill_id) WHERE outcome = 'held';
CREATE INDEX reminders_text ON reminders (text_id) WHERE text_id IS NOT NULL;

-- Phones that must not be texted. service '' means every service.
CREATE TABLE opt_outs (
    phone   TEXT   NOT NULL,
    service TEXT   NOT NULL,
    reason  TEXT   NOT NULL CHECK (reason IN ('opted_out', 'bad_number')),
    since   BIGINT NOT NULL,
    source  TEXT   NOT NULL, -- provider, operator, import
    who     TEXT   NOT NULL,
    PRIMARY KEY (phone, service)
);

-- The trail: what changed, when, and why. Written in the transaction that made
-- the change, never altered.
CREATE TABLE events (
    id      INTEGER PRIMARY KEY,
    at      BIGINT  NOT NULL,
    bill_id INTEGER NOT NULL,
    text_id INTEGER,
    what    TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    detail  TEXT    NOT NULL
);
CREATE INDEX events_bill ON events (bill_id);

-- Single facts about this store, such as the policy its plans were made under.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

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

-- Services and phones that are paused as a whole: a bill that is registered
-- while one of them stands is paused by it. '' means every one.
CREATE TABLE pauses (
    service  TEXT   NOT NULL,
    phone    TEXT   NOT NULL,
    since    BIGINT NOT NULL,
    until_at BIGINT,
    detail   TEXT   NOT NULL, -- until when, by whom and why, for the trail of each bill
    PRIMARY KEY (service, phone),
    CHECK (service <> '' OR phone <> '')
);
