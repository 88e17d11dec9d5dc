-- How many bills there are, which is kept up to date from here on: their ids have gaps.

-- +goose Up

INSERT INTO meta (key, value) SELECT 'bills', CAST(count(*) AS TEXT) FROM bills HAVING count(*) > 0;
UPDATE meta SET value = '14' WHERE key = 'oldest_version';
