-- Why a daemon leaves its work to the others, as a reason; '' = it does its part.

-- +goose Up

ALTER TABLE daemons ADD COLUMN aside TEXT NOT NULL COLLATE "C" DEFAULT '';
