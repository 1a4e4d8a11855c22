-- cutover: phase=expand
/* cutover: sync table=users old=first_name,last_name new=full_name
   up="nullif(trim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), '')"
   down="nullif(substr(trim(full_name), 1, instr(trim(full_name) || ' ', ' ') - 1), ''),
         nullif(substr(trim(full_name), instr(trim(full_name) || ' ', ' ') + 1), '')" */
-- Adds full_name and keeps it equal to first_name and last_name in both directions.
--
-- Versions that know only one side run beside each other: 1.0.0 writes the two old columns, 1.1.0 writes full_name. The
-- triggers that carry over are made by Cutover from the lines above, in this file's transaction.
-- full_name is split at its first space; joining the halves gives back exactly what was split.
ALTER TABLE users ADD COLUMN full_name TEXT;
