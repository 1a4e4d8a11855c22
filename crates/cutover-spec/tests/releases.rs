//! When a service gets a new revision and when it keeps the one it has.

use std::collections::BTreeMap;

use cutover_model::{Digest, ServiceName, Span};
use cutover_spec::{Application, Artifact, Release, ReleaseDraft, ServiceParts, UnfinishedDraft, parse};

const FILE: &str = r#"apiVersion: cutover/v1
application: shop
services:
  api:
    target: {process: {command: ["./releases/{version}/shop"], ports: 20000-20999}}
    environment: {LEVEL: info}
    router: {proxy: {listen: "127.0.0.1:8080"}}
  worker:
    target: {process: {command: ["./releases/{version}/worker"]}}
"#;

fn name(text: &str) -> ServiceName {
    text.parse().expect("a valid name")
}

fn parts(api: &str, worker: &str) -> BTreeMap<ServiceName, ServiceParts> {
    [("api", api), ("worker", worker)]
        .into_iter()
        .map(|(service, artifact)| {
            let parts = ServiceParts {
                artifact: Artifact {
                    digest: Digest::of(artifact.as_bytes()),
                    words: Vec::new(),
                    folders: Vec::new(),
                },
                config: Digest::of(b"config"),
                restart: None,
            };
            (name(service), parts)
        })
        .collect()
}

fn seal(
    application: &Application,
    version: &str,
    previous: Option<&Release>,
    parts: BTreeMap<ServiceName, ServiceParts>,
) -> Release {
    ReleaseDraft {
        application,
        version: &version.parse().expect("a version"),
        previous,
        parts,
        migrations: BTreeMap::new(),
        files: BTreeMap::new(),
        changelog: None,
    }
    .seal()
    .expect("a finished draft")
}

fn file(text: &str) -> Application {
    parse("cutover.yaml", text).expect("a valid file")
}

#[test]
fn only_the_service_that_changed_gets_a_new_revision() {
    let application = file(FILE);
    let first = seal(&application, "1.0.0", None, parts("a", "w"));
    let second = seal(&application, "1.1.0", Some(&first), parts("b", "w"));
    let (api, worker) = (name("api"), name("worker"));
    assert_ne!(first.revisions[&api], second.revisions[&api]);
    assert_eq!(second.revisions[&api].version.to_string(), "1.1.0");
    assert_eq!(first.revisions[&worker], second.revisions[&worker]);
    let command = |release: &Release, service: &ServiceName| {
        let cutover_spec::Target::Process(process) = &release.application.services[service].target;
        process.command[0].clone()
    };
    assert_eq!(command(&second, &api), "./releases/1.1.0/shop");
    assert_eq!(command(&second, &worker), "./releases/1.0.0/worker");
    assert_ne!(first.id, second.id);
    // A third release keeps what the second kept.
    let third = seal(&application, "1.2.0", Some(&second), parts("b", "w"));
    assert_eq!(third.revisions, second.revisions);
    assert_eq!(command(&third, &api), "./releases/1.1.0/shop");
}

#[test]
fn replicas_router_and_smoke_are_no_change() {
    let first = seal(&file(FILE), "1.0.0", None, parts("a", "w"));
    let changed = FILE.replace("8080\"}}", "9090\"}}\n    replicas: 7\n    smoke: [{get: /x}]");
    let second = seal(&file(&changed), "1.0.0", Some(&first), parts("a", "w"));
    assert_eq!(first.revisions, second.revisions);
    assert_eq!(second.application.services[&name("api")].replicas, 7);
    assert_ne!(first.id, second.id);
}

#[test]
fn a_changed_setting_at_the_same_version_is_another_revision() {
    let first = seal(&file(FILE), "1.0.0", None, parts("a", "w"));
    let api = name("api");
    let spec = FILE.replace("LEVEL: info", "LEVEL: debug");
    let by_spec = seal(&file(&spec), "1.0.0", Some(&first), parts("a", "w"));
    assert_ne!(first.revisions[&api], by_spec.revisions[&api]);
    assert_eq!(by_spec.revisions[&api].version, first.revisions[&api].version);
    let mut resolved = parts("a", "w");
    resolved.get_mut(&api).unwrap().config = Digest::of(b"another secret");
    let by_secret = seal(&file(FILE), "1.0.0", Some(&first), resolved);
    assert_ne!(first.revisions[&api], by_secret.revisions[&api]);
    assert_ne!(by_spec.revisions[&api], by_secret.revisions[&api]);
}

#[test]
fn a_variable_that_holds_the_version_is_configuration() {
    let spec = FILE.replace("LEVEL: info", "RELEASE: \"{version}\"");
    let first = seal(&file(&spec), "1.0.0", None, parts("a", "w"));
    let second = seal(&file(&spec), "1.1.0", Some(&first), parts("a", "w"));
    assert_ne!(first.revisions[&name("api")], second.revisions[&name("api")]);
    assert_eq!(
        first.revisions[&name("worker")],
        second.revisions[&name("worker")]
    );
}

#[test]
fn a_restart_is_a_new_revision_once() {
    let first = seal(&file(FILE), "1.0.0", None, parts("a", "w"));
    let api = name("api");
    let mut again = parts("a", "w");
    again.get_mut(&api).unwrap().restart = Some("1".to_owned());
    let restarted = seal(&file(FILE), "1.0.0", Some(&first), again);
    assert_ne!(first.revisions[&api], restarted.revisions[&api]);
    let after = seal(&file(FILE), "1.0.1", Some(&restarted), parts("a", "w"));
    assert_eq!(after.revisions, restarted.revisions);
}

