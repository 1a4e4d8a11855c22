//! Measurements: counters in, an assessment into the journal.

use cutover_analysis::{AnalysisState, Mode, Reading, measure, queries_due};
use cutover_model::{Action, AnalysisTemplate, Event, RevisionId, Verdict, Weight};
use cutover_plan::AnalysisNote;
use cutover_ports::Question;

use crate::EngineError;
use crate::engine::{Engine, Tick};

impl Engine {
    /// Takes one reading of an analysis. What ends a measurement is journalled; looks in between are kept in memory only,
    /// because all they hold is counted again after a restart.
    pub(crate) async fn measure(
        &mut self,
        name: String,
        template: &AnalysisTemplate,
        candidate: &RevisionId,
        stable: Option<&RevisionId>,
        inline: bool,
    ) -> Result<Tick, EngineError> {
        let note = self.state.analyses.get(&name);
        let state: AnalysisState = note
            .and_then(|note| serde_json::from_str(&note.state).ok())
            .unwrap_or_else(|| self.evidence_so_far(candidate));
        let now = self.world.clock.now();
        let watches_stable = stable == Some(candidate);
        let mut reading = self.reading(candidate, stable).await;
        if let Ok(reading) = &mut reading {
            let since = state.measuring_since().unwrap_or(now);
            for provider in queries_due(template, &state, now) {
                let question = Question {
                    provider: &provider.about(candidate, stable),
                    candidate,
                    stable: stable.filter(|_| !watches_stable),
                    since,
                };
                let answer = self.world.queries.ask(&question).await;
                reading.answers.push(answer.map_err(|error| error.to_string()));
            }
        }
        let mode = if inline { Mode::Inline } else { Mode::Background };
        let first = note.is_none();
        let (state, mut seen) = measure(template, mode, state, reading, now);
        if watches_stable {
            // None of these reached a candidate.
            (seen.requests, seen.errors, seen.hard) = (0, 0, false);
        }
        let state = serde_json::to_string(&state).unwrap_or_default();
        let changed = note.is_some_and(|note| note.verdict != seen.verdict);
        let note = AnalysisNote {
            at: now,
            next: seen.next,
            verdict: seen.verdict,
            because: seen.because,
            requests: seen.requests,
            errors: seen.errors,
            hard: seen.hard,
            state,
        };
        if first || seen.measured || changed {
            self.append(&[note.measured(name)]).await?;
        } else {
            self.state.analyses.insert(name, note);
        }
        Ok(Tick::Moved)
    }

    /// What the router has counted by now, for the journal: a report must not depend on who watched. Nothing where nobody's
    /// requests move; and when the router does not answer, nothing waits for it.
    pub(crate) async fn counted(&self) -> Option<Event> {
        let mut moved = self.plan.services.iter();
        if !moved.any(|change| change.from != change.to && change.listen.is_some()) {
            return None;
        }
        match self.world.metrics.totals().await {
            Ok(counts) => Some(Event::Counted { counts }),
            Err(error) => {
                tracing::debug!(%error, "not counted");
                None
            }
        }
    }

    /// An analysis that begins goes on with the evidence of the same candidate's others, read last: the stated chance of a
    /// false alarm is that of one upgrade. One that failed was overruled by a person, who asked for a new start.
    fn evidence_so_far(&self, candidate: &RevisionId) -> AnalysisState {
        let inline = self.plan.steps.iter().filter_map(|step| match &step.action {
            Action::Analyze {
                name, candidate: of, ..
            } => Some((name, of)),
            _ => None,
        });
        let guards = self
            .plan
            .guards
            .iter()
            .map(|guard| (&guard.name, &guard.candidate));
        let mut notes: Vec<&AnalysisNote> = inline
            .chain(guards)
            .filter(|(_, of)| *of == candidate)
            .filter_map(|(name, _)| self.state.analyses.get(name))
            .filter(|note| matches!(note.verdict, None | Some(Verdict::Successful)))
            .collect();
        notes.sort_by_key(|note| note.at);
        let states = notes
            .into_iter()
            .filter_map(|note| serde_json::from_str(&note.state).ok());
        states.fold(AnalysisState::default(), |begun, other| begun.continuing(&other))
    }

    async fn reading(&self, candidate: &RevisionId, stable: Option<&RevisionId>) -> Result<Reading, String> {
        let watches_stable = stable == Some(candidate);
        let metrics = &self.world.metrics;
        let said = |error: cutover_ports::PortError| error.to_string();
        // The candidate first: what happens between the two then speaks for it.
        let counted = metrics.counters(candidate).await.map_err(said)?;
        let stable = match stable {
            Some(stable) => Some(metrics.counters(stable).await.map_err(said)?),
            None => None,
        };
        // To who watches the old version the first change of the schema is the switch.
        let weight = if watches_stable {
            let mut begun = self.plan.steps.iter().take(self.state.begun);
            let changed = begun.any(|step| matches!(step.action, Action::Migrate { .. }));
            if changed { Weight::ALL } else { Weight::NONE }
        } else {
            self.state.desired.weight(candidate)
        };
        Ok(Reading {
            candidate: counted,
            stable,
            candidate_share: f64::from(weight.parts()) / 10_000.0,
            answers: Vec::new(),
        })
    }
}
