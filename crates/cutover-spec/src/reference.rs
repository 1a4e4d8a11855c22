//! References within values: `${env:NAME}`, `${file:path}`, `${service:name.url}`; `$${` is a literal `${`.
//!
//! They are only read here. Whoever acts resolves them, at the last moment, and what they stand for is never stored.

use std::fmt;

use cutover_model::{Diagnostic, ServiceName};

use crate::spelling;

/// Something that stands for a value which the acting process finds out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// `${env:NAME}`: an environment variable of the acting process.
    Env(String),
    /// `${file:path}`: the text of a file, without its last line break.
    File(String),
    /// `${service:name.url}`: where another service is reached.
    ServiceUrl(ServiceName),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "${{env:{name}}}"),
            Self::File(path) => write!(f, "${{file:{path}}}"),
            Self::ServiceUrl(name) => write!(f, "${{service:{name}.url}}"),
        }
    }
}

impl Reference {
    /// Whether what it stands for may be a secret.
    pub(crate) const fn is_secret(&self) -> bool {
        matches!(self, Self::Env(_) | Self::File(_))
    }
}

/// A `${…}` that is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a reference: {cause}")]
pub(crate) struct InvalidReference {
    /// As written.
    pub(crate) text: String,
    /// What is wrong with it.
    pub(crate) cause: String,
    /// What was probably meant.
    pub(crate) meant: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Text(String),
    Reference(Reference),
    Invalid(InvalidReference),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            literal.push_str(&rest[..at - 1]);
            literal.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        literal.push_str(&rest[..at]);
        if !literal.is_empty() {
            found.push(Token::Text(std::mem::take(&mut literal)));
        }
        let Some(end) = rest[at..].find('}') else {
            // What follows the name may be a password: it is not repeated.
            let name = rest[at + 2..]
                .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, ':' | '_')))
                .unwrap_or(rest.len() - at - 2);
            let name = &rest[at + 2..at + 2 + name];
            let name: Vec<&str> = name.splitn(3, ':').take(2).collect();
            found.push(Token::Invalid(InvalidReference {
                text: format!("${{{}", name.join(":")),
                cause: "the closing `}` is missing".to_owned(),
                meant: None,
            }));
            return found;
        };
        let inner = &rest[at + 2..at + end];
        found.push(match reference(inner) {
            Ok(reference) => Token::Reference(reference),
            Err(invalid) => Token::Invalid(invalid),
        });
        rest = &rest[at + end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        found.push(Token::Text(literal));
    }
    found
}

fn reference(inner: &str) -> Result<Reference, InvalidReference> {
    let refuse = |cause: &str, meant: Option<String>| InvalidReference {
        text: format!("${{{inner}}}"),
        cause: cause.to_owned(),
        meant,
    };
    let variable = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    let Some((kind, rest)) = inner.split_once(':') else {
        let meant = variable(inner).then(|| format!("${{env:{inner}}}"));
        return Err(refuse("it begins with none of env:, file:, service:", meant));
    };
    match kind {
        "env" if variable(rest) => Ok(Reference::Env(rest.to_owned())),
        "env" => Err(refuse("that is no name of an environment variable", None)),
        "file" if !rest.is_empty() => Ok(Reference::File(rest.to_owned())),
        "file" => Err(refuse("the path is missing", None)),
        "service" => {
            let name = rest.strip_suffix(".url").ok_or_else(|| {
                let bare = rest.split('.').next().unwrap_or(rest);
                refuse(
                    "of a service only its url can be had",
                    Some(format!("${{service:{bare}.url}}")),
                )
            })?;
            name.parse()
                .map(Reference::ServiceUrl)
                .map_err(|_| refuse("that is no name of a service", None))
        }
        other => Err(refuse(
            "it begins with none of env:, file:, service:",
            spelling::nearest(other, ["env", "file", "service"]).map(|near| format!("${{{near}:{rest}}}")),
        )),
    }
}

/// The references within a text, in order. What is no valid reference is not among them.
#[must_use]
pub fn references(text: &str) -> Vec<Reference> {
    tokens(text)
        .into_iter()
        .filter_map(|token| match token {
            Token::Reference(reference) => Some(reference),
            Token::Text(_) | Token::Invalid(_) => None,
        })
        .collect()
}

