//! Where windows and webhooks stand in a plan.
//!
//! An upgrade is held up by them; a rollback asks nobody and only tells that it has happened. On the way back of an
//! aborted upgrade there is no window and no gate at all.

use cutover_model::{Action, HookPoint, Stage, StepId, WayBack};

use crate::shape::Shape;

impl Shape<'_> {
    /// Before anything is touched: the window, then who must confirm.
    pub(crate) fn gates_before_all(&mut self, back: &WayBack) {
        if !self.gated {
            return;
        }
        if let Some(window) = &self.target.application.gates.window {
            let refuse = window.outside == cutover_model::Outside::Refuse;
            self.window(refuse, back);
        }
        self.call(HookPoint::ConfirmRollout, back);
    }

    /// Before a shift to the candidate, the first of all or the last: who is told and who must confirm.
    pub(crate) fn hooks_before_shift(&mut self, first: bool, last: bool, back: &WayBack) {
        if !self.gated {
            return;
        }
        if first {
            self.call(HookPoint::PreRollout, back);
        }
        self.call(HookPoint::ConfirmTrafficIncrease, back);
        if last {
            self.call(HookPoint::ConfirmPromotion, back);
        }
    }

    /// The window before a shift or a contract, where it is asked for: it is the last gate, because the others may take
    /// their time.
    pub(crate) fn window_before_shift(&mut self, back: &WayBack) {
        let each = |window: &cutover_model::Window| window.each_shift;
        if self.gated && self.target.application.gates.window.as_ref().is_some_and(each) {
            self.window(false, back);
        }
    }

    /// All gates before a shift. An analysis in the background begins after them: until then the candidate has no
    /// requests.
    pub(crate) fn gates_before_shift(&mut self, first: bool, last: bool, back: &WayBack) {
        let before = self.next_id();
        self.hooks_before_shift(first, last, back);
        self.window_before_shift(back);
        let after = self.next_id();
        if first && after != before {
            for guard in self.guards.iter_mut().filter(|guard| !guard.watches_stable()) {
                guard.after = StepId(after.0 - 1);
            }
        }
    }

    /// A window; it is only ever looked at.
    fn window(&mut self, refuse: bool, back: &WayBack) {
        let Some(window) = self.target.application.gates.window.clone() else {
            return;
        };
        let title = match (&window.open, refuse) {
            (_, true) => format!("only {}", window.hours()),
            (_, false) => format!("window {}", window.hours()),
        };
        self.push(
            Stage::Gate,
            title,
            Action::Window { window, refuse },
            back.clone(),
        );
    }

    /// The webhooks of a point.
    pub(crate) fn call(&mut self, point: HookPoint, back: &WayBack) {
        let hooks: Vec<_> = self.target.application.gates.hooks_at(point).cloned().collect();
        for hook in hooks {
            let title = hook_title(&hook);
            self.push(Stage::Gate, title, Action::Call { hook }, back.clone());
        }
    }
}

/// What a webhook is in a list of steps.
pub(crate) fn hook_title(hook: &cutover_model::Webhook) -> String {
    if hook.at.asks() {
        format!("{} confirms ({})", hook.name, hook.at)
    } else {
        format!("{} is told ({})", hook.name, hook.at)
    }
}
