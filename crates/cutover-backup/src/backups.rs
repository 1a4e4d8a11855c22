//! The port, and what `cutover backup` does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use cutover_db::DatabaseUrl;
use cutover_model::{DatabaseName, Fence, UpgradeId};
use cutover_ports::{BackupReport, Backups, Clock, PortError};

use crate::error::BackupError;
use crate::folder::{self, BackupFolder};
use crate::postgres::Programs;
use crate::{Engine, FORMAT, Listing, Manifest, mysql, postgres, retention, space, sqlite};

/// The backups of an application's databases, in one folder.
#[derive(Clone)]
pub struct DatabaseBackups {
    folder: BackupFolder,
    keep: u32,
    databases: BTreeMap<DatabaseName, DatabaseUrl>,
    unfinished: BTreeSet<UpgradeId>,
    programs: Programs,
    clock: Arc<dyn Clock>,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// From which backup.
    pub manifest: Manifest,
    /// Tables that the backup does not know and that are still there, as `schema.table` (PostgreSQL). A migration that
    /// made one of them will find it when it runs again.
    pub left_over: Vec<String>,
}

impl fmt::Debug for DatabaseBackups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseBackups")
            .field("folder", &self.folder)
            .field("keep", &self.keep)
            .field("databases", &self.databases)
            .finish_non_exhaustive()
    }
}

impl DatabaseBackups {
    /// Backups in a folder, of which the newest `keep` per database stay.
    #[must_use]
    pub fn new(folder: PathBuf, keep: u32, clock: Arc<dyn Clock>) -> Self {
        Self {
            folder: BackupFolder::new(folder),
            keep,
            databases: BTreeMap::new(),
            unfinished: BTreeSet::new(),
            programs: None,
            clock,
        }
    }

    /// Adds a database.
    #[must_use]
    pub fn with(mut self, name: DatabaseName, url: DatabaseUrl) -> Self {
        self.databases.insert(name, url);
        self
    }

    /// Upgrades that are not finished: their backups are never pruned.
    #[must_use]
    pub fn protecting(mut self, unfinished: impl IntoIterator<Item = UpgradeId>) -> Self {
        self.unfinished.extend(unfinished);
        self
    }

    /// Takes the database's own programs (`pg_dump`, `mariadb-dump` and the like) from a folder instead of the path.
    #[must_use]
    pub fn programs(mut self, folder: PathBuf) -> Self {
        self.programs = Some(folder);
        self
    }

    /// Makes and verifies a backup because a person asked for it, and prunes.
    ///
    /// # Errors
    /// When there is no room, the database cannot be read, or the copy does not verify.
    pub async fn create_now(&self, database: &DatabaseName) -> Result<Manifest, PortError> {
        let made = self.make(database, None).await?;
        self.prune_around(&made)?;
        Ok(made)
    }

