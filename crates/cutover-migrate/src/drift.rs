//! The database beside what its migrations produce, and a desired schema beside what the files produce.

use cutover_model::DatabaseName;
use cutover_ports::PortError;
use cutover_sql::catalog::{Catalog, Change, changes};
use cutover_sql::split;

use crate::databases::{Known, what};
use crate::placeholders::Values;
use crate::scratch::{self, Part};
use crate::{MigrateDatabases, MigrationFile};

/// A file's statements as they are on an empty database: a backfill in batches has nothing to do there.
fn part(known: &Known, file: &MigrationFile) -> Part {
    let statements = match &file.batched {
        Some(_) => Vec::new(),
        None => file.up.statements.iter().map(|one| one.text.clone()).collect(),
    };
    Part {
        name: file.up.name.clone(),
        statements,
        values: known.values.clone(),
    }
}

impl MigrateDatabases {
    /// How the database differs from what the migrations that it has on record produce: each change leads from what is
    /// expected to what was found. Nothing is changed; a scratch database is made and removed.
    ///
    /// # Errors
    /// When the database cannot be read, when one of those files has a fault, or when they cannot be run on a scratch database.
    pub async fn drift(&self, database: &DatabaseName) -> Result<Vec<Change>, PortError> {
        let what = what(database);
        let observed = self.look(database).await?;
        let known = self.find(database)?;
        let mut parts = Vec::new();
        for row in observed.history.iter().filter(|row| row.complete) {
            let same = known.files.iter().find(|file| row.is_of(&file.migration));
            if same.is_none() {
                known.refuse_faulty(&row.id)?;
            }
            let named = || known.files.iter().find(|file| file.migration.id == row.id);
            // Of a file that runs again the text of today stands for the one that ran.
            let again = || {
                let mut all = known.files.iter();
                all.find(|file| row.id.is_repeatable() && file.migration.id.base() == row.id.base())
            };
            let file = same.or_else(named).or_else(again);
            parts.extend(file.map(|file| part(known, file)));
        }
        let expected = scratch::produced(&what, &known.url, parts).await?;
        let mut found = scratch::live(&what, &known.url).await?;
        // One that no file makes may be the server's own.
        found
            .others
            .retain(|name, _| name.kind != "extension" || expected.others.contains_key(name));
        Ok(changes(&expected, &found))
    }

    /// What the database holds now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn live(&self, database: &DatabaseName) -> Result<Catalog, PortError> {
        scratch::live(&what(database), &self.find(database)?.url).await
    }

    /// Whose SQL the database speaks.
    ///
    /// # Errors
    /// When there is no database of that name.
    pub fn dialect(&self, database: &DatabaseName) -> Result<cutover_sql::Dialect, PortError> {
        Ok(self.find(database)?.url.dialect())
    }

    /// What all files of the database produce, applied or not.
    ///
    /// # Errors
    /// When they cannot be run on a scratch database.
    pub async fn produced(&self, database: &DatabaseName) -> Result<Catalog, PortError> {
        let known = self.find(database)?;
        let parts = known.files.iter().map(|file| part(known, file)).collect();
        scratch::produced(&what(database), &known.url, parts).await
    }

    /// What a text of statements produces, as the desired schema that files are written for.
    ///
    /// # Errors
    /// When it cannot be split, or not be run on a scratch database.
    pub async fn desired(
        &self,
        database: &DatabaseName,
        name: &str,
        text: &str,
    ) -> Result<Catalog, PortError> {
        let known = self.find(database)?;
        let statements = split(known.url.dialect(), text).map_err(|error| {
            PortError::refused(
                cutover_model::Diagnostic::error("migrate.unparsable", format!("{name}: {error}"))
                    .at(cutover_sql::locate(name, text, error.byte_offset, 1))
                    .help("cutover migrate validate"),
            )
        })?;
        let part = Part {
            name: name.to_owned(),
            statements: statements.into_iter().map(|one| one.text).collect(),
            values: Values::default(),
        };
        scratch::produced(&what(database), &known.url, vec![part]).await
    }
}
