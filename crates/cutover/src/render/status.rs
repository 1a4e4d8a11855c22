//! `cutover status`: what runs, what serves, what is pending, and what "go back" means now.

use cutover_model::{
    ApplicationName, Desired, DesiredRevision, EnvironmentName, Instance, InstanceState, Migration,
    RevisionId, RouteTable, ServiceName, Span, Timestamp, UpgradePhase, WayBack,
};
use cutover_ports::{Holder, Stable};

use super::report::Run;
use super::style::Style;
use super::text::{Line, Page, Tone, columns};
use super::{plan as plan_view, words};

/// Where the values begin.
const VALUE: usize = 15;

/// What is known of an application in an environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status<'a> {
    /// The application.
    pub(crate) application: &'a ApplicationName,
    /// The environment.
    pub(crate) environment: &'a EnvironmentName,
    /// What is recorded as stable.
    pub(crate) stable: Option<&'a Stable>,
    /// The upgrade that has not ended.
    pub(crate) running: Option<Run<'a>>,
    /// Who carries it out; none when nobody does.
    pub(crate) controller: Option<&'a Holder>,
    /// What is wanted.
    pub(crate) desired: &'a Desired,
    /// What runs, as observed.
    pub(crate) instances: &'a [Instance],
    /// What the router serves by; none when it could not be asked.
    pub(crate) routes: Option<&'a RouteTable>,
    /// Contract migrations that wait.
    pub(crate) pending_contracts: &'a [Migration],
    /// What "go back" means now.
    pub(crate) way_back: Option<&'a WayBack>,
    /// The present.
    pub(crate) now: Timestamp,
}

impl Status<'_> {
    /// Whether nothing runs of what is wanted.
    fn is_down(&self) -> bool {
        self.instances.is_empty() && self.desired.0.values().any(|want| want.replicas > 0)
    }
}

/// The state of an application.
pub(crate) fn status(seen: &Status<'_>, style: &Style) -> String {
    let mut page = Page::new();
    head(&mut page, seen, style);
    if let Some(run) = &seen.running {
        upgrade(&mut page, run, seen, style);
    }
    services(&mut page, seen, style);
    page.blank();
    for (at, migration) in seen.pending_contracts.iter().enumerate() {
        let label = if at == 0 { "pending" } else { "" };
        let text = format!(
            "{} (contract); `cutover migrate contract` when no way back is needed",
            migration.id
        );
        value(&mut page, label, Tone::Plain, &text, style);
    }
    if let Some(stable) = seen.stable.filter(|_| seen.running.is_none() && seen.is_down()) {
        let next = format!("nothing runs; next: cutover upgrade {}", stable.version);
        value(&mut page, "down", Tone::Wrong, &next, style);
    }
    match seen.way_back {
        Some(WayBack::To { version, by }) => {
            let to = version
                .as_ref()
                .map(|version| format!("to {version}: "))
                .unwrap_or_default();
            value(&mut page, "way back", Tone::Plain, &format!("{to}{by}"), style);
        }
        Some(WayBack::None { reason }) if reason.starts_with("none") => {
            value(&mut page, "way back", Tone::Wrong, reason, style);
        }
        Some(WayBack::None { reason }) => {
            value(
                &mut page,
                "way back",
                Tone::Wrong,
                &format!("none: {reason}"),
                style,
            );
        }
        None => {}
    }
    while page.0.last().is_some_and(|line| line.width() == 0) {
        page.0.pop();
    }
    page.paint(style)
}

fn value(page: &mut Page, label: &str, tone: Tone, text: &str, style: &Style) {
    page.hanging(Line::indent(2).plain(label).to(VALUE), tone, text, style.edge());
}

