//! The planner's own scenarios as a person sees them: `cutover plan` for every strategy and shape.

// The builder is shared with the planner's tests, so that both show the same plans.
#[path = "../../../cutover-plan/tests/scenarios/shop.rs"]
#[expect(dead_code, reason = "the planner's tests use more of it")]
mod shop;

use cutover_plan::{Goal, Planned};
use shop::Shop;

use super::style::Style;

fn seen(planned: &Planned) -> String {
    let style = Style::bare();
    match planned {
        Planned::Plan(plan) => super::plan(plan, None, &Style::within(plan.environment.as_str())),
        Planned::Nothing(why) => super::nothing(why, &style),
        Planned::Refused(refusal) => super::refused(refusal, &style),
    }
}

macro_rules! plans {
    ($($name:ident: $shop:expr, $version:literal, $goal:expr;)+) => {
        $(
            #[test]
            fn $name() {
                insta::assert_snapshot!(seen(&$shop.plan($version, $goal)));
            }
        )+
    };
}

plans! {
    first: Shop::canary(), "1.0.0", Goal::Upgrade;
    canary: Shop::canary().running("1.0.0"), "1.1.0", Goal::Upgrade;
    canary_and_contract: Shop::canary().with("contract: {after: 10s}").running("1.0.0"), "1.1.0", Goal::Upgrade;
    blue_green: Shop::of("blueGreen: {autoPromotionEnabled: false, previewReplicaCount: 1}").running("1.0.0"), "1.1.0",
        Goal::Upgrade;
    rolling: Shop::of("rolling: {maxSurge: 1}").running("1.0.0"), "1.1.0", Goal::Upgrade;
    recreate: Shop::of("recreate: {}").running("1.0.0"), "1.1.0", Goal::Upgrade;
    two_services_and_a_worker: Shop::canary().with_frontend().with_worker().running("1.0.0"), "1.1.0", Goal::Upgrade;
    one_of_two_services: Shop::canary().with_frontend().running("1.0.0").only("api"), "1.1.0", Goal::Upgrade;
    configuration_release: Shop::canary().running("1.0.0").config("another"), "1.0.0", Goal::Upgrade;
    more_replicas: Shop::canary().running("1.0.0").replicas(6), "1.0.0", Goal::Upgrade;
    restart: Shop::canary().running("1.0.0").restart("api"), "1.0.0", Goal::Restart(vec!["api".parse().unwrap()]);
    another_environment: Shop::of("recreate: {}").running("1.0.0").replicas(1).in_environment("staging", None), "1.1.0",
        Goal::Upgrade;
    rollback: Shop::canary().running("1.1.0"), "1.0.0", Goal::Rollback;
    rollback_past_a_contract: Shop::canary().running("1.1.0").contracted(), "1.0.0", Goal::Rollback;
    undeclared_pair: Shop::canary().with_undeclared_frontend().running("1.0.0"), "1.1.0", Goal::Upgrade;
    contract: Shop::canary().running("1.1.0"), "1.1.0", Goal::Contract;
    nothing: Shop::canary().running("1.0.0"), "1.0.0", Goal::Upgrade;
}
