//! Whole plans as text: the diff is the review.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot build its own world may panic"
)]

mod shop;
mod show;

use cutover_model::{Action, Event, Plan, Record, Stage, Timestamp, Undo};
use cutover_plan::{Goal, Planned};
use shop::Shop;
use show::show;

fn created(plan: &Plan) -> Event {
    Event::Created {
        plan: plan.id.clone(),
        plan_format: plan.format,
        engine: "1".to_owned(),
        kind: plan.kind,
        from: plan.from.clone(),
        to: plan.to.clone(),
        by: "somebody".to_owned(),
    }
}

#[test]
fn first_deployment() {
    insta::assert_snapshot!(show(&Shop::canary().plan("1.0.0", Goal::Upgrade)));
}

#[test]
fn canary_with_a_schema_change() {
    let shop = Shop::canary().running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn connections_that_are_renewed_when_columns_change() {
    let shop = Shop::canary().recycling().running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
    // Nobody is there to be held up.
    let first = Shop::canary().recycling().plan("1.1.0", Goal::Upgrade);
    assert!(!show(&first).contains("requests of"), "{}", show(&first));
}

#[test]
fn canary_with_header_routes_and_copies() {
    let shop = Shop::of(
        r#"canary:
    steps:
      - setMirrorRoute: {percentage: 20}
      - pause: {duration: 5m}
      - setHeaderRoute: {name: testers, match: [{headerName: X-Canary, headerValue: {exact: always}}, {headerName: Cookie, headerValue: {regex: ".*beta.*"}}]}
      - pause: {}
      - setMirrorRoute: {percentage: 0}
      - setWeight: 25
      - setHeaderRoute: {name: testers}
      - setHeaderRoute: {name: staff, match: [{headerName: X-Staff, headerValue: {prefix: a}}]}
    scaleDownDelay: 1h"#,
    )
    .running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn a_header_route_asks_before_anybody_meets_the_candidate() {
    let shop = Shop::of(
        r"canary:
    steps:
      - setHeaderRoute: {name: testers, match: [{headerName: X-Canary, headerValue: {exact: always}}]}
      - setWeight: 25
    scaleDownDelay: 1h",
    )
    .with(GATES)
    .running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn the_old_version_is_watched_where_the_schema_changes() {
    let plan = |shop: Shop, to: &str| show(&shop.running("1.0.0").plan(to, Goal::Upgrade));
    let text = plan(Shop::canary(), "1.1.0");
    assert!(text.contains("guard stable:api after 0 until"), "{text}");
    // Where nothing changes under it, and where it is stopped first, there is nothing to watch.
    assert!(!plan(Shop::of("recreate: {}"), "1.1.0").contains("guard stable"));
}

#[test]
fn canary_that_is_watched_from_a_step_on() {
    let shop = Shop::of(
        "canary: {steps: [{setWeight: 10}, {pause: {duration: 1m}}, {setWeight: 50}], \
         analysis: {template: errors, startingStep: 2}}",
    )
    .running("1.0.0");
    let text = show(&shop.plan("1.1.0", Goal::Upgrade));
    let before = text
        .lines()
        .position(|line| line.contains("50 % to"))
        .map(|line| {
            text.lines()
                .take(line)
                .filter(|line| line.contains("undo:"))
                .count()
        });
    let guard = format!("guard background:errors:api after {}", before.unwrap());
    assert!(text.contains(&guard), "{guard}\n{text}");
}

#[test]
fn an_analysis_that_will_never_measure_is_warned_of() {
    let warned = |pause: &str| {
        let strategy = format!(
            "canary: {{steps: [{{setWeight: 50}}, {{pause: {pause}}}], analysis: {{template: errors}}, scaleDownDelay: 1s}}"
        );
        let shop = Shop::of(&strategy).running("1.0.0");
        match shop.plan("1.1.0", Goal::Upgrade) {
            Planned::Plan(plan) => plan
                .report
                .warnings
                .iter()
                .any(|one| one.contains("clear at once")),
            other => panic!("{other:?}"),
        }
    };
    assert!(warned("{duration: 1s}"));
    assert!(!warned("{duration: 10m}"));
    // A person may take their time.
    assert!(!warned("{}"));
}

#[test]
fn canary_whose_contract_follows() {
    let shop = Shop::canary().with("contract: {after: 10s}").running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn blue_green_with_a_question() {
    let shop = Shop::of("blueGreen: {autoPromotionEnabled: false, previewReplicaCount: 1}").running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn blue_green_that_is_compared_with_the_time_before() {
    let shop = Shop::of("blueGreen: {postPromotionAnalysis: {template: after}}").running("1.0.0");
    let text = show(&shop.plan("1.1.0", Goal::Upgrade));
    let number = |what: &str| {
        let line = text.lines().position(|line| line.contains(what)).unwrap();
        text.lines()
            .take(line)
            .filter(|line| line.contains("undo:"))
            .count()
    };
    // From the launch on, up to the switch.
    let guard = format!(
        "guard background:after:api after {} until {}",
        number(" launch "),
        number("100 % to")
    );
    assert!(text.contains(&guard), "{guard}\n{text}");
}

#[test]
fn rolling_one_at_a_time() {
    let shop = Shop::of("rolling: {maxSurge: 1}").running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn rolling_without_room() {
    let shop = Shop::of("rolling: {maxSurge: 0, maxUnavailable: 1}").running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn recreate_says_that_nobody_serves() {
    let shop = Shop::of("recreate: {}").running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn two_services_and_a_worker_go_in_dependency_order() {
    let shop = Shop::canary().with_frontend().with_worker().running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn one_of_two_services() {
    let shop = Shop::canary().with_frontend().running("1.0.0").only("api");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn a_pair_that_nobody_declared_is_refused() {
    let shop = Shop::canary().with_undeclared_frontend().running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn a_changed_configuration_at_the_same_version() {
    let shop = Shop::canary().running("1.0.0").config("another");
    insta::assert_snapshot!(show(&shop.plan("1.0.0", Goal::Upgrade)));
}

#[test]
fn nothing_to_do() {
    let shop = Shop::canary().running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.0.0", Goal::Upgrade)));
}

#[test]
fn more_replicas_of_the_same() {
    let shop = Shop::canary().running("1.0.0").replicas(6);
    insta::assert_snapshot!(show(&shop.plan("1.0.0", Goal::Upgrade)));
}

#[test]
fn what_was_taken_down_is_started_again() {
    let shop = Shop::canary().running("1.0.0").down();
    insta::assert_snapshot!(show(&shop.plan("1.0.0", Goal::Upgrade)));
}

#[test]
fn a_restart() {
    let shop = Shop::canary().running("1.0.0").restart("api");
    insta::assert_snapshot!(show(
        &shop.plan("1.0.0", Goal::Restart(vec!["api".parse().unwrap()]))
    ));
}

#[test]
fn a_rollback_relaunches_and_reopens() {
    let shop = Shop::canary().running("1.1.0");
    insta::assert_snapshot!(show(&shop.plan("1.0.0", Goal::Rollback)));
}

#[test]
fn a_rollback_to_the_former_configuration() {
    let shop = Shop::canary().running("1.0.0").config("the former one");
    insta::assert_snapshot!(show(&shop.plan("1.0.0", Goal::Rollback)));
}

#[test]
fn a_rollback_to_what_runs_is_refused() {
    let shop = Shop::canary().running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.0.0", Goal::Rollback)));
}

#[test]
fn a_rollback_past_a_contract_is_refused() {
    let shop = Shop::canary().running("1.1.0").contracted();
    insta::assert_snapshot!(show(&shop.plan("1.0.0", Goal::Rollback)));
}

#[test]
fn the_pending_contract_alone() {
    let shop = Shop::canary().running("1.1.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Contract)));
}

#[test]
fn a_reopened_backfill_comes_before_its_contract() {
    let shop = Shop::canary().running("1.1.0").reopened();
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Contract)));
}

#[test]
fn a_contract_at_the_next_upgrade() {
    let shop = Shop::canary()
        .with("contract: {after: nextUpgrade}")
        .running("1.1.0");
    insta::assert_snapshot!(show(&shop.plan("1.2.0", Goal::Upgrade)));
}

#[test]
fn a_downgrade_is_a_rollback() {
    let shop = Shop::canary().running("1.1.0");
    insta::assert_snapshot!(show(&shop.plan("1.0.0", Goal::Upgrade)));
}

#[test]
fn a_release_of_another_channel_and_path_is_refused() {
    let shop = Shop::canary().with("upgradesFrom: \">=1.1.0\"").running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.2.0-rc.1", Goal::Upgrade)));
}

#[test]
fn a_release_that_has_not_succeeded_before_is_refused() {
    let shop = Shop::canary()
        .with("requires: {succeededIn: staging}")
        .running("1.0.0");
    let shop = shop.in_environment("production", Some(false));
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn another_environment() {
    let shop = Shop::of("recreate: {}")
        .running("1.0.0")
        .replicas(1)
        .in_environment("staging", None);
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn a_plan_is_a_value_with_a_digest() {
    let shop = Shop::canary().running("1.0.0");
    let (Planned::Plan(a), Planned::Plan(b)) = (
        shop.plan("1.1.0", Goal::Upgrade),
        shop.plan("1.1.0", Goal::Upgrade),
    ) else {
        panic!("there is a plan");
    };
    assert_eq!(a, b);
    let text = serde_json::to_string(&a).unwrap();
    assert_eq!(serde_json::from_str::<cutover_model::Plan>(&text).unwrap(), *a);
    let mut other = (*a).clone();
    other.settings.auto_rollback = false;
    assert_ne!(other.sealed().id, a.id);
}

/// A gate of every kind.
const GATES: &str = r#"
gates:
  window: {open: "Mon-Fri 09:00-16:00", timezone: Europe/Zurich, eachShift: true}
  webhooks:
    - {name: change-ticket, at: confirmRollout, url: "https://tickets.example/"}
    - {name: warm-up, at: preRollout, url: "https://warm.example/"}
    - {name: capacity, at: confirmTrafficIncrease, url: "https://capacity.example/"}
    - {name: sign-off, at: confirmPromotion, url: "https://sign.example/"}
    - {name: news, at: postRollout, url: "https://news.example/"}
    - {name: pager, at: rollback, url: "https://pager.example/"}
"#;

#[test]
fn canary_with_gates() {
    let shop = Shop::canary()
        .with(GATES)
        .with("contract: {after: 10s}")
        .running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn blue_green_with_gates_and_a_question() {
    let shop = Shop::of("blueGreen: {autoPromotionEnabled: false}")
        .with(GATES)
        .running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn recreate_asks_everybody_before_it_stops_anything() {
    let shop = Shop::of("recreate: {}").with(GATES).running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn a_rollback_asks_nobody() {
    let shop = Shop::canary().with(GATES).running("1.1.0");
    insta::assert_snapshot!(show(&shop.plan("1.0.0", Goal::Rollback)));
}

#[test]
fn a_plan_of_the_form_before_is_read() {
    let Planned::Plan(plan) = Shop::canary().running("1.0.0").plan("1.1.0", Goal::Upgrade) else {
        panic!("there is a plan");
    };
    let mut value = serde_json::to_value(&plan).unwrap();
    // What form 1 did not have.
    assert!(
        value.as_object_mut().unwrap().remove("toldOnAbort").is_none(),
        "left out when empty"
    );
    value["format"] = serde_json::json!(1);
    let read: cutover_model::Plan = serde_json::from_value(value).unwrap();
    assert_eq!((read.format, read.told_on_abort.len()), (1, 0));
}

/// Another controller writes its intent anew: between that and its first look, a closed gate is closed all the same.
#[test]
fn a_closed_gate_may_be_answered_while_the_controller_changes() {
    use cutover_model::{Action, Event, Generation, Record, Timestamp, UpgradePhase, WaitingOn};
    let shop = Shop::canary().with(GATES).running("1.0.0");
    let Planned::Plan(mut plan) = shop.plan("1.1.0", Goal::Upgrade) else {
        panic!("there is a plan");
    };
    plan.steps
        .retain(|step| matches!(step.action, Action::Window { .. }));
    let gate = plan.steps.first().unwrap().id;
    let at = Timestamp::from_second(1_800_000_000).unwrap();
    let controlled = |generation| Event::Controlled {
        generation: Generation(generation),
        holder: "somebody".to_owned(),
    };
    let intent = |generation| Event::Intent {
        step: gate,
        generation: Generation(generation),
        attempt: 1,
    };
    let events = [
        controlled(1),
        intent(1),
        Event::Waiting {
            on: WaitingOn {
                what: "the window".to_owned(),
                since: at,
                until: None,
                then: "it goes on by itself".to_owned(),
            },
        },
        controlled(2),
        intent(2),
    ];
    let record = |seq, event| Record { seq, at, event };
    let mut state = cutover_plan::start(&plan, &record(1, created(&plan))).unwrap();
    for (seq, event) in (2..).zip(events) {
        state = cutover_plan::next(&plan, &state, &record(seq, event)).unwrap();
    }
    assert_eq!(state.phase, UpgradePhase::WaitingForGate);
}

const ALEMBIC: &str = "{preset: alembic, in: candidate}";

#[test]
fn another_tool_migrates_the_database() {
    let shop = Shop::canary().run_by(ALEMBIC, Some("ae10")).running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

#[test]
fn another_tool_without_a_way_down() {
    let shop = Shop::of("recreate: {}")
        .run_by("{up: [./bin/migrate, --all]}", None)
        .running("1.0.0");
    insta::assert_snapshot!(show(&shop.plan("1.1.0", Goal::Upgrade)));
}

/// Several heads are something to compare, and nowhere to go back to; before the first revision there is one.
#[test]
fn another_tool_goes_back_only_to_what_it_can_name() {
    let undo = |runner, at| {
        let shop = Shop::canary().run_by(runner, at).running("1.0.0");
        let Planned::Plan(plan) = shop.plan("1.1.0", Goal::Upgrade) else {
            panic!("there is a plan");
        };
        let step = plan
            .steps
            .iter()
            .find(|step| step.stage == Stage::Expand)
            .unwrap();
        matches!(step.undo, Undo::Downgrade { .. })
    };
    assert!(undo(ALEMBIC, Some("ae10")));
    assert!(undo(ALEMBIC, Some("")));
    assert!(!undo(ALEMBIC, Some("ae10\nbf20")));
    let without_base = "{up: [m, up], down: [m, to, \"{revision}\"], current: [m, at]}";
    assert!(undo(without_base, Some("ae10")));
    assert!(!undo(without_base, Some("")));
}

/// The tool is run when another release is gone to, and at no other time.
#[test]
fn another_tool_is_run_for_another_release_only() {
    let shop = Shop::canary().run_by(ALEMBIC, Some("ae10")).running("1.1.0");
    let runs = |planned: &Planned| match planned {
        Planned::Plan(plan) => plan
            .steps
            .iter()
            .any(|step| matches!(step.action, Action::Migrate { .. })),
        Planned::Nothing(_) | Planned::Refused(_) => false,
    };
    assert!(!runs(&shop.plan("1.1.0", Goal::Upgrade)));
    assert!(!runs(&shop.plan("1.0.0", Goal::Rollback)));
    assert!(!runs(&shop.plan("1.1.0", Goal::Contract)));
    assert!(runs(&shop.plan("1.2.0", Goal::Upgrade)));
}

/// The way back of an abort, in order: instances and traffic first, then the schema.
#[test]
fn the_schema_goes_back_when_nobody_is_left_who_reads_it() {
    let shop = Shop::canary().run_by(ALEMBIC, Some("ae10")).running("1.0.0");
    let Planned::Plan(plan) = shop.plan("1.1.0", Goal::Upgrade) else {
        panic!("there is a plan");
    };
    let record = Record {
        seq: 1,
        at: Timestamp::UNIX_EPOCH,
        event: created(&plan),
    };
    let mut state = cutover_plan::start(&plan, &record).unwrap();
    state.begun = plan.steps.len() - 1;
    let back = cutover_plan::unwind(&plan, &state);
    let titles: Vec<&str> = back.iter().map(|step| step.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "everything on 1.0.0, 1.1.0 drained and removed",
            "main: alembic to ae10"
        ]
    );
}
