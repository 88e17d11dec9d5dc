-- Which version of the schema a binary must know, at least, to work on this store. An
-- older one is refused; one of that version or a later one may run on a newer schema. A
-- migration that an older binary could not work with raises it to its own number.

-- +goose Up

INSERT INTO meta (key, value) VALUES ('oldest_version', '13');