fn head(page: &mut Page, seen: &Status<'_>, style: &Style) {
    let line = Line::new()
        .tone(Tone::Strong, seen.application.as_str())
        .plain("  ");
    let line = match seen.stable {
        Some(stable) => {
            let since = words::clock(stable.since, seen.now, style.zone);
            let ago = words::ago(stable.since, seen.now);
            line.tone(Tone::Stable, &stable.version.to_string())
                .plain(&format!("   {} · stable since {since}, {ago}", seen.environment))
        }
        None => line.plain(&format!(" {} · nothing is deployed", seen.environment)),
    };
    page.push(line.fit(style.edge()));
    page.blank();
}

fn upgrade(page: &mut Page, run: &Run<'_>, seen: &Status<'_>, style: &Style) {
    let now = seen.now;
    let state = run.state;
    let from = run
        .plan
        .from
        .as_ref()
        .map(|from| format!("{from} → "))
        .unwrap_or_default();
    let steps = state.steps(run.plan);
    let at = state.step(run.plan).map_or_else(String::new, |step| {
        format!(
            ", step {} of {}: {} {}",
            step.id,
            steps.len(),
            step.stage,
            step.title
        )
    });
    let elapsed = words::took(Span::between(state.created_at, now));
    let text = format!(
        "{from}{}, {}: {}{at}; {elapsed} so far",
        run.plan.to,
        plan_view::what(run.plan),
        state.phase
    );
    value(page, "upgrade", Tone::Plain, &text, style);
    value(page, "", Tone::Dim, words::short(run.id), style);
    if let Some(stuck) = &state.stuck {
        value(page, "because", Tone::Wrong, &stuck.because, style);
        value(page, "next", Tone::Plain, &stuck.next.join(", or "), style);
    } else if let Some(on) = &state.waiting {
        let until = on
            .until
            .map(|until| format!(", until {}", words::clock(until, now, style.zone)))
            .unwrap_or_default();
        value(
            page,
            "waiting for",
            Tone::Waiting,
            &format!("{}{until}", on.what),
            style,
        );
        value(page, "then", Tone::Plain, &on.then, style);
    }
    match seen.controller {
        Some(holder) => {
            let who = format!("pid {} on {}", holder.pid, holder.host);
            value(page, "controller", Tone::Dim, &who, style);
        }
        // What waits for a person has said for what, and goes on with the answer.
        None if !matches!(
            state.phase,
            UpgradePhase::Stuck | UpgradePhase::WaitingForGate | UpgradePhase::Paused
        ) =>
        {
            let nobody = "none is at work, so nothing goes on by itself; next: cutover resume";
            value(page, "controller", Tone::Wrong, nobody, style);
        }
        None => {}
    }
    page.blank();
}

/// The revisions of a service that are wanted or run, the wanted ones first.
fn revisions<'a>(
    seen: &'a Status<'_>,
    service: &'a ServiceName,
) -> Vec<(&'a RevisionId, Option<&'a DesiredRevision>)> {
    let mut all: Vec<_> = seen
        .desired
        .of(service)
        .map(|(id, want)| (id, Some(want)))
        .collect();
    for one in seen
        .instances
        .iter()
        .filter(|one| one.revision.service == *service)
    {
        if all.iter().all(|(id, _)| **id != one.revision) {
            all.push((&one.revision, None));
        }
    }
    all
}

fn services(page: &mut Page, seen: &Status<'_>, style: &Style) {
    let mut names: Vec<&ServiceName> = seen.desired.0.keys().map(|id| &id.service).collect();
    names.extend(seen.instances.iter().map(|one| &one.revision.service));
    names.sort();
    names.dedup();
    for name in names {
        let route = seen.routes.and_then(|routes| routes.service(name));
        let listen = route.map(|route| route.listen.clone()).unwrap_or_default();
        page.push(
            Line::indent(2)
                .tone(Tone::Strong, name.as_str())
                .to(VALUE)
                .plain(&listen),
        );
        for (id, want) in revisions(seen, name) {
            revision(page, seen, id, want, style);
        }
    }
}

