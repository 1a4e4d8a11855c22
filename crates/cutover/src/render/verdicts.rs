//! The analyses of an upgrade as lines: which, with which verdict, and why.

use cutover_analysis::{AnalysisState, Chart};
use cutover_model::{Action, AnalysisTemplate, Plan, Timestamp, Verdict};
use cutover_plan::{AnalysisNote, State};

/// An analysis and what came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged<'a> {
    /// Its name in the plan: `canary:well:api:9`, `background:well:api`.
    pub(crate) name: &'a str,
    /// What is known.
    pub(crate) note: &'a AnalysisNote,
    /// What was asked.
    template: &'a AnalysisTemplate,
}

/// A verdict, or that there was nothing to judge by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It was judged.
    Verdict(Verdict),
    /// It was there, and measured nothing.
    NoData,
}

impl serde::Serialize for Judgement {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Verdict(verdict) => verdict.serialize(to),
            Self::NoData => to.serialize_str("NoData"),
        }
    }
}

impl Judged<'_> {
    /// The name for people: the template and the service.
    pub(crate) fn words(&self) -> String {
        analysis_words(self.name)
    }

    /// What it said; a background analysis that never failed has held.
    pub(crate) const fn verdict(&self) -> &'static str {
        match self.note.verdict {
            Some(verdict) => verdict.word(),
            None => "no objection",
        }
    }

    /// The verdict; none for a background analysis that has measured something and not objected.
    pub(crate) fn judgement(&self) -> Option<Judgement> {
        match (self.note.verdict, self.unjudged()) {
            (Some(verdict), _) => Some(Judgement::Verdict(verdict)),
            (None, Some(_)) => Some(Judgement::NoData),
            (None, None) => None,
        }
    }

    /// Why it has said nothing, not even that there is no objection: too few requests, and no measurement that ended.
    pub(crate) fn unjudged(&self) -> Option<String> {
        if self.note.verdict.is_some() {
            return None;
        }
        let state: AnalysisState = serde_json::from_str(&self.note.state).ok()?;
        let (requests, _) = state.exposed();
        let needed = self.template.min_requests.max(1);
        (!state.has_measured() && requests < needed)
            .then(|| format!("{requests} of {}", super::words::count(needed, "request")))
    }

    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.note.verdict, Some(Verdict::Failed | Verdict::Error))
    }
}

/// The name of an analysis for people: the template, the service, and when, unless it runs in the background.
pub(crate) fn analysis_words(name: &str) -> String {
    let mut parts = name.split(':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("stable"), Some(service), None) => format!("the stable version of {service}"),
        (Some("background"), Some(template), Some(service)) => format!("{template} of {service}"),
        (Some(when), Some(template), Some(service)) => format!("{template} of {service}, {when}"),
        _ => name.to_owned(),
    }
}

/// All that were measured, in the order of the plan: background ones first.
pub(crate) fn judged<'a>(plan: &'a Plan, state: &'a State) -> Vec<Judged<'a>> {
    let guards = plan.guards.iter().map(|guard| (&guard.name, &guard.template));
    let steps = plan.steps.iter().filter_map(|step| match &step.action {
        Action::Analyze { name, template, .. } => Some((name, template)),
        _ => None,
    });
    guards
        .chain(steps)
        .filter_map(|(name, template)| {
            Some(Judged {
                name,
                note: state.analyses.get(name)?,
                template,
            })
        })
        .collect()
}

/// The course of the analysis that decided, to be drawn, and what it said.
pub(crate) fn decided(plan: &Plan, state: &State) -> Option<(Chart, String)> {
    let one = deciding(plan, state)?;
    let known: AnalysisState = serde_json::from_str(&one.note.state).ok()?;
    let sentence = format!("{}: {}; {}", one.words(), one.verdict(), one.note.because);
    Some((known.chart(one.note.verdict), sentence))
}

/// The analysis that turned the upgrade back, or else the one that was measured last.
pub(crate) fn deciding<'a>(plan: &'a Plan, state: &'a State) -> Option<Judged<'a>> {
    let all = judged(plan, state);
    let last = |one: &Judged<'_>| -> Timestamp { one.note.at };
    all.iter()
        .copied()
        .find(Judged::is_bad)
        .or_else(|| all.into_iter().max_by_key(last))
}
