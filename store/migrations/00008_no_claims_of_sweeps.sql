-- +goose Up

-- A sweep keeps in memory how far it has come: asking twice after a crash does
-- no harm, and a claim for each bill was a third of what a sweep wrote.
DROP INDEX due_register_owner;
ALTER TABLE due_register DROP COLUMN owner;
DROP INDEX due_recheck_owner;
ALTER TABLE due_recheck DROP COLUMN owner;