#[test]
fn the_same_draft_is_the_same_release_and_reads_back() {
    let first = seal(&file(FILE), "1.0.0", None, parts("a", "w"));
    let again = seal(&file(FILE), "1.0.0", None, parts("a", "w"));
    assert_eq!(first, again);
    let read: Release = serde_json::from_str(&serde_json::to_string(&first).unwrap()).unwrap();
    assert_eq!(read, first);
    assert_eq!(read.sealed().id, first.id);
}

#[test]
fn an_unfinished_draft_is_refused() {
    let application = file(FILE);
    let version = "1.0.0".parse().unwrap();
    let mut draft = ReleaseDraft {
        application: &application,
        version: &version,
        previous: None,
        parts: BTreeMap::new(),
        migrations: BTreeMap::new(),
        files: BTreeMap::new(),
        changelog: None,
    };
    assert_eq!(
        draft.clone().seal().unwrap_err(),
        UnfinishedDraft::NoParts(name("api"))
    );
    let overlaid = file(&format!("{FILE}environments: {{staging: {{}}}}\n"));
    draft.application = &overlaid;
    assert_eq!(draft.seal().unwrap_err(), UnfinishedDraft::NoEnvironment);
}

#[test]
fn an_environment_has_times_and_tries_of_its_own_and_keeps_the_others() {
    let main = |keys: &str| format!("databases: {{main: {{url: \"sqlite:a.db\"{keys}}}}}\n");
    let application = file(&format!(
        "{FILE}{}environments:\n  staging:\n    {}",
        main(", statementTimeout: 15m, lockTries: 20"),
        main(", statementTimeout: 1m, lockTimeout: 2s")
    ));
    let staging = application.for_environment(&"staging".parse().unwrap()).unwrap();
    let own = &staging.databases[&"main".parse().unwrap()];
    assert_eq!(own.statement_timeout, Some(Span::from_mins(1)));
    assert_eq!(own.lock_timeout, Some(Span::from_secs(2)));
    assert_eq!(own.lock_tries, Some(20));
}

#[test]
fn environments_are_laid_over_and_unknown_ones_are_named() {
    let application = file(&format!(
        "{FILE}environments:\n  staging:\n    services: {{api: {{replicas: 3, environment: {{LEVEL: debug, MORE: x}}}}}}\n    contract: {{after: 1h}}\n    channel: beta\n"
    ));
    let staging = application.for_environment(&"staging".parse().unwrap()).unwrap();
    let api = &staging.services[&name("api")];
    assert_eq!((api.replicas, api.environment.len()), (3, 2));
    assert_eq!(api.environment["LEVEL"], "debug");
    assert!(staging.environments.is_empty());
    assert_eq!(staging.channel, cutover_model::Channel::Beta);
    let production = application
        .for_environment(&cutover_model::EnvironmentName::production())
        .unwrap();
    assert_eq!(production.services[&name("api")].replicas, 1);
    let error = application
        .for_environment(&"stagin".parse().unwrap())
        .unwrap_err();
    assert_eq!(error.code, "spec.unknown-environment");
    assert_eq!(error.label.as_deref(), Some("did you mean `staging`?"));
    assert_eq!(error.notes[0].1, "`production`, `staging`");
}

#[test]
fn the_example_of_the_design_is_valid() {
    let text = r#"
apiVersion: cutover/v1
application: shop
databases:
  main: {url: "${env:DATABASE_URL}", migrations: "./releases/{version}/migrations"}
services:
  api:
    target: {process: {command: ["./releases/{version}/shop"], ports: 20000-20999}}
    replicas: 4
    databases: [main]
    compatibleWith: {frontend: ">=1.0.0, <2.0.0"}
    health: {path: /ready, interval: 2s, rise: 2, fall: 3}
    smoke: [{get: /api/version}, {get: /api/db/ping}]
    router: {proxy: {listen: "127.0.0.1:8080"}}
  frontend:
    target: {process: {command: ["./releases/{version}/frontend"], ports: 21000-21999}}
    environment: {API: "${service:api.url}", RATIO: 1.10, ON: yes}
    dependsOn: [api]
    router: {proxy: {listen: "127.0.0.1:8081"}}
strategy:
  canary:
    steps:
      - setWeight: 10
      - pause: {duration: 5m}
      - pause:
      - analysis: {template: errors}
      - setWeight: 50
      - analysis: {template: errors}
    scaleDownDelay: 30s
analysis:
  errors: {metrics: [{errorRate: {max: 5}}, {sequential: {}}]}
contract: {after: manual}
requires:
"#;
    let application = file(text);
    // What is written without quotes is the text as written, not a number or a truth made into text again.
    let frontend = &application.services[&name("frontend")];
    assert_eq!(frontend.environment["RATIO"], "1.10");
    assert_eq!(frontend.environment["ON"], "yes");
}

#[test]
fn the_example_application_is_valid() {
    let parsed = cutover_spec::parse_with_warnings(
        "cutover.yaml",
        include_str!("../../../examples/shop/cutover.yaml"),
    )
    .unwrap();
    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
}
