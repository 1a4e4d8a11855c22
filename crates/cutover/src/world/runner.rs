//! The tools that migrate databases instead of files: what they are run with.

use std::collections::BTreeMap;
use std::ffi::OsString;

use cutover_db::DatabaseUrl;
use cutover_migrate::RunnerTool;
use cutover_model::{DatabaseName, Diagnostic, Version, passwords};
use cutover_spec::{Application, Database, Runner, references};

use crate::context::Context;
use crate::lookup::Lookup;
use crate::release::database_url;

/// What an instance finds of whoever's environment it was started in; a tool that runs like one finds the same.
const PASSED_ON: [&str; 9] = [
    "HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER",
];

/// Shorter values are on and off, not secrets: to cover them would make a text unreadable.
const SHORTEST_SECRET: usize = 4;

/// The tool of a database, with the files of a release. `application` has `{version}` put in.
pub(crate) fn tool(
    ctx: &Context,
    application: &Application,
    version: &Version,
    name: &DatabaseName,
    database: &Database,
    runner: &Runner,
) -> Result<RunnerTool, Diagnostic> {
    let lookup = Lookup::new(ctx.folder(), application);
    let written = lookup.resolve(&database.url)?;
    let url = database_url(ctx.folder(), &lookup, name, &database.url)?;
    let mut found = Environment::default();
    let (directory, inherited) = match runner.service_in(application, name) {
        Some((_, _, process)) => (process.directory.as_deref(), true),
        None => (runner.directory.as_deref(), false),
    };
    for (key, value) in std::env::vars_os() {
        if !inherited || PASSED_ON.iter().any(|name| key == *name) {
            found.all.insert(key, value);
        }
    }
    found
        .all
        .insert("DATABASE_URL".into(), address(&written, &url).into());
    if let Some((_, service, _)) = runner.service_in(application, name) {
        found.all.insert("VERSION".into(), version.to_string().into());
        found.all.insert("APP_VERSION".into(), version.to_string().into());
        found.add(&lookup, &service.environment)?;
    }
    found.add(&lookup, &runner.environment)?;
    let mut secrets = found.secrets;
    secrets.extend(passwords(&written).into_iter().map(str::to_owned));
    let password = match &url {
        DatabaseUrl::Sqlite(_) => None,
        DatabaseUrl::Postgres(url) => url
            .password()
            .map(|text| String::from_utf8_lossy(text).into_owned()),
        DatabaseUrl::Mysql(url) => url.password().map(str::to_owned),
        DatabaseUrl::Mongo(url) => url.password().map(str::to_owned),
    };
    secrets.extend(password);
    Ok(RunnerTool {
        release: version.clone(),
        commands: runner.commands(),
        timeout: runner.timeout,
        directory: directory.map_or_else(|| ctx.folder().to_owned(), |own| ctx.folder().join(own)),
        environment: found.all,
        secrets,
        folder: ctx.state.own().join("runners"),
    })
}

#[derive(Default)]
struct Environment {
    all: BTreeMap<OsString, OsString>,
    secrets: Vec<String>,
}

impl Environment {
    /// Adds variables; what stood elsewhere than in the file counts as secret.
    fn add(&mut self, lookup: &Lookup<'_>, written: &BTreeMap<String, String>) -> Result<(), Diagnostic> {
        for (name, text) in written {
            let value = lookup.resolve(text)?;
            if !references(text).is_empty() && value.len() >= SHORTEST_SECRET {
                self.secrets.push(value.clone());
            }
            self.all.insert(name.into(), value.into());
        }
        Ok(())
    }
}

/// A database's address in the form that most tools read: `postgresql://`, and an absolute path of SQLite.
fn address(written: &str, url: &DatabaseUrl) -> String {
    match url {
        DatabaseUrl::Sqlite(url) => format!("sqlite:///{}", url.path.display()),
        DatabaseUrl::Postgres(_) => match written.strip_prefix("postgres://") {
            Some(rest) => format!("postgresql://{rest}"),
            None => written.to_owned(),
        },
        DatabaseUrl::Mysql(_) | DatabaseUrl::Mongo(_) => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_the_form_that_most_tools_read() {
        let of = |text: &str| {
            let url: DatabaseUrl = text.parse().unwrap();
            address(text, &url.relative_to(std::path::Path::new("/srv/shop")))
        };
        assert_eq!(
            of("postgres://u:p@h/d?sslmode=disable"),
            "postgresql://u:p@h/d?sslmode=disable"
        );
        assert_eq!(of("postgresql://u@h/d"), "postgresql://u@h/d");
        assert_eq!(of("sqlite:shop.db"), "sqlite:////srv/shop/shop.db");
        assert_eq!(of("mysql://u@h/d"), "mysql://u@h/d");
    }
}
