//! Who is asked by whom.

use std::sync::Arc;

use cutover_db::DatabaseUrl;
use cutover_model::{DatabaseName, Diagnostic, Provider};
use cutover_ports::{InstanceMetrics, PortError, QuerySource, Question};
use serde_json::Value;

use crate::command::Commands;
use crate::logs::Logs;
use crate::resources::Resources;
use crate::{HttpQueries, sql};

/// Where a database of the application is, looked up when it is asked.
pub type DatabaseOf = dyn Fn(&DatabaseName) -> Result<DatabaseUrl, Diagnostic> + Send + Sync;

/// All providers.
pub struct Providers {
    http: HttpQueries,
    databases: Box<DatabaseOf>,
    commands: Commands,
    logs: Logs,
    resources: Resources,
}

impl std::fmt::Debug for Providers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Providers").finish_non_exhaustive()
    }
}

impl Providers {
    /// Over HTTP, the databases of the application, commands, and what its instances write and use.
    #[must_use]
    pub fn new(
        http: HttpQueries,
        databases: Box<DatabaseOf>,
        commands: Commands,
        instances: Arc<dyn InstanceMetrics>,
    ) -> Self {
        Self {
            http,
            databases,
            commands,
            logs: Logs::new(Arc::clone(&instances)),
            resources: Resources::new(instances),
        }
    }
}

#[async_trait::async_trait]
impl QuerySource for Providers {
    async fn ask(&self, question: &Question<'_>) -> Result<Value, PortError> {
        match question.provider {
            Provider::Sql {
                database,
                query,
                timeout,
            } => {
                let url = (self.databases)(database).map_err(PortError::refused)?;
                sql::ask(database, &url, query, timeout.as_duration()).await
            }
            Provider::Command {
                command,
                environment,
                timeout,
            } => self.commands.run(question, command, environment, *timeout).await,
            Provider::Logs { pattern } => self.logs.count(question, pattern).await,
            Provider::Resources {} => self.resources.measure(question).await,
            over_http => self.http.ask(over_http).await,
        }
    }
}
