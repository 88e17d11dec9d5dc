-- Nothing is believed of all because of one: what speaks for one bill, phone, list
-- or feed, and what an operator must know of.

-- +goose Up

-- What an operator must know of although texts go on: one row for each kind,
-- until its cause is gone or the operator has looked.
CREATE TABLE warnings (
    reason TEXT   PRIMARY KEY,
    since  BIGINT NOT NULL,
    detail TEXT   NOT NULL
);

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

-- Whether the biller has confirmed the account, as Almara Pay last said; NULL
-- while it has said nothing. The column verified, which could not tell that from
-- "not confirmed", is no longer written or read, and goes with a later version:
-- dropping it writes every bill anew.
ALTER TABLE bills ADD COLUMN biller_verified INTEGER;
CREATE INDEX bills_not_verified ON bills (biller_verified) WHERE biller_verified = 0;

-- How far the pause of a service or a phone as a whole has come through the bills
-- that there were at its beginning, which it goes through by account or by id: the
-- last bill that it has reached. It holds for those behind that one as well. NULL =
-- it has reached them all.
ALTER TABLE pauses ADD COLUMN reached_id BIGINT;
ALTER TABLE pauses ADD COLUMN reached_account TEXT;
CREATE INDEX pauses_unfinished ON pauses (reached_id) WHERE reached_id IS NOT NULL;

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

-- Declared lists that lost many of their bills at once. The bills stay until the
-- operator agrees to this very list, or the list is whole again.
CREATE TABLE shrunk_lists (
    source    TEXT   PRIMARY KEY, -- as in bills
    mark      TEXT   NOT NULL,    -- tells the list from every other
    gone      BIGINT NOT NULL,    -- bills that it no longer names
    of_bills  BIGINT NOT NULL,    -- that there were
    agreed_at BIGINT              -- when the operator agreed; NULL = not yet
);

-- Almara Pay's answers, by the minute in which they came, the service, and what they
-- say of its biller's feed. An hour of them.
CREATE TABLE answer_minutes (
    service  TEXT    NOT NULL,
    minute   BIGINT  NOT NULL,    -- its first instant
    answers  INTEGER NOT NULL,    -- all
    asked    INTEGER NOT NULL,    -- about bills that were known before, and whose due date has not passed
    owed     INTEGER NOT NULL,    -- of these, those that owed something before
    turned   INTEGER NOT NULL,    -- of these, those that owe nothing now
    returned INTEGER NOT NULL,    -- that owed nothing before, and owe something of the same due date now
    unread   INTEGER NOT NULL,    -- in which something could not be read
    PRIMARY KEY (service, minute)
);
CREATE INDEX answer_minutes_minute ON answer_minutes (minute);

-- Spans in which so many bills turned from owing to nothing that it was not
-- believed: what reminders.paid_at says of such a span is in no report.
CREATE TABLE doubted_payments (
    service  TEXT   NOT NULL,
    since    BIGINT NOT NULL,
    until_at BIGINT,             -- NULL = not over
    -- Sums of the answers since then, as in answer_minutes, while it is not over.
    owed     BIGINT NOT NULL,
    turned   BIGINT NOT NULL,
    returned BIGINT NOT NULL,
    PRIMARY KEY (service, since)
);
