//! Where findings about the meaning of a file are gathered, each with its place, its path and a command.

use cutover_model::{Diagnostic, EnvironmentName, Location};

use crate::document::{Document, join, parent, without_indices};

/// What was found so far, in the file as it stands or as one environment changes it.
pub(crate) struct Findings<'a> {
    document: &'a Document,
    environment: Option<&'a EnvironmentName>,
    found: Vec<Diagnostic>,
    /// Where secrets stand.
    secrets: Vec<Location>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(document: &'a Document) -> Self {
        Self {
            document,
            environment: None,
            found: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// From here on, paths are looked for in this environment first.
    pub(crate) fn within(&mut self, environment: &'a EnvironmentName) {
        self.environment = Some(environment);
    }

    /// All of them. A line that holds a secret may be shown for something else that is wrong on it: then with stars.
    pub(crate) fn into_found(mut self) -> Vec<Diagnostic> {
        for place in self
            .found
            .iter_mut()
            .filter_map(|finding| finding.location.as_mut())
        {
            for secret in self.secrets.iter().filter(|secret| secret.line == place.line) {
                let (from, until) = (secret.column - 1, secret.column - 1 + secret.length);
                // The line of its own finding ends before it.
                if place.text.chars().count() < until {
                    continue;
                }
                let shown = place.text.chars().enumerate();
                let covered = shown.map(|(at, c)| if (from..until).contains(&at) { '*' } else { c });
                place.text = covered.collect();
            }
        }
        self.found
    }

    /// An error about the value at a path.
    pub(crate) fn error(&mut self, code: &str, path: &str, message: impl Into<String>) -> Entry<'_> {
        self.add(Diagnostic::error(code, message), path, Document::value)
    }

    /// An error about the key at the end of a path.
    pub(crate) fn key_error(&mut self, code: &str, path: &str, message: impl Into<String>) -> Entry<'_> {
        self.add(Diagnostic::error(code, message), path, Document::key)
    }

    /// A warning about the value at a path.
    pub(crate) fn warning(&mut self, code: &str, path: &str, message: impl Into<String>) -> Entry<'_> {
        self.add(Diagnostic::warning(code, message), path, Document::value)
    }

    /// A warning about the key at a path.
    pub(crate) fn key_warning(&mut self, code: &str, path: &str, message: impl Into<String>) -> Entry<'_> {
        self.add(Diagnostic::warning(code, message), path, Document::key)
    }

    fn add(
        &mut self,
        finding: Diagnostic,
        path: &str,
        place: fn(&Document, &str) -> Option<Location>,
    ) -> Entry<'_> {
        let (written, location) = self.place(path, place);
        let at = written.clone();
        let mut finding = match self.environment {
            // The place alone would not say that only this environment makes it wrong.
            Some(name) if written == path => finding.note("environment", name.as_str()),
            _ => finding,
        };
        finding = finding
            .note("path", written)
            .help(format!("cutover schema {}", without_indices(path)));
        finding.location = location;
        // What an environment has in common with the rest of the file is said once.
        let known = self.found.iter().any(|other| {
            other.code == finding.code
                && other.message == finding.message
                && other.location == finding.location
        });
        if !known {
            self.found.push(finding);
        }
        Entry {
            finding: if known { None } else { self.found.last_mut() },
            value: self.document.value(&at),
            secrets: &mut self.secrets,
        }
    }

    /// Where a path is written: in the environment, else in the file, else what is around it.
    fn place(
        &self,
        path: &str,
        place: fn(&Document, &str) -> Option<Location>,
    ) -> (String, Option<Location>) {
        let mut around = Some(path);
        while let Some(at) = around {
            let overlaid = self
                .environment
                .map(|name| join(&format!("environments.{name}"), at));
            for written in overlaid.iter().map(String::as_str).chain([at]) {
                let found = if at == path {
                    place(self.document, written).or_else(|| self.document.value(written))
                } else {
                    self.document.key(written)
                };
                if found.is_some() {
                    let full = match &overlaid {
                        Some(overlaid) if overlaid == written => self
                            .environment
                            .map_or_else(String::new, |name| format!("environments.{name}.{path}")),
                        _ => path.to_owned(),
                    };
                    return (full, found);
                }
            }
            around = parent(at).filter(|parent| !parent.is_empty());
        }
        (path.to_owned(), self.document.value(""))
    }
}

/// The finding just added, to say more about it; empty when it was known already.
pub(crate) struct Entry<'a> {
    finding: Option<&'a mut Diagnostic>,
    value: Option<Location>,
    secrets: &'a mut Vec<Location>,
}

impl Entry<'_> {
    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        self.maybe_label(Some(label.into()))
    }

    /// The value that follows is a secret: the line is shown up to its key only, and never with it.
    pub(crate) fn without_value(mut self) -> Self {
        self.secrets.extend(self.value.take());
        if let Some(place) = self
            .finding
            .as_mut()
            .and_then(|finding| finding.location.as_mut())
        {
            let until = (place.column + place.length).saturating_sub(1);
            place.text = place.text.chars().take(until).chain(": …".chars()).collect();
        }
        self
    }

    pub(crate) fn maybe_label(mut self, label: Option<String>) -> Self {
        if let (Some(finding), Some(label)) = (&mut self.finding, label) {
            finding.label = Some(label);
        }
        self
    }

    pub(crate) fn note(mut self, key: &str, value: impl Into<String>) -> Self {
        if let Some(finding) = &mut self.finding {
            finding.notes.push((key.to_owned(), value.into()));
        }
        self
    }
}
