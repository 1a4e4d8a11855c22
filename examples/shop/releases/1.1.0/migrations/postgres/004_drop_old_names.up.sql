-- cutover: phase=contract retires=1.1.0
-- cutover: irreversible reason=first_name and last_name are gone; restore a backup to get them back
-- cutover: end-sync table=users new=full_name
-- Drops first_name and last_name, and before them the triggers.
ALTER TABLE users DROP COLUMN first_name;
ALTER TABLE users DROP COLUMN last_name;
