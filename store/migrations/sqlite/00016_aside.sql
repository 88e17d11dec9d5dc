-- What changes is about several daemons on one database, which a file does not have.

-- +goose Up

SELECT 1;
