-- cutover: phase=expand
-- Adds full_name and keeps it equal to first_name and last_name by triggers in both directions.
--
-- Versions that know only one side run beside each other: 1.0.0 writes the two old columns, 1.1.0 writes full_name.
--
-- The sides agree when   btrim(full_name) = users_join_names(first_name, last_name),   with NULL and '' being the
-- same. Each trigger acts only when they do not agree. BEFORE triggers change the row that is being written, so no
-- second update happens that could wake the other direction.
-- full_name is split at its first space; joining the halves gives back exactly what was split.
ALTER TABLE users ADD COLUMN full_name TEXT;

CREATE FUNCTION users_join_names(first_name TEXT, last_name TEXT) RETURNS TEXT
LANGUAGE sql IMMUTABLE AS $$
    SELECT nullif(btrim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), '')
$$;

CREATE FUNCTION users_names_to_full() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.full_name := users_join_names(NEW.first_name, NEW.last_name);
    RETURN NEW;
END;
$$;

CREATE FUNCTION users_full_to_names() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    trimmed TEXT := btrim(NEW.full_name);
    space   INTEGER := strpos(trimmed || ' ', ' ');
BEGIN
    NEW.first_name := nullif(substr(trimmed, 1, space - 1), '');
    NEW.last_name := nullif(substr(trimmed, space + 1), '');
    RETURN NEW;
END;
$$;

-- The old version inserted: it does not know full_name.
CREATE TRIGGER users_names_to_full_insert
BEFORE INSERT ON users
FOR EACH ROW WHEN (NEW.full_name IS NULL)
EXECUTE FUNCTION users_names_to_full();

-- The old version changed a name.
CREATE TRIGGER users_names_to_full_update
BEFORE UPDATE OF first_name, last_name ON users
FOR EACH ROW WHEN (nullif(btrim(NEW.full_name), '') IS DISTINCT FROM users_join_names(NEW.first_name, NEW.last_name))
EXECUTE FUNCTION users_names_to_full();

-- The new version inserted: it knows only full_name.
CREATE TRIGGER users_full_to_names_insert
BEFORE INSERT ON users
FOR EACH ROW WHEN (
    NEW.full_name IS NOT NULL
    AND nullif(btrim(NEW.full_name), '') IS DISTINCT FROM users_join_names(NEW.first_name, NEW.last_name)
)
EXECUTE FUNCTION users_full_to_names();

-- The new version changed a name.
CREATE TRIGGER users_full_to_names_update
BEFORE UPDATE OF full_name ON users
FOR EACH ROW WHEN (nullif(btrim(NEW.full_name), '') IS DISTINCT FROM users_join_names(NEW.first_name, NEW.last_name))
EXECUTE FUNCTION users_full_to_names();
