-- +goose Up

-- Almara Pay answers nearly always. The bills it did not answer about are found
-- by this without reading the others, when an operator has them tried again.
CREATE INDEX bills_failing ON bills (service) WHERE failures > 0;
