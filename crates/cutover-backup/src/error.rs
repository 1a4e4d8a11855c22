//! What can go wrong with a backup.

use std::path::Path;

use cutover_db::DbError;
use cutover_model::Diagnostic;
use cutover_ports::PortError;

/// Why there is no backup, or why it is of no use.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("{path}: {cause}")]
    Folder { path: String, cause: String },
    #[error("{path} needs {needed} and its disk has {available} left")]
    DiskFull {
        path: String,
        needed: String,
        available: String,
    },
    #[error("{tool} is not installed")]
    ToolMissing { tool: String },
    #[error("{tool} failed: {said}")]
    ToolFailed { tool: String, said: String },
    #[error("{path} is damaged: {cause}")]
    Damaged { path: String, cause: String },
    #[error("{path} has format {format}, which this version of cutover does not know")]
    NewerFormat { path: String, format: u32 },
    #[error("there is no backup `{0}`")]
    Missing(String),
    #[error("the backup `{id}` is of {engine}, and {to} is not")]
    OtherEngine { id: String, engine: String, to: String },
    #[error("{what} is in use: {cause}")]
    InUse { what: String, cause: String },
    #[error("copying {what} failed: {cause}")]
    Copy { what: String, cause: String },
    #[error("a newer controller has made a backup already: {0}")]
    Stale(String),
    #[error("{0}: backups of MongoDB are not made here")]
    Unsupported(String),
    #[error("there is no database `{0}`")]
    UnknownDatabase(String),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl BackupError {
    pub(crate) fn folder(path: &Path, error: &std::io::Error) -> Self {
        Self::Folder {
            path: path.display().to_string(),
            cause: error.to_string(),
        }
    }

    fn diagnostic(&self) -> Diagnostic {
        let (code, help) = match self {
            Self::Db(error) => return error.diagnostic(),
            Self::Folder { .. } => ("backup.unwritable", "cutover check"),
            Self::DiskFull { .. } => ("backup.disk-full", "cutover backup prune"),
            Self::ToolMissing { tool } if tool.contains("mysql") => {
                ("backup.tool-missing", "apt-get install mariadb-client")
            }
            Self::ToolMissing { .. } => ("backup.tool-missing", "apt-get install postgresql-client"),
            Self::ToolFailed { .. } | Self::Copy { .. } => ("backup.failed", "cutover backup create"),
            Self::Damaged { .. } => ("backup.damaged", "cutover backup list"),
            Self::NewerFormat { .. } => ("backup.newer-format", "cutover --version"),
            Self::Missing(_) => ("backup.missing", "cutover backup list"),
            Self::OtherEngine { .. } => ("backup.other-engine", "cutover backup list"),
            Self::InUse { .. } => ("backup.in-use", "stop the application, then restore again"),
            Self::Unsupported(_) => ("backup.unsupported", "cutover schema backup"),
            Self::Stale(_) => ("fence.stale", "cutover status"),
            Self::UnknownDatabase(_) => ("db.unknown", "cutover check"),
        };
        Diagnostic::error(code, self.to_string()).help(help)
    }
}

impl From<BackupError> for PortError {
    fn from(error: BackupError) -> Self {
        // A backup that failed is removed; what was there before is untouched. A restore runs in one transaction.
        let transient = match &error {
            BackupError::Db(error) => error.is_transient(),
            BackupError::InUse { .. } => true,
            _ => false,
        };
        if transient {
            Self::transient(error.diagnostic())
        } else {
            Self::refused(error.diagnostic())
        }
    }
}
