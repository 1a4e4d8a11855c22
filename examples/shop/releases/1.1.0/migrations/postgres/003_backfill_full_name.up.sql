-- cutover: phase=backfill
-- cutover: verify SELECT count(*) FROM users WHERE nullif(btrim(full_name), '') IS DISTINCT FROM users_join_names(first_name, last_name)
-- Fills full_name in the rows that are older than the triggers.
--
-- Values are compared, not only NULLs: should the triggers ever have been missing for a while, this repairs what the
-- old version wrote in that time.
UPDATE users
   SET full_name = users_join_names(first_name, last_name)
 WHERE nullif(btrim(full_name), '') IS DISTINCT FROM users_join_names(first_name, last_name);
