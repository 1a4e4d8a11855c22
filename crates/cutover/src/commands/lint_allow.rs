//! What `cutover.yaml` allows in the migrations that are linted: `databases.NAME.lint.allow`.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use cutover_model::{DatabaseName, Severity};
use cutover_spec::{Application, LintException};
use cutover_sql::lint::{Finding, RULES};

use super::lint::Source;
use crate::cli::Globals;
use crate::context;
use crate::failure::Failure;

/// The application whose files are linted.
pub(super) struct Project {
    /// `cutover.yaml`, as people name it.
    file: Source,
    /// Where it lies.
    folder: PathBuf,
    application: Application,
    /// Entries that left something out: which of which database.
    used: BTreeSet<(DatabaseName, usize)>,
}

impl Project {
    /// None: there is no `cutover.yaml` here, and nobody named one.
    ///
    /// # Errors
    /// The file is wrong, so what it allows cannot be told.
    pub(super) fn open(globals: &Globals) -> Result<Option<Self>, Failure> {
        if globals.config == Path::new("cutover.yaml") && !globals.config.exists() {
            return Ok(None);
        }
        let file = Source {
            name: globals.config.display().to_string(),
            text: context::read(&globals.config)?,
        };
        let application = cutover_spec::parse(&file.name, &file.text)
            .and_then(|all| all.for_environment(&globals.env).map_err(|wrong| vec![wrong]))
            .map_err(Failure::usage)?;
        let config = context::absolute(&globals.config)?;
        Ok(Some(Self {
            file,
            folder: config.parent().map(Path::to_owned).unwrap_or_default(),
            application,
            used: BTreeSet::new(),
        }))
    }

    /// Takes out what is allowed.
    pub(super) fn leave_out(&mut self, findings: &mut Vec<Finding>) -> Result<(), Failure> {
        let mut kept = Vec::new();
        for finding in findings.drain(..) {
            let path = context::absolute(Path::new(&finding.file))?;
            match self.allows(&finding.rule, &path) {
                Some(entry) => {
                    self.used.insert(entry);
                }
                None => kept.push(finding),
            }
        }
        *findings = kept;
        Ok(())
    }

    /// The rules that may find something in a file.
    pub(super) fn allowed(&self, file: &Path) -> Result<Vec<&'static str>, Failure> {
        let path = context::absolute(file)?;
        Ok(RULES
            .iter()
            .map(|rule| rule.id)
            .filter(|rule| self.allows(rule, &path).is_some())
            .collect())
    }

    fn allows(&self, rule: &str, path: &Path) -> Option<(DatabaseName, usize)> {
        let within = within(&self.folder, path);
        let databases = self.databases_of(path.parent()?);
        databases.into_iter().find_map(|name| {
            Some((
                name.clone(),
                self.application.databases[name].lint.allows(rule, &within)?,
            ))
        })
    }

    /// Whose migrations lie in a folder.
    fn databases_of(&self, folder: &Path) -> Vec<&DatabaseName> {
        let databases = self.application.databases.iter();
        databases
            .filter(|(_, database)| {
                let place = database.migrations.as_ref().map(|place| self.folder.join(place));
                place.is_some_and(|place| is_place(&place, folder))
            })
            .map(|(name, _)| name)
            .collect()
    }

    /// Entries that left nothing out although all files of their database were looked at, each as a note.
    pub(super) fn unused(&self, arguments: &[PathBuf], sources: &[Source]) -> Result<Vec<Finding>, Failure> {
        let mut out = Vec::new();
        for folder in arguments.iter().filter(|argument| argument.is_dir()) {
            let folder = context::absolute(folder)?;
            let mut paths = Vec::new();
            for source in sources {
                let path = context::absolute(Path::new(&source.name))?;
                if path.parent() == Some(&*folder) {
                    paths.push(within(&self.folder, &path));
                }
            }
            for name in self.databases_of(&folder) {
                let allow = &self.application.databases[name].lint.allow;
                for (at, entry) in allow.iter().enumerate() {
                    // One for other folders says nothing about this one.
                    let meant = paths.iter().any(|path| entry.is_for(path));
                    let is_used = self.used.contains(&(name.clone(), at));
                    let note = self.note(name, at, entry);
                    if meant && !is_used && !out.contains(&note) {
                        out.push(note);
                    }
                }
            }
        }
        Ok(out)
    }

    fn note(&self, name: &DatabaseName, at: usize, entry: &LintException) -> Finding {
        let path = format!("databases.{name}.lint.allow[{at}]");
        let place = cutover_spec::place(&self.file.name, &self.file.text, &path);
        let (line, column) = place.map_or((1, 1), |place| (place.line, place.column));
        let lines = self.file.text.split_inclusive('\n');
        let before: usize = lines.clone().take(line - 1).map(str::len).sum();
        let own = lines.clone().nth(line - 1).unwrap_or_default();
        let start = before + own.chars().take(column - 1).map(char::len_utf8).sum::<usize>();
        let end = before + own.trim_end().len();
        let rule = RULES.iter().find(|rule| rule.id == "suppression");
        Finding {
            rule: "suppression".to_owned(),
            family: rule.map_or(cutover_sql::lint::Family::Correctness, |rule| rule.family),
            severity: Severity::Note,
            file: self.file.name.clone(),
            line,
            column,
            statement: own.trim().to_owned(),
            message: format!(
                "{path} leaves out nothing: no file here is found by {}",
                entry.rule
            ),
            help: "take the entry out".to_owned(),
            fix: None,
            span: start..end.max(start),
        }
    }

    /// `cutover.yaml`, for showing a place in it.
    pub(super) fn into_source(self) -> Source {
        self.file
    }
}

/// A path from the folder of `cutover.yaml`, with `/`; one outside stays as it is.
fn within(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}

/// Whether a folder is the one that `migrations` names, for some version.
fn is_place(place: &Path, folder: &Path) -> bool {
    let parts = |path: &Path| -> Vec<String> {
        path.components()
            .filter(|part| *part != Component::CurDir)
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect()
    };
    let (place, folder) = (parts(place), parts(folder));
    place.len() == folder.len()
        && place
            .iter()
            .zip(&folder)
            .all(|(place, own)| match place.split_once("{version}") {
                None => place == own,
                Some((before, after)) => {
                    own.len() > before.len() + after.len() && own.starts_with(before) && own.ends_with(after)
                }
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_any_version_is_a_databases_own() {
        let place = Path::new("/shop/./releases/v{version}/migrations");
        for (folder, expected) in [
            ("/shop/releases/v1.1.0/migrations", true),
            ("/shop/releases/v/migrations", false),
            ("/shop/releases/v1.1.0", false),
            ("/shop/releases/1.1.0/migrations", false),
            ("/shop/releases/v1.1.0/x/migrations", false),
        ] {
            assert_eq!(is_place(place, Path::new(folder)), expected, "{folder}");
        }
    }
}
