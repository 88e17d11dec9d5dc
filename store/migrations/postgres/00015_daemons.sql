-- Which version of the schema each daemon knows: a newer duewatch does not bring the tables to one
-- that a daemon which works on them could not run on. And why a daemon leaves its work to the others,
-- as a reason; '' = it does its part.

-- +goose Up

ALTER TABLE daemons ADD COLUMN knows BIGINT NOT NULL DEFAULT 14;
ALTER TABLE daemons ADD COLUMN aside TEXT NOT NULL COLLATE "C" DEFAULT '';
