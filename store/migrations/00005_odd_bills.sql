-- +goose Up

-- Most bills are active and were imported. The others are found by these
-- without reading those: at each start, to see what is no longer declared, and
-- when an operator lists bills by their state.
CREATE INDEX bills_declared ON bills (source) WHERE source <> 'import';
CREATE INDEX bills_odd ON bills (state) WHERE state <> 'active';
