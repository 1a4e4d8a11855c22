//! Fields that tell clients who answered.

use cutover_model::RoutePolicy;
use cutover_model::routing::AnswerFields;

use crate::recorder::Recorder;
use crate::rig::{Rig, STABLE};
use crate::visitor::Visitor;

#[tokio::test]
async fn who_answered_is_told_where_that_was_asked_for() {
    let instance = Recorder::start("old").await;
    let rig = Rig::start();
    let mut visitor = Visitor::connect(rig.addr).await.unwrap();
    let named = format!("{STABLE}/{}", instance.addr);
    for (backend_version, served_by) in [(false, false), (true, false), (false, true), (true, true)] {
        let policy = RoutePolicy {
            answer_fields: AnswerFields {
                backend_version,
                served_by,
            },
            ..RoutePolicy::default()
        };
        rig.route_by(policy, &[(STABLE, 10_000, &[instance.addr])]).await;
        let answer = visitor.get("/").await.unwrap();
        let version = if backend_version { "1.0.0" } else { "its own" };
        assert_eq!(answer.field("x-backend-version"), Some(version), "{answer:?}");
        assert_eq!(
            answer.field("x-served-by"),
            served_by.then_some(named.as_str()),
            "{answer:?}"
        );
    }
    rig.stop().await;
}
