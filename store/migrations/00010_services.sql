-- +goose Up

-- The services that have bills, each found by one step in the index on service
-- and account. With it that index finds an account of whatever service, and one on
-- accounts alone, which took a sixth of the time of an import, is not needed.
CREATE VIEW services (service) AS
    WITH RECURSIVE found (service) AS (
        SELECT min(service) FROM bills
        UNION ALL
        SELECT (SELECT min(service) FROM bills WHERE service > found.service) FROM found WHERE found.service IS NOT NULL
    )
    SELECT service FROM found WHERE service IS NOT NULL;
DROP INDEX bills_account;
