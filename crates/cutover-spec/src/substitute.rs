//! `{version}` put in.

use cutover_model::Version;

use crate::{Application, Service, Target};

impl Application {
    /// The application at a version: `{version}` is put into commands, directories, environment values, migration
    /// folders, runners and the changelog's path. Overlays that were not chosen yet are left as they are.
    #[must_use]
    pub fn at_version(&self, version: &Version) -> Self {
        let version = version.to_string();
        let put = |text: &mut String| {
            if text.contains("{version}") {
                *text = text.replace("{version}", &version);
            }
        };
        let mut at = self.clone();
        at.services
            .values_mut()
            .for_each(|service| in_service(service, &put));
        for database in at.databases.values_mut() {
            database.migrations.iter_mut().for_each(&put);
            if let Some(runner) = &mut database.runner {
                for command in [&mut runner.up, &mut runner.down, &mut runner.current] {
                    command.iter_mut().for_each(&put);
                }
                runner.directory.iter_mut().for_each(&put);
                runner.environment.values_mut().for_each(&put);
            }
        }
        at.changelog.iter_mut().for_each(&put);
        at
    }
}

fn in_service(service: &mut Service, put: &impl Fn(&mut String)) {
    let Target::Process(process) = &mut service.target;
    process.command.iter_mut().for_each(put);
    process.directory.iter_mut().for_each(put);
    service.environment.values_mut().for_each(put);
}