fn revision(
    page: &mut Page,
    seen: &Status<'_>,
    id: &RevisionId,
    want: Option<&DesiredRevision>,
    style: &Style,
) {
    let mine: Vec<&Instance> = seen.instances.iter().filter(|one| one.revision == *id).collect();
    let ready = mine.iter().filter(|one| one.is_ready()).count();
    let wanted = want.map_or(0, |want| want.replicas);
    let (label, tone) = match want.map(|want| want.track) {
        Some(cutover_model::Track::Stable) => ("stable", Tone::Stable),
        Some(cutover_model::Track::Candidate) => ("candidate", Tone::Candidate),
        None => ("leaving", Tone::Dim),
    };
    let weight = match (want.and_then(|want| want.weight), seen.routes) {
        (None, _) => String::new(),
        (Some(_), Some(routes)) => format!(", {} of the requests", routes.weight(id)),
        (Some(weight), None) => format!(", {weight} wanted; the router does not answer"),
    };
    let text = format!("{ready} ready of {wanted}{weight}");
    let line = Line::indent(4)
        .tone(tone, label)
        .to(VALUE)
        .plain(&id.version.to_string());
    let short = ready < wanted as usize;
    let line = line
        .plain("  ")
        .tone(if short { Tone::Waiting } else { Tone::Plain }, &text);
    page.push(line.fit(style.edge()));
    let wide = mine
        .iter()
        .map(|one| columns(one.id.as_str()))
        .max()
        .unwrap_or(0)
        .min(24);
    let address = mine
        .iter()
        .filter_map(|one| one.address.as_deref())
        .map(columns)
        .max()
        .unwrap_or(0);
    for one in mine {
        let line = Line::indent(6)
            .tone(Tone::Dim, &super::text::fit(one.id.as_str(), 24))
            .to(6 + wide + 2);
        let line = line
            .plain(one.address.as_deref().unwrap_or(""))
            .to(6 + wide + 2 + address + 2);
        let (tone, words) = instance(one, seen.now);
        page.hanging(line, tone, &words, style.edge());
    }
}

fn unready(one: &Instance) -> String {
    one.unready
        .as_ref()
        .map(|why| format!(": {why}"))
        .unwrap_or_default()
}

