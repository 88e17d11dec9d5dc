-- +goose Up

-- Since when the operator keeps a bill silent, and when that ends by itself;
-- NULL = when the operator says so. A paused bill has no row in due_register
-- and due_recheck, and one in due_remind only for its end.
ALTER TABLE bills ADD COLUMN paused_at BIGINT;
ALTER TABLE bills ADD COLUMN paused_until BIGINT;

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

-- When Almara Pay first said that what a text reminded of is paid.
ALTER TABLE reminders ADD COLUMN paid_at BIGINT;
