DROP TRIGGER users_full_to_names_update ON users;
DROP TRIGGER users_full_to_names_insert ON users;
DROP TRIGGER users_names_to_full_update ON users;
DROP TRIGGER users_names_to_full_insert ON users;
DROP FUNCTION users_full_to_names();
DROP FUNCTION users_names_to_full();
DROP FUNCTION users_join_names(TEXT, TEXT);
ALTER TABLE users DROP COLUMN full_name;
