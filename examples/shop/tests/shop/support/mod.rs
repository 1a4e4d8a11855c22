//! What the tests share: migration files, databases, requests.
pub(crate) mod http;
pub(crate) mod migrations;
pub(crate) mod postgres;
pub(crate) mod process;

use std::path::Path;

use shop::{Config, Server};

/// A configuration for `version` on `database`, listening wherever the system chooses.
pub(crate) fn config(version: &str, database: &str) -> Config {
    Config::from_lookup(|name| match name {
        "PORT" => Some("0".to_owned()),
        "VERSION" => Some(version.to_owned()),
        "APP_ENVIRONMENT" => Some("blue".to_owned()),
        "TRACK" => Some("stable".to_owned()),
        "DATABASE_URL" => Some(database.to_owned()),
        _ => None,
    })
    .unwrap()
}

pub(crate) async fn serve(version: &str, database: &str) -> Server {
    Server::start(config(version, database)).await.unwrap()
}

pub(crate) fn sqlite_url(folder: &Path) -> String {
    format!("sqlite://{}/shop.db", folder.display())
}

/// A database in which 1.0.0 and 1.1.0 can both live, in a folder that goes when it is dropped.
pub(crate) async fn shared_database() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(folder.path());
    let direct = migrations::Direct::open(&url);
    for file in [
        "001_create_users.up.sql",
        "002_full_name.up.sql",
        "003_backfill_full_name.up.sql",
    ] {
        direct.apply(file).await;
    }
    (folder, url)
}
