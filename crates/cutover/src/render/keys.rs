//! Which key asks for what, by where the upgrade stands. Pure: the terminal is read in `live`.

use cutover_model::{Action, Command, Plan, UpgradePhase};
use cutover_plan::{Doing, State};

use super::text::{Line, Tone};

/// What a person at the terminal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Something that goes into the journal.
    Command(Command),
    /// Stop watching; the upgrade is taken on by whoever comes next.
    Detach,
    /// Not now: the gate stays unanswered, the candidate stays, exit code 4.
    Leave,
}

/// What is being asked of the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Asking {
    /// Nothing: the keys of the moment.
    #[default]
    Nothing,
    /// Whether an abort is meant: one key is pressed too easily.
    Abort,
    /// What Ctrl-C is to mean.
    Interrupt,
}

/// A key, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// A letter, in lower case.
    Letter(char),
    /// Escape.
    Escape,
    /// Ctrl-C.
    Interrupt,
}

struct Offer {
    key: char,
    words: &'static str,
    ask: Ask,
}

const fn offer(key: char, words: &'static str, command: Command) -> Offer {
    Offer {
        key,
        words,
        ask: Ask::Command(command),
    }
}

fn can_abort(state: &State) -> bool {
    !state.phase.is_final() && !state.is_back() && !state.contract_begun && state.abort_requested.is_none()
}

fn offers(plan: &Plan, state: &State) -> Vec<Offer> {
    if state.phase.is_final() {
        return Vec::new();
    }
    let mut offers = Vec::new();
    let action = state.step(plan).map(|step| &step.action);
    let timed = matches!(
        action,
        Some(Action::Pause { duration: Some(_) } | Action::Soak { .. } | Action::Analyze { .. })
    );
    if state.stuck.is_some() || (matches!(state.doing, Doing::Failed { .. }) && !state.is_back()) {
        offers.push(offer('t', "try again", Command::Retry));
    } else if matches!(state.doing, Doing::Unknown { .. }) {
        offers.push(offer('y', "it was done", Command::MarkDone));
        offers.push(offer('n', "it was not", Command::MarkNotDone));
    } else if state.phase == UpgradePhase::WaitingForGate {
        let yes = match action {
            Some(Action::Approve { .. } | Action::Window { .. } | Action::Call { .. }) => Command::Approve,
            _ => Command::Promote,
        };
        offers.push(offer('y', "yes, go on", yes));
        offers.push(Offer {
            key: 'n',
            words: "not now",
            ask: Ask::Leave,
        });
    } else if state.paused.is_some() {
        offers.push(offer('r', "resume", Command::Resume));
    } else if !state.is_back() {
        if timed && matches!(state.doing, Doing::Running { .. }) {
            offers.push(offer('g', "go on now", Command::Promote));
        }
        offers.push(offer('p', "pause", Command::Pause));
    }
    if can_abort(state) {
        offers.push(offer('a', "abort", Command::Abort));
    }
    offers.push(Offer {
        key: 'd',
        words: "detach",
        ask: Ask::Detach,
    });
    offers
}

/// What a key does: what is asked of the person next, and what the person asks for.
pub(crate) fn press(plan: &Plan, state: &State, asking: Asking, key: Key) -> (Asking, Option<Ask>) {
    if key == Key::Interrupt {
        // A second Ctrl-C means: away from here. Nothing is left half done by it.
        return match asking {
            Asking::Interrupt => (Asking::Nothing, Some(Ask::Detach)),
            Asking::Nothing | Asking::Abort => (Asking::Interrupt, None),
        };
    }
    let abort = Some(Ask::Command(Command::Abort));
    match (asking, key) {
        (Asking::Interrupt, Key::Letter('d')) => (Asking::Nothing, Some(Ask::Detach)),
        (Asking::Interrupt, Key::Letter('a')) if can_abort(state) => (Asking::Nothing, abort),
        (Asking::Abort, Key::Letter('y')) if can_abort(state) => (Asking::Nothing, abort),
        (Asking::Interrupt | Asking::Abort, _) | (Asking::Nothing, Key::Escape | Key::Interrupt) => {
            (Asking::Nothing, None)
        }
        (Asking::Nothing, Key::Letter('a')) if can_abort(state) => (Asking::Abort, None),
        (Asking::Nothing, Key::Letter(letter)) => {
            let found = offers(plan, state).into_iter().find(|offer| offer.key == letter);
            (Asking::Nothing, found.map(|offer| offer.ask))
        }
    }
}