fn instance(one: &Instance, now: Timestamp) -> (Tone, String) {
    let since = words::took(Span::between(one.since, now));
    let (tone, mut text) = match &one.state {
        InstanceState::Ready => (Tone::Plain, format!("ready for {since}")),
        InstanceState::Starting => (Tone::Waiting, format!("starting for {since}{}", unready(one))),
        InstanceState::NotReady => (Tone::Waiting, format!("not ready for {since}{}", unready(one))),
        InstanceState::Stopping => (Tone::Dim, format!("stopping for {since}")),
        InstanceState::Crashed { reason } => (Tone::Wrong, format!("crashed {since} ago: {reason}")),
    };
    if one.restarts > 0 {
        text.push_str(&format!(
            ", started again {}",
            words::count(u64::from(one.restarts), "time")
        ));
    }
    (tone, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixtures;
    use cutover_model::{InstanceId, UpgradeId};

    fn holder() -> Holder {
        Holder {
            host: "web1".to_owned(),
            boot: "b".to_owned(),
            pid: 4711,
            started: 1,
        }
    }

    fn instances() -> Vec<Instance> {
        let one = |id: &str, revision: &str, port: u16, state, minute: u32, restarts| Instance {
            id: InstanceId::new(id),
            revision: revision.parse().unwrap(),
            address: Some(format!("127.0.0.1:{port}")),
            state,
            since: format!("2026-03-12T13:{minute:02}:11Z").parse().unwrap(),
            unready: None,
            restarts,
        };
        let crashed = InstanceState::Crashed {
            reason: "exited with status 1: address already in use".to_owned(),
        };
        vec![
            one("api-1", "api@1.0.0#0a0a0a", 20001, InstanceState::Ready, 2, 0),
            one("api-2", "api@1.0.0#0a0a0a", 20002, InstanceState::Ready, 2, 0),
            one("api-3", "api@1.0.0#0a0a0a", 20003, InstanceState::Ready, 40, 1),
            one("api-4", "api@1.0.0#0a0a0a", 20004, crashed, 58, 3),
            one("api-5", "api@1.1.0#1b1b1b", 20005, InstanceState::Ready, 59, 0),
        ]
    }

    #[test]
    fn one_that_starts_says_what_is_missing() {
        let mut one = instances().remove(0);
        one.state = InstanceState::Starting;
        one.unready = Some("does not listen on 127.0.0.1:20001".to_owned());
        let now = Span::from_millis(1_900).after(one.since);
        let (_, words) = instance(&one, now);
        assert_eq!(words, "starting for 1.9s: does not listen on 127.0.0.1:20001");
    }

    #[test]
    fn during_an_upgrade() {
        let (plan, state) = fixtures::shifting();
        let id = fixtures::id();
        let stable = fixtures::stable();
        let way_back = state.way_back(&plan);
        let seen = Status {
            application: &plan.application,
            environment: &plan.environment,
            stable: Some(&stable),
            running: Some(Run {
                id: &id,
                plan: &plan,
                state: &state,
                records: &[],
            }),
            controller: Some(&holder()),
            desired: &state.desired,
            instances: &instances(),
            routes: Some(&fixtures::routes()),
            pending_contracts: &[],
            way_back: Some(&way_back),
            now: "2026-03-12T14:04:52Z".parse().unwrap(),
        };
        insta::assert_snapshot!(status(&seen, &Style::bare()));
    }

    #[test]
    fn an_upgrade_without_a_controller_says_so() {
        let (plan, state) = fixtures::shifting();
        let id = fixtures::id();
        let seen = |controller: Option<Holder>| {
            let run = Run {
                id: &id,
                plan: &plan,
                state: &state,
                records: &[],
            };
            let seen = Status {
                application: &plan.application,
                environment: &plan.environment,
                stable: None,
                running: Some(run),
                controller: controller.as_ref(),
                desired: &Desired::default(),
                instances: &[],
                routes: None,
                pending_contracts: &[],
                way_back: None,
                now: "2026-03-12T14:04:52Z".parse().unwrap(),
            };
            status(&seen, &Style::bare())
        };
        assert!(seen(None).contains("none is at work"));
        assert!(seen(Some(holder())).contains("pid 4711 on web1"));
        assert!(!seen(Some(holder())).contains("none is at work"));
    }

    #[test]
    fn at_rest_with_a_contract_pending() {
        let told = fixtures::succeeded();
        let desired = told.state.desired.clone();
        let way_back = told.state.way_back(&told.plan);
        let stable = Stable {
            version: "1.1.0".parse().unwrap(),
            upgrade: UpgradeId::new("0193e1b2"),
            ..fixtures::stable()
        };
        let seen = Status {
            application: &told.plan.application,
            environment: &told.plan.environment,
            stable: Some(&stable),
            running: None,
            controller: None,
            desired: &desired,
            instances: &instances()[4..],
            routes: None,
            pending_contracts: &told.plan.pending_contracts,
            way_back: Some(&way_back),
            now: "2026-03-14T14:04:52Z".parse().unwrap(),
        };
        insta::assert_snapshot!(status(&seen, &Style::bare()));
    }

    #[test]
    fn of_nothing() {
        let (plan, _) = fixtures::shifting();
        let seen = Status {
            application: &plan.application,
            environment: &plan.environment,
            stable: None,
            running: None,
            controller: None,
            desired: &Desired::default(),
            instances: &[],
            routes: None,
            pending_contracts: &[],
            way_back: None,
            now: "2026-03-12T14:04:52Z".parse().unwrap(),
        };
        insta::assert_snapshot!(status(&seen, &Style::bare()));
    }
}
