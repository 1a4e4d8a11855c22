-- cutover: phase=expand
-- Adds full_name and keeps it equal to first_name and last_name by triggers in both directions.
--
-- Versions that know only one side run beside each other: 1.0.0 writes the two old columns, 1.1.0 writes full_name.
--
-- The sides agree when   trim(full_name) = trim(first_name || ' ' || last_name),   with NULL and '' being the same.
-- Each trigger acts only when they do not agree, and what it writes makes them agree. So the update that one
-- direction makes never wakes the other one, with recursive_triggers off (SQLite's default) or on.
-- full_name is split at its first space; joining the halves gives back exactly what was split.
ALTER TABLE users ADD COLUMN full_name TEXT;

-- The old version inserted: it does not know full_name.
CREATE TRIGGER users_names_to_full_insert
AFTER INSERT ON users
WHEN NEW.full_name IS NULL
BEGIN
    UPDATE users
       SET full_name = nullif(trim(coalesce(NEW.first_name, '') || ' ' || coalesce(NEW.last_name, '')), '')
     WHERE id = NEW.id;
END;

-- The old version changed a name.
CREATE TRIGGER users_names_to_full_update
AFTER UPDATE OF first_name, last_name ON users
WHEN nullif(trim(NEW.full_name), '')
     IS NOT nullif(trim(coalesce(NEW.first_name, '') || ' ' || coalesce(NEW.last_name, '')), '')
BEGIN
    UPDATE users
       SET full_name = nullif(trim(coalesce(NEW.first_name, '') || ' ' || coalesce(NEW.last_name, '')), '')
     WHERE id = NEW.id;
END;

-- The new version inserted: it knows only full_name.
CREATE TRIGGER users_full_to_names_insert
AFTER INSERT ON users
WHEN NEW.full_name IS NOT NULL
     AND nullif(trim(NEW.full_name), '')
     IS NOT nullif(trim(coalesce(NEW.first_name, '') || ' ' || coalesce(NEW.last_name, '')), '')
BEGIN
    UPDATE users
       SET first_name = nullif(substr(trim(NEW.full_name), 1, instr(trim(NEW.full_name) || ' ', ' ') - 1), ''),
           last_name  = nullif(substr(trim(NEW.full_name), instr(trim(NEW.full_name) || ' ', ' ') + 1), '')
     WHERE id = NEW.id;
END;

-- The new version changed a name.
CREATE TRIGGER users_full_to_names_update
AFTER UPDATE OF full_name ON users
WHEN nullif(trim(NEW.full_name), '')
     IS NOT nullif(trim(coalesce(NEW.first_name, '') || ' ' || coalesce(NEW.last_name, '')), '')
BEGIN
    UPDATE users
       SET first_name = nullif(substr(trim(NEW.full_name), 1, instr(trim(NEW.full_name) || ' ', ' ') - 1), ''),
           last_name  = nullif(substr(trim(NEW.full_name), instr(trim(NEW.full_name) || ' ', ' ') + 1), '')
     WHERE id = NEW.id;
END;
