-- cutover: phase=backfill
-- cutover: verify SELECT count(*) FROM users WHERE nullif(trim(full_name), '') IS NOT nullif(trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), '')
-- Fills full_name in the rows that are older than the triggers.
--
-- Values are compared, not only NULLs: should the triggers ever have been missing for a while, this repairs what the
-- old version wrote in that time.
UPDATE users
   SET full_name = nullif(trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), '')
 WHERE nullif(trim(full_name), '') IS NOT nullif(trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), '');
