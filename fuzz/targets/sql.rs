//! A migration file on each database: its statements stand in it where they say, and it can be linted, whatever it is.
#![no_main]

use cutover_sql::lint::{Input, Prior, lint};
use cutover_sql::{Dialect, split};

libfuzzer_sys::fuzz_target!(|source: &str| {
    for dialect in [
        Dialect::Postgres,
        Dialect::Mysql,
        Dialect::MariaDb,
        Dialect::Sqlite,
        Dialect::MongoDb,
    ] {
        if let Ok(statements) = split(dialect, source) {
            for statement in &statements {
                assert!(
                    source[statement.byte_offset..].starts_with(&statement.text),
                    "{dialect:?}"
                );
            }
        }
        lint(&Input {
            dialect,
            version: None,
            prior: &Prior::default(),
            file: "fuzz.up.sql",
            source,
            transaction: None,
        });
    }
});