/// Every `${…}` within a text that is no reference and not written `$${…}`.
pub(crate) fn invalid_references(text: &str) -> Vec<InvalidReference> {
    tokens(text)
        .into_iter()
        .filter_map(|token| match token {
            Token::Invalid(invalid) => Some(invalid),
            Token::Text(_) | Token::Reference(_) => None,
        })
        .collect()
}

/// The text with each reference replaced by what it stands for. What came from a reference is not read again, so a
/// secret that holds `${` stays as it is.
///
/// # Errors
/// `spec.unresolved-reference` for the first reference that nobody knows, `spec.invalid-reference` for one that is
/// none. Neither repeats any resolved value.
pub fn resolve(text: &str, lookup: &dyn Fn(&Reference) -> Option<String>) -> Result<String, Diagnostic> {
    let mut resolved = String::with_capacity(text.len());
    for token in tokens(text) {
        match token {
            Token::Text(text) => resolved.push_str(&text),
            Token::Reference(reference) => {
                resolved.push_str(&lookup(&reference).ok_or_else(|| unresolved(&reference))?);
            }
            Token::Invalid(invalid) => {
                return Err(Diagnostic::error("spec.invalid-reference", invalid.to_string()));
            }
        }
    }
    Ok(resolved)
}

fn unresolved(reference: &Reference) -> Diagnostic {
    let (message, next) = match reference {
        Reference::Env(name) => (
            format!("the environment variable `{name}` is not set, but {reference} is used"),
            format!("export {name}=…"),
        ),
        Reference::File(path) => (
            format!("the file `{path}` cannot be read, but {reference} is used"),
            format!("ls -l {path}"),
        ),
        Reference::ServiceUrl(name) => (
            format!("the service `{name}` has no address, but {reference} is used"),
            "cutover status".to_owned(),
        ),
    };
    Diagnostic::error("spec.unresolved-reference", message).help(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_in_order() {
        let text = "a ${env:A_1} b ${file:/run/x y} ${service:api.url}/p $${env:NO} $5 ${env:B}";
        assert_eq!(
            references(text)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["${env:A_1}", "${file:/run/x y}", "${service:api.url}", "${env:B}"]
        );
        assert!(invalid_references(text).is_empty());
    }

    #[test]
    fn what_is_no_reference_says_why_and_what_was_meant() {
        for (text, cause, meant) in [
            ("${HOME}", "none of", Some("${env:HOME}")),
            ("x ${evn:A}", "none of", Some("${env:A}")),
            ("${env:A", "closing", None),
            ("${env:}", "no name", None),
            ("${env:1A}", "no name", None),
            ("${file:}", "path is missing", None),
            ("${service:api}", "only its url", Some("${service:api.url}")),
            ("${service:api.port}", "only its url", Some("${service:api.url}")),
            ("${service:A.url}", "no name of a service", None),
            ("${}", "none of", None),
        ] {
            let invalid = invalid_references(text);
            assert_eq!(invalid.len(), 1, "{text}");
            assert!(invalid[0].cause.contains(cause), "{text}: {}", invalid[0]);
            assert_eq!(invalid[0].meant.as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn an_open_reference_does_not_repeat_what_follows() {
        let text = "postgres://${env:USER:hunter2@db/${env:PW";
        assert_eq!(invalid_references(text)[0].text, "${env:USER");
    }

    #[test]
    fn resolving_puts_values_in_once() {
        let lookup = |reference: &Reference| match reference {
            Reference::Env(name) if name == "A" => Some("${env:B}".to_owned()),
            Reference::ServiceUrl(name) => Some(format!("http://{name}")),
            _ => None,
        };
        assert_eq!(
            resolve("$${x} ${env:A} ${service:api.url}/$", &lookup).unwrap(),
            "${x} ${env:B} http://api/$"
        );
        let missing = resolve("${env:C}", &lookup).unwrap_err();
        assert_eq!(missing.code, "spec.unresolved-reference");
        assert_eq!(missing.help.as_deref(), Some("export C=…"));
        assert_eq!(
            resolve("${C}", &lookup).unwrap_err().code,
            "spec.invalid-reference"
        );
    }
}
