//! What is wrong with a directive of a header, as it is told. Pure.

use cutover_model::{Diagnostic, Location};
use cutover_sql::{Dialect, DirectiveError, DirectiveProblem};

pub(super) fn told(dialect: Dialect, name: &str, error: &DirectiveError, at: Location) -> Diagnostic {
    if let DirectiveProblem::MixedPhases(..) = error.problem {
        return Diagnostic::error("migrate.mixed-phase", format!("{name} mixes phases: {error}"))
            .at(at)
            .label("write a file for each phase: the earlier one runs while the old version still does")
            .help("cutover migrate new NAME --release VERSION --phase contract --retires VERSION");
    }
    let diagnostic = Diagnostic::error("migrate.directive", format!("{name}: {error}"))
        .at(at)
        .help("cutover migrate validate");
    match &error.problem {
        DirectiveProblem::Unknown {
            nearest: Some(nearest),
            ..
        } => diagnostic.label(format!("did you mean `{nearest}`?")),
        DirectiveProblem::Form(_) => diagnostic.label("write `cutover:`, in lower case, with the colon right behind it"),
        DirectiveProblem::Unknown { nearest: None, .. } if dialect == Dialect::MongoDb => diagnostic.label(
            "known are about, phase, retires, precheck, verify, irreversible, reviewed, timeout, ignore and commands",
        ),
        DirectiveProblem::Unknown { nearest: None, .. } => diagnostic.label(
            "known are phase=, adopted=, reviewed=, retires=, transaction=, timeout=, precheck, verify, irreversible reason=, sync, end-sync and backfill",
        ),
        _ => diagnostic,
    }
}
