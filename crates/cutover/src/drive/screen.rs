//! What a person sees of an upgrade while it runs: a picture drawn in place, or a line for each event.

use cutover_model::{Action, Diagnostic, Plan};
use cutover_plan::State;
use cutover_ports::Clock as _;

use super::Seen;
use crate::render::{self, Ask, Asking, Keys, Lines, Live, Printer, Traffic, View, frame};
use crate::world::SystemClock;

/// What a person sees.
pub(crate) struct Screen {
    printer: Printer,
    plan: Plan,
    state: State,
    traffic: Traffic,
    kind: Kind,
}

enum Kind {
    Picture {
        live: Live,
        keys: Option<Keys>,
        asking: Asking,
    },
    Lines(Box<Lines>),
}

impl Screen {
    /// `keys`: whether a person may ask for something here.
    pub(crate) fn new(printer: &Printer, plan: Plan, state: State, keys: bool) -> Self {
        let kind = if printer.is_live() {
            let keys = if keys && printer.can_ask() {
                Keys::start()
            } else {
                None
            };
            Kind::Picture {
                live: Live::new(),
                keys,
                asking: Asking::default(),
            }
        } else {
            Kind::Lines(Box::new(Lines::after(&state)))
        };
        Self {
            printer: printer.clone(),
            plan,
            state,
            traffic: Traffic::new(),
            kind,
        }
    }

    /// Whether somebody is there who could answer.
    pub(crate) const fn can_ask(&self) -> bool {
        matches!(&self.kind, Kind::Picture { keys: Some(_), .. })
    }

    /// What the current step does.
    pub(crate) fn action<'a>(&'a self, state: &'a State) -> Option<&'a Action> {
        state.step(&self.plan).map(|step| &step.action)
    }

    /// One more record.
    pub(crate) fn take(&mut self, seen: &Seen) {
        self.state = seen.state.clone();
        if let Kind::Lines(lines) = &mut self.kind {
            let style = self.printer.talk_style();
            if let Some(line) = lines.line(&seen.record, &self.plan, &style) {
                self.printer.talk(&format!("{line}\n"));
            }
        }
    }

    /// What the routers counted.
    pub(crate) fn traffic(&mut self, traffic: Traffic) {
        self.traffic = traffic;
    }

    /// Draws the picture anew.
    pub(crate) fn draw(&mut self) {
        if let Kind::Picture { live, keys, asking } = &mut self.kind {
            let style = self.printer.talk_style();
            let view = View {
                now: SystemClock.now(),
                style: &style,
                height: Live::height(),
                asking: keys.is_some().then_some(*asking),
            };
            live.draw(&frame(&self.plan, &self.state, &self.traffic, view));
        }
    }

    /// Says something that stays.
    pub(crate) fn say(&mut self, found: &Diagnostic) {
        let text = render::diagnostic(found, &self.printer.talk_style());
        match &mut self.kind {
            Kind::Picture { live, .. } => live.say(&text),
            Kind::Lines(_) => self.printer.talk(&text),
        }
    }

    /// Waits for a key that means something; for ever where there are none.
    pub(crate) async fn asked(&mut self) -> Ask {
        let Kind::Picture {
            live: _,
            keys: Some(keys),
            asking,
        } = &mut self.kind
        else {
            return std::future::pending().await;
        };
        loop {
            let Some(key) = keys.next().await else {
                return std::future::pending().await;
            };
            let (next, ask) = render::press(&self.plan, &self.state, *asking, key);
            *asking = next;
            if let Some(ask) = ask {
                return ask;
            }
        }
    }

    /// Takes the picture away: what follows says it all once more.
    pub(crate) fn close(self) {
        if let Kind::Picture { mut live, keys, .. } = self.kind {
            drop(keys);
            live.clear();
        }
    }
}
