//! From the text of a `cutover.yaml` to a valid [`Application`], or to everything that is wrong with it.

use cutover_model::{Diagnostic, Location, Severity};

use crate::document::{Document, Mark};
use crate::{Application, shape, validate};

/// A valid file, and what should be looked at in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The application, overlays not yet applied.
    pub application: Application,
    /// In the file's order.
    pub warnings: Vec<Diagnostic>,
}

/// The application that a text describes.
///
/// # Errors
/// Everything that is wrong with it, in the file's order, warnings included: as many independent errors as can be told
/// at once. Errors of shape hide those of meaning, since what cannot be read cannot be judged.
pub fn parse(file_name: &str, text: &str) -> Result<Application, Vec<Diagnostic>> {
    parse_with_warnings(file_name, text).map(|parsed| parsed.application)
}

/// Like [`parse`], with the warnings.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_warnings(file_name: &str, text: &str) -> Result<Parsed, Vec<Diagnostic>> {
    let document = Document::read(file_name, text).map_err(|error| vec![error])?;
    let mut misshapen = shape::check(&document);
    if !misshapen.is_empty() {
        in_order(&mut misshapen);
        return Err(misshapen);
    }
    let options = serde_saphyr::options! { emit_comments: false };
    let application: Application = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| vec![refused(&document, &error)])?;
    let mut found = validate::check(&document, &application);
    in_order(&mut found);
    if found.iter().any(|one| one.severity == Severity::Error) {
        return Err(found);
    }
    Ok(Parsed {
        application,
        warnings: found,
    })
}

/// Where the value at a path such as `databases.main.lint.allow[0]` stands in a text; none when it does not, or the text
/// cannot be read.
#[must_use]
pub fn place(file_name: &str, text: &str, path: &str) -> Option<Location> {
    Document::read(file_name, text).ok()?.value(path)
}

fn in_order(found: &mut [Diagnostic]) {
    found.sort_by_key(|one| {
        one.location
            .as_ref()
            .map_or((usize::MAX, 0), |place| (place.line, place.column))
    });
}

/// What serde refuses although it fits the schema.
fn refused(document: &Document, error: &serde_saphyr::Error) -> Diagnostic {
    let text = error.without_snippet().to_string();
    let message = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(message, _)| message);
    let refused = Diagnostic::error("spec.invalid-value", message).help("cutover schema");
    let place = error.location().and_then(|at| {
        Some(Mark {
            line: usize::try_from(at.line()).ok().filter(|line| *line > 0)?,
            column: usize::try_from(at.column()).ok()?.max(1),
            length: 1,
        })
    });
    match place {
        Some(mark) => refused.at(document.location(mark)),
        None => refused,
    }
}
