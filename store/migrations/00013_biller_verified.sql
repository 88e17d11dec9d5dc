-- +goose Up

-- Whether the biller has confirmed the account, as Almara Pay last said; NULL
-- while it has said nothing. The column verified, which could not tell that from
-- "not confirmed", is no longer written or read, and goes with a later version:
-- dropping it writes every bill anew.
ALTER TABLE bills ADD COLUMN biller_verified INTEGER;
CREATE INDEX bills_not_verified ON bills (biller_verified) WHERE biller_verified = 0;
