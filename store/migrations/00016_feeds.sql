-- +goose Up

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
-- say of its biller's feed. A few days of them.
CREATE TABLE answer_minutes (
    minute   BIGINT  NOT NULL,    -- its first instant
    service  TEXT    NOT NULL,
    answers  INTEGER NOT NULL,    -- all
    asked    INTEGER NOT NULL,    -- about bills that were known before, and whose due date has not passed
    owed     INTEGER NOT NULL,    -- of these, those that owed something before
    turned   INTEGER NOT NULL,    -- of these, those that owe nothing now
    undated  INTEGER NOT NULL,    -- of owed, those that owe as before and have lost their due date
    returned INTEGER NOT NULL,    -- that owed nothing before, and owe something of the same due date now
    unread   INTEGER NOT NULL,    -- in which something could not be read
    PRIMARY KEY (minute, service)
);

-- Spans in which so many bills turned from owing to nothing that it was not
-- believed: what reminders.paid_at says of such a span is in no report.
CREATE TABLE doubted_payments (
    service  TEXT   NOT NULL,
    since    BIGINT NOT NULL,
    until_at BIGINT,             -- NULL = not over
    PRIMARY KEY (service, since)
);
