-- +goose Up

-- What an operator must know of although texts go on: one row for each kind,
-- until its cause is gone or the operator has looked.
CREATE TABLE warnings (
    reason TEXT   PRIMARY KEY,
    since  BIGINT NOT NULL,
    detail TEXT   NOT NULL
);
