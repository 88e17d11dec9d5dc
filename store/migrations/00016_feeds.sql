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
