//! MongoDB for migrations, by its official driver: commands go out and answers come back as texts in Extended JSON.
//!
//! A crate of its own because the driver is heavy: the binary has it with its feature `full`. It must not know of migrations,
//! files or histories.

mod error;

use std::sync::Arc;
use std::time::Duration;

use cutover_ports::{CommandDriver, CommandError, CommandPlace, CommandSession};
use mongodb::bson::Document;
use mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};

/// How long a server is looked for where the address does not say `serverSelectionTimeoutMS`.
const LOOK: Duration = Duration::from_secs(10);

/// One for the command that runs, one that keeps the lease meanwhile, and one to spare.
const CONNECTIONS: u32 = 3;

/// The driver.
#[derive(Debug, Clone, Copy, Default)]
pub struct MongoDb;

#[async_trait::async_trait]
impl CommandDriver for MongoDb {
    async fn open(&self, address: &str) -> Result<Arc<dyn CommandSession>, CommandError> {
        let mut options = ClientOptions::parse(address)
            .await
            .map_err(|error| CommandError::Address(error::words(&error)))?;
        options.server_selection_timeout.get_or_insert(LOOK);
        options.app_name.get_or_insert_with(|| "cutover".to_owned());
        options.max_pool_size = Some(CONNECTIONS);
        let Some(name) = options.default_database.clone() else {
            return Err(CommandError::Address("it names no database".to_owned()));
        };
        let client =
            Client::with_options(options).map_err(|error| CommandError::Address(error::words(&error)))?;
        Ok(Arc::new(Session {
            own: client.database(&name),
            admin: client.database("admin"),
        }))
    }
}

struct Session {
    own: Database,
    admin: Database,
}

#[async_trait::async_trait]
impl CommandSession for Session {
    async fn run(&self, place: CommandPlace, command: &str) -> Result<String, CommandError> {
        // By way of serde the order of keys stays, and Extended JSON is read as what it means.
        let command: Document =
            serde_json::from_str(command).map_err(|error| CommandError::NotOne(error.to_string()))?;
        let database = match place {
            CommandPlace::Own => &self.own,
            CommandPlace::Admin => &self.admin,
        };
        // Whatever the address says of reads: the history is read where it is written.
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let answered = database
            .run_command(command)
            .selection_criteria(primary)
            .await
            .map_err(|error| error::told(&error))?;
        serde_json::to_string(&answered)
            .map_err(|error| CommandError::Lost(format!("the answer cannot be read: {error}")))
    }
}
