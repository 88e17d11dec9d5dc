-- Instants are milliseconds since 1970 UTC, days are YYYY-MM-DD, money is
-- decimal text. NULL means "not known" or "not yet". Nothing here is peculiar
-- to SQLite, so that PostgreSQL can run the same statements.

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
    UNIQUE (service, account)
);
CREATE INDEX bills_account ON bills (account);
CREATE INDEX bills_phone ON bills (phone);

-- When each job next looks at a bill. They stand apart from bills because
-- every look moves them: the rows are narrow, so a tick reads and writes few
-- pages however many bills are watched. A bill that a job need not look at has
-- no row. owner is the process that is at work on the bill; at is then when its
-- claim ends.
CREATE TABLE due_register (
    bill_id INTEGER PRIMARY KEY REFERENCES bills (id) ON DELETE CASCADE,
    at      BIGINT NOT NULL,
    owner   TEXT
);
CREATE INDEX due_register_at ON due_register (at, bill_id);
CREATE INDEX due_register_owner ON due_register (owner) WHERE owner IS NOT NULL;

CREATE TABLE due_recheck (
    bill_id INTEGER PRIMARY KEY REFERENCES bills (id) ON DELETE CASCADE,
    at      BIGINT NOT NULL,
    owner   TEXT
);
CREATE INDEX due_recheck_at ON due_recheck (at, bill_id);
CREATE INDEX due_recheck_owner ON due_recheck (owner) WHERE owner IS NOT NULL;

CREATE TABLE due_remind (
    bill_id INTEGER PRIMARY KEY REFERENCES bills (id) ON DELETE CASCADE,
    at      BIGINT NOT NULL,
    owner   TEXT
);
CREATE INDEX due_remind_at ON due_remind (at, bill_id);
CREATE INDEX due_remind_owner ON due_remind (owner) WHERE owner IS NOT NULL;

-- One SMS to one phone. A row in state sending is the intent, committed before
-- the provider is called.
CREATE TABLE texts (
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
    provider_id     TEXT    UNIQUE,
    provider_status TEXT    NOT NULL DEFAULT '',
    error_code      INTEGER NOT NULL DEFAULT 0,
    error           TEXT    NOT NULL DEFAULT '',
    billed_segments INTEGER,
    price           TEXT,
    price_unit      TEXT,
    next_look_at    BIGINT,           -- when the receipts job next asks about it
    looks           INTEGER NOT NULL DEFAULT 0, -- how often it asked
    CHECK (state NOT IN ('accepted', 'sent', 'delivered', 'undelivered', 'failed', 'canceled', 'unconfirmed') OR provider_id IS NOT NULL)
);
CREATE INDEX texts_phone ON texts (phone, created_at);
CREATE INDEX texts_next_look ON texts (next_look_at) WHERE next_look_at IS NOT NULL;
CREATE INDEX texts_in_doubt ON texts (state, created_at) WHERE state IN ('sending', 'unknown');

-- One stage of one due date that was acted on. The unique key is what makes
-- "once" hold: a second text for the same stage cannot be written.
CREATE TABLE reminders (
    id         INTEGER PRIMARY KEY,
    bill_id    INTEGER NOT NULL REFERENCES bills (id),
    due_date   TEXT    NOT NULL,
    stage      INTEGER NOT NULL,
    outcome    TEXT    NOT NULL CHECK (outcome IN ('texted', 'skipped', 'held')),
    reason     TEXT    NOT NULL CHECK (reason <> ''),
    text_id    INTEGER REFERENCES texts (id),
    tries      INTEGER NOT NULL DEFAULT 0, -- texts of this stage that came to nothing after they were handed over
    decided_at BIGINT  NOT NULL,
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
