//! What every command stands on: the file, the environment, the state folder and the store.

use std::path::{Path, PathBuf};

use cutover_model::{ApplicationName, Diagnostic, EnvironmentName, StoreId};
use cutover_spec::Application;
use cutover_store::SqliteStore;

use crate::cli::Globals;
use crate::failure::Failure;
use crate::render::{self, Printer};
use crate::state_dir::StateDir;

/// What every command stands on.
pub(crate) struct Context {
    /// As given.
    pub(crate) globals: Globals,
    /// Where everything is printed.
    pub(crate) printer: Printer,
    /// The file, absolute.
    pub(crate) config: PathBuf,
    /// The application's name.
    pub(crate) name: ApplicationName,
    /// The environment.
    pub(crate) environment: EnvironmentName,
    /// Where the state lies.
    pub(crate) state: StateDir,
    /// The state.
    pub(crate) store: SqliteStore,
    /// The application in its environment, or what is wrong with its file: what was stored can be taken back, paused
    /// and shown even then.
    application: Result<Application, Vec<Diagnostic>>,
}

impl Context {
    /// Reads the file and opens the state.
    pub(crate) fn open(globals: &Globals, printer: Printer) -> Result<Self, Failure> {
        let config = absolute(&globals.config)?;
        let text = read(&globals.config)?;
        let parsed = cutover_spec::parse_with_warnings(&globals.config.to_string_lossy(), &text);
        let (name, application) = match parsed {
            Ok(parsed) => {
                for warning in &parsed.warnings {
                    printer.talk(&render::diagnostic(warning, &printer.talk_style()));
                }
                let name = parsed.application.application.clone();
                (
                    name,
                    parsed
                        .application
                        .for_environment(&globals.env)
                        .map_err(|wrong| vec![wrong]),
                )
            }
            Err(found) => match name_in(&text) {
                Some(name) => (name, Err(found)),
                None => return Err(Failure::usage(found)),
            },
        };
        let state = StateDir::new(globals.state.as_deref(), &name, &globals.env)?;
        // What runs in an environment can be looked at and taken back even when the file no longer has it; a word that
        // was mistyped makes no folder.
        if let Err(found) = &application
            && found.iter().any(|one| one.code == "spec.unknown-environment")
            && !state.own().exists()
        {
            return Err(Failure::usage(found.clone()));
        }
        state.create()?;
        let new_id = || StoreId::new(uuid::Uuid::now_v7().to_string());
        let store = SqliteStore::open(&state.store(), globals.env.clone(), new_id)?;
        Ok(Self {
            globals: globals.clone(),
            printer,
            config,
            name,
            environment: globals.env.clone(),
            state,
            store,
            application,
        })
    }

    /// The application in its environment.
    pub(crate) fn application(&self) -> Result<&Application, Failure> {
        self.application
            .as_ref()
            .map_err(|found| Failure::usage(found.clone()))
    }

    /// The folder of the file: what relative paths in it are relative to.
    pub(crate) fn folder(&self) -> &Path {
        self.config.parent().unwrap_or_else(|| Path::new("/"))
    }

    /// The arguments by which another process finds the same application, environment and state.
    pub(crate) fn arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments: Vec<std::ffi::OsString> = vec!["--config".into(), self.config.clone().into()];
        arguments.extend(["--env".into(), self.environment.as_str().into()]);
        arguments.extend(["--state".into(), self.state.root().into()]);
        arguments
    }
}

/// A path that stays right when the folder changes.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new("config.unreadable", format!("{}: {error}", path.display()), "pwd"))
}

/// The text of the file.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let shown = path.display();
        if error.kind() == std::io::ErrorKind::NotFound {
            Failure::new("config.missing", format!("there is no {shown}"), "cutover init")
        } else {
            Failure::new(
                "config.unreadable",
                format!("cannot read {shown}: {error}"),
                format!("ls -l {shown}"),
            )
        }
        .with_exit(cutover_model::ExitCode::Usage)
    })
}

/// The application's name in a file that is otherwise wrong.
fn name_in(text: &str) -> Option<ApplicationName> {
    let rest = text.lines().find_map(|line| line.strip_prefix("application:"))?;
    let word = rest.split('#').next()?.trim().trim_matches(['"', '\'']);
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_found_in_a_wrong_file() {
        let name = |text: &str| name_in(text).map(|name| name.to_string());
        assert_eq!(
            name("x: [\napplication: \"shop\" # mine\n"),
            Some("shop".to_owned())
        );
        assert_eq!(name("services: {}\n"), None);
        assert_eq!(name("application: Not A Name\n"), None);
    }
}