/// The line that says which keys there are.
pub(crate) fn hints(plan: &Plan, state: &State, asking: Asking) -> Line {
    let mut line = Line::indent(2);
    let mut add = |key: &str, words: &str| {
        let before = std::mem::take(&mut line);
        line = before
            .tone(Tone::Strong, &format!("[{key}]"))
            .plain(&format!(" {words}  "));
    };
    match asking {
        Asking::Nothing => {
            for offer in offers(plan, state) {
                add(&offer.key.to_string(), offer.words);
            }
        }
        Asking::Abort => {
            let back = plan.from.as_ref().map_or_else(
                || "remove the candidate".to_owned(),
                |from| format!("back to {from}"),
            );
            add("y", &format!("abort: {back}"));
            add("n", "no, go on");
        }
        Asking::Interrupt => {
            add("d", "detach, `cutover watch` comes back");
            if can_abort(state) {
                add("a", "abort");
            }
            add("Esc", "go on");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;

    #[test]
    fn an_abort_is_asked_twice_and_ctrl_c_gives_a_choice() {
        let (plan, state) = fixtures::shifting();
        let press = |asking, key| press(&plan, &state, asking, key);
        let abort = Some(Ask::Command(Command::Abort));
        assert_eq!(press(Asking::Nothing, Key::Letter('a')), (Asking::Abort, None));
        assert_eq!(press(Asking::Abort, Key::Letter('y')), (Asking::Nothing, abort));
        assert_eq!(press(Asking::Abort, Key::Letter('n')), (Asking::Nothing, None));
        assert_eq!(press(Asking::Nothing, Key::Interrupt), (Asking::Interrupt, None));
        assert_eq!(
            press(Asking::Interrupt, Key::Letter('a')),
            (Asking::Nothing, abort)
        );
        assert_eq!(
            press(Asking::Interrupt, Key::Letter('d')),
            (Asking::Nothing, Some(Ask::Detach))
        );
        assert_eq!(
            press(Asking::Interrupt, Key::Interrupt),
            (Asking::Nothing, Some(Ask::Detach))
        );
        assert_eq!(press(Asking::Interrupt, Key::Escape), (Asking::Nothing, None));
        assert_eq!(press(Asking::Nothing, Key::Letter('x')), (Asking::Nothing, None));
        let go_on = Some(Ask::Command(Command::Promote));
        assert_eq!(press(Asking::Nothing, Key::Letter('g')), (Asking::Nothing, go_on));
    }

    #[test]
    fn a_gate_takes_yes_or_not_now() {
        let (plan, state) = fixtures::at_gate();
        let press = |letter| press(&plan, &state, Asking::Nothing, Key::Letter(letter));
        assert_eq!(press('y').1, Some(Ask::Command(Command::Approve)));
        assert_eq!(press('n').1, Some(Ask::Leave));
    }

    #[test]
    fn past_a_contract_and_on_the_way_back_there_is_no_abort() {
        let (plan, mut state) = fixtures::shifting();
        state.contract_begun = true;
        assert_eq!(
            press(&plan, &state, Asking::Nothing, Key::Letter('a')),
            (Asking::Nothing, None)
        );
        assert_eq!(
            press(&plan, &state, Asking::Interrupt, Key::Letter('a')),
            (Asking::Nothing, None)
        );
        let run = fixtures::caught();
        assert_eq!(
            press(&run.plan, &run.state, Asking::Nothing, Key::Letter('a')),
            (Asking::Nothing, None)
        );
    }
}
