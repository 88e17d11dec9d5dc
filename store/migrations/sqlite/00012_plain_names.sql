-- The tables and columns get the names that the code and the commands use. A table
-- or column that is renamed is not written anew. The indexes that are made anew hold
-- few rows, but each reads its table once: some seconds with ten million texts.

-- +goose Up

ALTER TABLE texts RENAME COLUMN next_look_at TO next_poll_at;
ALTER TABLE texts RENAME COLUMN looks TO polls;
DROP INDEX texts_next_look;
CREATE INDEX texts_next_poll ON texts (next_poll_at) WHERE next_poll_at IS NOT NULL;

-- Most bills are active and are not in it.
DROP INDEX bills_odd;
CREATE INDEX bills_inactive ON bills (state) WHERE state <> 'active';

-- Guards that the operator has overridden, each until it is back.
ALTER TABLE lifts RENAME TO overrides;

-- Messages about our bills in the provider's list that this store did not send.
ALTER TABLE strangers RENAME TO foreign_messages;
DROP INDEX strangers_bill;
CREATE INDEX foreign_messages_bill ON foreign_messages (bill_id);
UPDATE events SET what = 'foreign_message'
    WHERE what = 'stranger' AND bill_id IN (SELECT bill_id FROM foreign_messages);

ALTER TABLE unattributed RENAME TO unattributed_messages;

-- Whom Almara Pay refuses, and whom the provider refuses to text.
ALTER TABLE refusals RENAME TO refused_bills;
DROP INDEX refusals_unclear;
DROP INDEX refusals_forbidden;
CREATE INDEX refused_bills_unclear ON refused_bills (since) WHERE forbidden = 0;
CREATE INDEX refused_bills_forbidden ON refused_bills (since) WHERE forbidden = 1;
ALTER TABLE destinations RENAME TO refused_destinations;

ALTER TABLE shrunk_lists RENAME COLUMN mark TO fingerprint; -- of the list
ALTER TABLE shrunk_lists RENAME COLUMN gone TO missing;     -- bills that it no longer names
ALTER TABLE shrunk_lists RENAME COLUMN of_bills TO total;   -- that there were
