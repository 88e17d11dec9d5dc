-- +goose Up

-- A sweep keeps in memory how far it has come: asking twice after a crash does
-- no harm, and each claim was a row and two indexes, written and taken back.
-- What a dead process had claimed is given back: its lease was of ten minutes.
UPDATE due_register SET at = at - 600000 WHERE owner IS NOT NULL;
UPDATE due_recheck SET at = at - 600000 WHERE owner IS NOT NULL;
DROP INDEX due_register_owner;
ALTER TABLE due_register DROP COLUMN owner;
DROP INDEX due_recheck_owner;
ALTER TABLE due_recheck DROP COLUMN owner;
