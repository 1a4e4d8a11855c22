-- Moments are RFC 3339 texts; values with a type of their own (plans, events, releases, holders) are JSON.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row an environment, never deleted: the generation only grows.
CREATE TABLE lease (
    environment TEXT PRIMARY KEY,
    generation  INTEGER NOT NULL,
    holder      TEXT,
    until       TEXT,
    CHECK ((holder IS NULL) = (until IS NULL))
) STRICT, WITHOUT ROWID;

-- Immutable, by digest: environments share what is the same.
CREATE TABLE releases (
    id      TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    body    TEXT NOT NULL
) STRICT;

CREATE TABLE upgrades (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    environment  TEXT NOT NULL,
    from_version TEXT,
    to_version   TEXT NOT NULL,
    phase        TEXT NOT NULL,
    open         INTEGER NOT NULL CHECK (open IN (0, 1)),
    seq          INTEGER NOT NULL,
    plan         TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL
) STRICT;

-- Two upgrades of one environment at once are impossible, not only refused.
CREATE UNIQUE INDEX one_open_upgrade ON upgrades (environment) WHERE open = 1;
CREATE INDEX upgrades_by_environment ON upgrades (environment, number);

CREATE TABLE records (
    upgrade INTEGER NOT NULL REFERENCES upgrades (number),
    seq     INTEGER NOT NULL,
    at      TEXT NOT NULL,
    event   TEXT NOT NULL,
    PRIMARY KEY (upgrade, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE promotions (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    environment TEXT NOT NULL,
    release     TEXT NOT NULL,
    version     TEXT NOT NULL,
    upgrade     INTEGER NOT NULL REFERENCES upgrades (number),
    at          TEXT NOT NULL
) STRICT;

CREATE INDEX promotions_by_environment ON promotions (environment, number);
