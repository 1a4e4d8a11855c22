-- cutover: phase=expand
-- The table of users; a name is in two columns.
CREATE TABLE users (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    first_name TEXT,
    last_name  TEXT,
    email      TEXT
);