    /// The backups of one database or of all, the newest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self, database: Option<&DatabaseName>) -> Result<Listing, PortError> {
        Ok(self.folder.list(database)?)
    }

    /// Proves that a backup is whole: size, checksum, and that it can be read.
    ///
    /// # Errors
    /// `backup.damaged` with what is wrong with it.
    pub async fn verify(&self, id: &str) -> Result<Manifest, PortError> {
        let manifest = self.folder.find(id)?;
        self.verify_manifest(&manifest).await?;
        Ok(manifest)
    }

    /// Puts a backup, verified before, in the place of what its database holds now, in one transaction
    /// where the database can; or into another database of the same kind.
    ///
    /// # Errors
    /// When it is damaged, of another kind, or the database is in use.
    pub async fn restore(&self, id: &str, into: Option<&DatabaseUrl>) -> Result<Restored, PortError> {
        let manifest = self.folder.find(id)?;
        self.verify_manifest(&manifest).await?;
        let mut left_over = Vec::new();
        let url = match into {
            Some(url) => url,
            None => self.url(&manifest.database)?,
        };
        let data = self.folder.data(&manifest);
        match (manifest.engine, url) {
            (Engine::Sqlite, DatabaseUrl::Sqlite(url)) => {
                let (to, rows) = (url.path.clone(), manifest.rows.clone());
                blocking(move || sqlite::restore(&data, &to, &rows)).await?;
            }
            (Engine::Postgres, DatabaseUrl::Postgres(url)) => {
                postgres::restore(&self.programs, &data, url).await?;
                left_over = postgres::left_over(&self.programs, &data, url).await?;
            }
            (Engine::Mysql, DatabaseUrl::Mysql(url)) => {
                left_over = mysql::restore(&self.programs, &data, url).await?;
            }
            (engine, url) => {
                return Err(BackupError::OtherEngine {
                    id: manifest.id,
                    engine: engine.to_string(),
                    to: url.to_string(),
                }
                .into());
            }
        }
        Ok(Restored { manifest, left_over })
    }

    /// Removes what the retention does not keep, of one database or of all, and answers what it removed.
    ///
    /// # Errors
    /// When the folder cannot be read or a file not be removed.
    pub fn prune(&self, database: Option<&DatabaseName>) -> Result<Vec<Manifest>, PortError> {
        let all = self.folder.list(database)?.backups;
        let names: BTreeSet<&DatabaseName> = all.iter().map(|backup| &backup.database).collect();
        let mut removed = Vec::new();
        for name in names {
            let own: Vec<Manifest> = all
                .iter()
                .filter(|backup| backup.database == *name)
                .cloned()
                .collect();
            for backup in retention::to_prune(&own, self.keep, &self.unfinished) {
                self.folder.remove(backup)?;
                removed.push(backup.clone());
            }
        }
        Ok(removed)
    }

    fn url(&self, database: &DatabaseName) -> Result<&DatabaseUrl, BackupError> {
        self.databases
            .get(database)
            .ok_or_else(|| BackupError::UnknownDatabase(database.to_string()))
    }

    async fn verify_manifest(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let (folder, own) = (self.folder.clone(), manifest.clone());
        blocking(move || {
            folder.verify_checksum(&own)?;
            match own.engine {
                Engine::Sqlite => sqlite::verify(&folder.data(&own), &own.rows),
                Engine::Postgres => Ok(()),
                Engine::Mysql => mysql::verify(&folder.data(&own)),
            }
        })
        .await?;
        match manifest.engine {
            Engine::Sqlite | Engine::Mysql => Ok(()),
            Engine::Postgres => postgres::verify(&self.programs, &self.folder.data(manifest)).await,
        }
    }

    async fn make(
        &self,
        database: &DatabaseName,
        owner: Option<(&Fence, &UpgradeId)>,
    ) -> Result<Manifest, BackupError> {
        let url = self.url(database)?;
        self.folder.prepare()?;
        self.folder.tidy(database)?;
        let now = self.clock.now();
        let id = self.folder.new_id(database, now);
        let (engine, server, size) = match url {
            DatabaseUrl::Sqlite(url) => (Engine::Sqlite, sqlite::server(), sqlite::size(&url.path)),
            DatabaseUrl::Postgres(url) => {
                let (server, size) = postgres::about(url).await?;
                (Engine::Postgres, server, size)
            }
            DatabaseUrl::Mysql(url) => {
                let (server, size) = mysql::about(url).await?;
                (Engine::Mysql, server, size)
            }
            DatabaseUrl::Mongo(url) => return Err(BackupError::Unsupported(url.to_string())),
        };
        space::ensure(self.folder.path(), space::needed(size))?;
        let draft = Manifest {
            format: FORMAT,
            file: format!("{id}.{}", engine.extension()),
            id,
            database: database.clone(),
            engine,
            server,
            source: url.to_string(),
            created_at: now,
            bytes: 0,
            sha256: String::new(),
            upgrade: owner.map(|(_, upgrade)| upgrade.clone()),
            store: owner.map(|(fence, _)| fence.store.clone()),
            generation: owner.map(|(fence, _)| fence.generation),
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            rows: BTreeMap::new(),
        };
        let made = self.fill(url, draft).await;
        if made.is_err() {
            // On a full disk, half a backup is in the way of everything else.
            self.folder.tidy(database)?;
        }
        made
    }

    /// Writes the data, reads it back, and then the manifest: only what was read back whole becomes a backup.
    async fn fill(&self, url: &DatabaseUrl, draft: Manifest) -> Result<Manifest, BackupError> {
        let partial = self.folder.begin(&draft.file)?;
        let rows = match url {
            DatabaseUrl::Sqlite(url) => {
                let (from, to) = (url.path.clone(), partial.clone());
                blocking(move || sqlite::copy(&from, &to)).await?
            }
            DatabaseUrl::Postgres(url) => {
                postgres::dump(&self.programs, url, &partial).await?;
                BTreeMap::new()
            }
            DatabaseUrl::Mysql(url) => {
                mysql::dump(&self.programs, url, &partial).await?;
                BTreeMap::new()
            }
            DatabaseUrl::Mongo(url) => return Err(BackupError::Unsupported(url.to_string())),
        };
        let measured = partial.clone();
        let (bytes, sha256) = blocking(move || folder::checksum(&measured)).await?;
        let manifest = Manifest {
            bytes,
            sha256,
            rows,
            ..draft
        };
        self.folder.finish(&partial, &manifest.file)?;
        self.verify_manifest(&manifest).await?;
        self.folder.write_manifest(&manifest)?;
        Ok(manifest)
    }

    /// A controller that was replaced must not make backups, which prune others.
    fn check_fence(own: &[Manifest], fence: &Fence) -> Result<(), BackupError> {
        let newer = own.iter().find(|backup| {
            backup.store.as_ref() == Some(&fence.store)
                && backup.generation.is_some_and(|found| found > fence.generation)
        });
        newer.map_or(Ok(()), |backup| Err(BackupError::Stale(backup.id.clone())))
    }

    fn prune_around(&self, made: &Manifest) -> Result<(), PortError> {
        let mut protecting = self.clone();
        protecting.unfinished.extend(made.upgrade.clone());
        for pruned in protecting.prune(Some(&made.database))? {
            tracing::info!(backup = pruned.id, "pruned");
        }
        Ok(())
    }

    fn report(&self, manifest: &Manifest) -> BackupReport {
        BackupReport {
            path: self.folder.data(manifest).display().to_string(),
            bytes: manifest.bytes,
        }
    }
}

#[async_trait::async_trait]
impl Backups for DatabaseBackups {
    async fn create(
        &self,
        fence: &Fence,
        database: &DatabaseName,
        upgrade: &UpgradeId,
    ) -> Result<BackupReport, PortError> {
        let own = self.folder.list(Some(database))?.backups;
        Self::check_fence(&own, fence)?;
        for manifest in &own {
            if manifest.upgrade.as_ref() != Some(upgrade) {
                continue;
            }
            match self.verify_manifest(manifest).await {
                Ok(()) => return Ok(self.report(manifest)),
                Err(BackupError::Damaged { path, cause }) => {
                    tracing::warn!(path, cause, "a backup of this upgrade is damaged; making another");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let made = self.make(database, Some((fence, upgrade))).await?;
        self.prune_around(&made)?;
        Ok(self.report(&made))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(BackupError::Copy {
            what: "a database".to_owned(),
            cause: format!("the work ended early: {error}"),
        }),
    }
}
