//! An environment's overlay put onto the application.

use cutover_model::{Diagnostic, EnvironmentName};

use crate::{Application, Overlay, spelling};

impl Application {
    /// The application in one environment; `environments` is empty then. Maps are merged by key, everything else
    /// replaces. `production` needs no overlay.
    ///
    /// # Errors
    /// `spec.unknown-environment` lists those that there are.
    pub fn for_environment(&self, name: &EnvironmentName) -> Result<Self, Diagnostic> {
        let mut effective = self.clone();
        let overlays = std::mem::take(&mut effective.environments);
        match overlays.get(name) {
            Some(overlay) => effective.lay_over(overlay),
            None if *name == EnvironmentName::production() => {}
            None => return Err(unknown(name, overlays.keys())),
        }
        Ok(effective)
    }

    fn lay_over(&mut self, overlay: &Overlay) {
        for (name, database) in &overlay.databases {
            match self.databases.get_mut(name) {
                Some(own) => {
                    own.url.clone_from(&database.url);
                    if database.migrations.is_some() {
                        own.migrations.clone_from(&database.migrations);
                    }
                    if database.runner.is_some() {
                        own.runner.clone_from(&database.runner);
                    }
                    own.placeholders.extend(database.placeholders.clone());
                    own.statement_timeout = database.statement_timeout.or(own.statement_timeout);
                    own.lock_timeout = database.lock_timeout.or(own.lock_timeout);
                    own.lock_tries = database.lock_tries.or(own.lock_tries);
                    if !database.lint.is_empty() {
                        own.lint.clone_from(&database.lint);
                    }
                }
                None => {
                    self.databases.insert(name.clone(), database.clone());
                }
            }
        }
        for (name, changed) in &overlay.services {
            // A name that no service has is an error of validation.
            let Some(service) = self.services.get_mut(name) else {
                continue;
            };
            if let Some(replicas) = changed.replicas {
                service.replicas = replicas;
            }
            service.environment.extend(changed.environment.clone());
            if let Some(target) = &changed.target {
                service.target = target.clone();
            }
            if let Some(router) = &changed.router {
                service.router = Some(router.clone());
            }
        }
        if let Some(strategy) = &overlay.strategy {
            self.strategy = strategy.clone();
        }
        if let Some(gates) = &overlay.gates {
            self.gates = gates.clone();
        }
        if let Some(contract) = overlay.contract {
            self.contract = contract;
        }
        if let Some(channel) = overlay.channel {
            self.channel = channel;
        }
        if let Some(requires) = &overlay.requires {
            self.requires = Some(requires.clone());
        }
    }
}

fn unknown<'a>(name: &EnvironmentName, known: impl Iterator<Item = &'a EnvironmentName>) -> Diagnostic {
    let production = EnvironmentName::production();
    let mut names: Vec<&str> = known.map(EnvironmentName::as_str).collect();
    if !names.contains(&production.as_str()) {
        names.push(production.as_str());
    }
    names.sort_unstable();
    let error = Diagnostic::error(
        "spec.unknown-environment",
        format!("there is no environment named `{name}`"),
    )
    .note("known", spelling::listed(&names))
    .help("cutover schema environments");
    match spelling::nearest(name.as_str(), names) {
        Some(near) => error.label(format!("did you mean `{near}`?")),
        None => error,
    }
}
