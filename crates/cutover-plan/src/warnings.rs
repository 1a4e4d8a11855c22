//! What a plan warns of: it can be carried out, and somebody should know.

use cutover_model::{Action, Desired, Guard, Metric, Span};

use crate::input::PlanInput;
use crate::shape::Shape;

/// Revisions that run, and not as many of them as are recorded.
pub(crate) fn not_ready(input: &PlanInput<'_>, initial: &Desired) -> Vec<String> {
    let mut warnings = Vec::new();
    for (revision, want) in &initial.0 {
        let ready = input
            .instances
            .iter()
            .filter(|one| one.revision == *revision && one.is_ready())
            .count();
        if ready < want.replicas as usize {
            warnings.push(format!(
                "{} {}: {ready} of {} instances are ready; the others are started first",
                revision.service, revision.version, want.replicas
            ));
        }
    }
    warnings
}

/// Background analyses that are over before they have measured once. What fails hard is seen without that.
pub(crate) fn never_measured(shape: &Shape<'_>) -> Vec<String> {
    // None where a person ends one of them: it may last as long as they like.
    let watched = |guard: &Guard| -> Option<u64> {
        let steps = shape.steps.iter();
        let steps = steps.filter(|step| step.id > guard.after && step.id <= guard.until);
        steps
            .map(|step| match step.action {
                Action::Pause { duration } => duration.map(Span::as_millis),
                Action::Soak { duration } => Some(duration.as_millis()),
                _ => Some(0),
            })
            .sum()
    };
    let mut warnings = Vec::new();
    for guard in shape.guards.iter().filter(|guard| !guard.watches_stable()) {
        // The sequential test looks all the time.
        let looks = |metric: &Metric| matches!(metric, Metric::Sequential { .. });
        if guard.template.metrics.iter().any(looks) {
            continue;
        }
        let needed = guard.template.interval.as_millis() + guard.template.initial_delay.as_millis();
        if let Some(time) = watched(guard).filter(|time| *time < needed) {
            warnings.push(format!(
                "the analysis {} measures after {}, and all pauses together last {}: it sees only what is clear at once",
                guard.name.trim_start_matches("background:"),
                Span::from_millis(needed),
                Span::from_millis(time)
            ));
        }
    }
    warnings
}
