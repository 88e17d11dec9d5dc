-- Which version of the schema each daemon knows: a newer duewatch does not bring the tables to one
-- that a daemon which works on them could not run on.

-- +goose Up

ALTER TABLE daemons ADD COLUMN knows BIGINT NOT NULL DEFAULT 14;
