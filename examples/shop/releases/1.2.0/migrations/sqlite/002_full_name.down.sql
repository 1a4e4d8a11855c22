DROP TRIGGER users_full_to_names_update;
DROP TRIGGER users_full_to_names_insert;
DROP TRIGGER users_names_to_full_update;
DROP TRIGGER users_names_to_full_insert;
ALTER TABLE users DROP COLUMN full_name;
