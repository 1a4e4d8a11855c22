-- cutover: phase=contract retires=1.1.0
-- cutover: irreversible reason=first_name and last_name are gone; restore a backup to get them back
-- Drops the triggers, first_name and last_name.
DROP TRIGGER users_full_to_names_update ON users;
DROP TRIGGER users_full_to_names_insert ON users;
DROP TRIGGER users_names_to_full_update ON users;
DROP TRIGGER users_names_to_full_insert ON users;
DROP FUNCTION users_full_to_names();
DROP FUNCTION users_names_to_full();
DROP FUNCTION users_join_names(TEXT, TEXT);
ALTER TABLE users DROP COLUMN first_name;
ALTER TABLE users DROP COLUMN last_name;
