-- The triggers go first, in the same transaction.
ALTER TABLE users DROP COLUMN full_name;
