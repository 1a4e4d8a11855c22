//! What references stand for. Only the process that acts asks, at the last moment.

use std::collections::BTreeMap;
use std::path::Path;

use cutover_model::{Diagnostic, ServiceName};
use cutover_spec::{Application, Reference};

/// Looks references up for one application.
pub(crate) struct Lookup<'a> {
    folder: &'a Path,
    application: &'a Application,
}

impl<'a> Lookup<'a> {
    /// `folder` is what `${file:}` is relative to.
    pub(crate) const fn new(folder: &'a Path, application: &'a Application) -> Self {
        Self { folder, application }
    }

    /// A text with its references replaced.
    pub(crate) fn resolve(&self, text: &str) -> Result<String, Diagnostic> {
        cutover_spec::resolve(text, &|reference| self.find(reference))
    }

    /// The environment of a service, resolved.
    pub(crate) fn environment(
        &self,
        environment: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Diagnostic> {
        environment
            .iter()
            .map(|(name, value)| Ok((name.clone(), self.resolve(value)?)))
            .collect()
    }

    fn find(&self, reference: &Reference) -> Option<String> {
        match reference {
            Reference::ServiceUrl(name) => self.url(name),
            other => outside(self.folder, other),
        }
    }

    /// Where the clients of a service connect, whatever revision answers.
    fn url(&self, name: &ServiceName) -> Option<String> {
        let router = self.application.services.get(name)?.router.as_ref()?;
        // Who listens everywhere is reached here.
        let listen = router.listen();
        let reached = listen
            .strip_prefix("0.0.0.0:")
            .map(|port| format!("127.0.0.1:{port}"));
        Some(format!("http://{}", reached.as_deref().unwrap_or(listen)))
    }
}

/// What a reference stands for where there is no application: a variable of this process, or a file.
pub(crate) fn outside(folder: &Path, reference: &Reference) -> Option<String> {
    match reference {
        Reference::Env(name) => std::env::var(name).ok(),
        Reference::File(path) => {
            let text = std::fs::read_to_string(folder.join(path)).ok()?;
            let text = text
                .strip_suffix('\n')
                .map(|text| text.strip_suffix('\r').unwrap_or(text))
                .unwrap_or(&text);
            Some(text.to_owned())
        }
        Reference::ServiceUrl(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
apiVersion: cutover/v1
application: shop
services:
  api:
    target: {process: {command: [./api], ports: 20000-20010}}
    router: {proxy: {listen: \"0.0.0.0:8080\"}}
";

    #[test]
    fn files_and_services_are_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "pass ${word}\n").unwrap();
        let application = cutover_spec::parse("cutover.yaml", FILE).unwrap();
        let lookup = Lookup::new(folder.path(), &application);
        assert_eq!(lookup.resolve("<${file:secret}>").unwrap(), "<pass ${word}>");
        assert_eq!(
            lookup.resolve("${service:api.url}/x").unwrap(),
            "http://127.0.0.1:8080/x"
        );
        assert_eq!(
            lookup.resolve("${file:none}").unwrap_err().code,
            "spec.unresolved-reference"
        );
    }
}
