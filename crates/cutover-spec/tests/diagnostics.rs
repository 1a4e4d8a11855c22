//! Bad files and what is said about them: the snapshots are the review.

use std::fmt::Write as _;

use cutover_model::{Diagnostic, Severity};
use cutover_spec::parse_with_warnings;

/// A small file that is valid, to put one wrong thing into.
const BASE: &str = r#"apiVersion: cutover/v1
application: shop
databases:
  main: {url: "${env:DATABASE_URL}", migrations: "./releases/{version}/migrations"}
services:
  api:
    target: {process: {command: ["./releases/{version}/shop"], ports: 20000-20999}}
    replicas: 4
    databases: [main]
    health: {path: /ready, interval: 2s, rise: 2, fall: 3}
    smoke: [{get: /api/version}]
    router: {proxy: {listen: "127.0.0.1:8080"}}
  worker:
    target: {process: {command: ["./worker"]}}
    dependsOn: [api]
strategy:
  canary:
    steps:
      - setWeight: 10
      - pause: {duration: 5m}
      - analysis: {template: errors}
analysis:
  errors:
    metrics:
      - errorRate: {max: 5}
"#;

fn render(found: &[Diagnostic]) -> String {
    let mut text = String::new();
    for one in found {
        let word = match one.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        writeln!(text, "{word}[{}]: {}", one.code, one.message).expect("text takes any text");
        if let Some(at) = &one.location {
            writeln!(text, "  {}:{}:{}", at.file, at.line, at.column).expect("text takes any text");
            writeln!(text, "  | {}", at.text).expect("text takes any text");
            let space = " ".repeat(at.column - 1);
            let mark = "^".repeat(at.length);
            let label = one.label.as_deref().unwrap_or_default();
            writeln!(text, "  | {}", format!("{space}{mark} {label}").trim_end())
                .expect("text takes any text");
        } else if let Some(label) = &one.label {
            writeln!(text, "  {label}").expect("text takes any text");
        }
        for (key, value) in &one.notes {
            writeln!(text, "  {key}: {value}").expect("text takes any text");
        }
        if let Some(help) = &one.help {
            writeln!(text, "  help: {help}").expect("text takes any text");
        }
    }
    text
}

fn said_of(text: &str) -> String {
    match parse_with_warnings("cutover.yaml", text) {
        Ok(parsed) if parsed.warnings.is_empty() => "nothing\n".to_owned(),
        Ok(parsed) => render(&parsed.warnings),
        Err(found) => {
            assert!(found.iter().any(|one| one.severity == Severity::Error));
            render(&found)
        }
    }
}

/// What is said of the base file with each replacement made on its own.
fn table(cases: &[(&str, &str)]) -> String {
    let mut all = String::new();
    for (from, to) in cases {
        assert!(BASE.contains(from), "the base file does not hold {from:?}");
        let text = BASE.replacen(from, to, 1);
        writeln!(all, "--- {} → {}", from.escape_debug(), to.escape_debug()).expect("text takes any text");
        writeln!(all, "{}", said_of(&text)).expect("text takes any text");
    }
    all
}

#[test]
fn the_base_file_is_valid() {
    assert_eq!(said_of(BASE), "nothing\n");
}

#[test]
fn syntax() {
    let mut all = table(&[
        ("  api:\n", "  api\n"),
        ("  api:\n", "\tapi:\n"),
        ("[main]", "[main"),
        ("replicas: 4", "replicas: 4\n    replicas: 5"),
        ("replicas: 4", "replicas: *four"),
        ("replicas: 4", "? [a, b]\n    : 4"),
    ]);
    for text in [
        "",
        "# only a comment\n",
        "- a\n- b\n",
        "just words",
        "a: 1\n---\nb: 2\n",
    ] {
        writeln!(all, "--- {text:?}\n{}", said_of(text)).unwrap();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn keys() {
    let all = table(&[
        ("setWeight: 10", "setWeigth: 10"),
        ("setWeight: 10", "set_weight: 10"),
        ("replicas: 4", "replica: 4"),
        ("  canary:\n", "  canari:\n"),
        ("health: {path", "health: {minReadySeconds: 3, path"),
        ("    dependsOn: [api]", "    env: {A: b}"),
        ("{process: {command: [\"./worker\"]}}", "{docker: {image: x}}"),
        ("    target: {process: {command: [\"./worker\"]}}\n", ""),
        ("{process: {command: [\"./worker\"]}}", "{process: {}}"),
        ("{process: {command: [\"./worker\"]}}", "{process: }"),
        ("apiVersion: cutover/v1\n", ""),
        ("  canary:\n", "  recreate: {now: true}\n  canary:\n"),
        ("- setWeight: 10\n      - pause", "- setWeight: 10\n        pause"),
        ("errorRate: {max: 5}", "errorRate: {maximum: 5}"),
        ("errorRate: {max: 5}", "error_rate: {max: 5}"),
    ]);
    insta::assert_snapshot!(all);
}

#[test]
fn what_requests_are_matched_by() {
    let steps = "- setWeight: 10\n";
    assert!(BASE.contains(steps));
    let routing = |policy: &str| format!("{{listen: \"127.0.0.1:8080\", routing: {policy}}}");
    let listen = "{listen: \"127.0.0.1:8080\"}";
    let policies = [
        "{mirror: {methods: [post, GET], percentage: 0, queue: 0}}",
        "{mirror: {}, upstream: h2c}",
        "{mirror: {methods: []}}",
        "{rules: [{match: {headers: {\"X A\": {exact: b}}, path: {regex: \"(\"}}, to: candidate}]}",
        "{strata: [{name: checkout, match: {path: {prefix: /checkout}}}], split: smooth}",
        "{strata: [{name: checkout, match: {path: {prefix: /checkout}}}], sticky: {source: {}}}",
        "{strata: [{name: \" \", match: {path: {regex: \"(\"}}}, {name: a, match: {}}, {name: a, match: {host: {exact: b}}}]}",
        "{strata: [{name: a, match: {path: {exact: /a}}, weight: 2}]}",
    ]
    .map(routing);
    let step = |step: &str| format!("- {step}\n      - setWeight: 10\n");
    let written = [
        "setHeaderRoute: {name: a}",
        "setHeaderRoute: {name: a, match: [{headerName: \"\", headerValue: {regex: \"[\"}}]}",
        "setHeaderRoute: {name: a, match: [{headerName: X-A, headerValue: {exact: b}}]}",
        "setMirrorRoute: {percentage: 101}",
        "setMirrorRoute: {percentage: 5, name: a}",
        "setMirrorRoute: {percentage: 5}",
    ]
    .map(step);
    let mut cases: Vec<(&str, &str)> = policies.iter().map(|policy| (listen, policy.as_str())).collect();
    cases.extend(written.iter().map(|step| (steps, step.as_str())));
    insta::assert_snapshot!(table(&cases));
}

#[test]
fn types_and_values() {
    let all = table(&[
        ("replicas: 4", "replicas: four"),
        ("replicas: 4", "replicas: 0"),
        ("replicas: 4", "replicas: 4.5"),
        ("replicas: 4", "replicas: [4]"),
        ("replicas: 4", "replicas:"),
        ("setWeight: 10", "setWeight: 10%"),
        ("setWeight: 10", "setWeight: 101"),
        ("setWeight: 10", "setWeight: -1"),
        ("duration: 5m", "duration: 300"),
        ("duration: 5m", "duration: 5 minutes"),
        ("duration: 5m", "duration: soon"),
        ("- pause: {duration: 5m}", "- pause"),
        ("- pause: {duration: 5m}", "- wait"),
        ("[main]", "main"),
        ("[main]", "[Main_DB]"),
        ("  api:\n", "  Api:\n"),
        ("application: shop", "application: My Shop"),
        ("ports: 20000-20999", "ports: 20000"),
        ("strategy:\n", "contract: {after: nextupgrade}\nstrategy:\n"),
        ("fall: 3", "fall: 0"),
        ("fall: 3", "degraded: unready"),
        ("max: 5", "max: five"),
        ("max: 5", "max: .nan"),
        ("strategy:\n", "autoRollbackOnFailure: perhaps\nstrategy:\n"),
        ("services:\n", "services: {}\nx:\n"),
    ]);
    insta::assert_snapshot!(all);
}

#[test]
fn services() {
    let all = table(&[
        ("cutover/v1", "cutover/v2"),
        ("20000-20999", "20000-20006"),
        ("20000-20999", "40000-40999"),
        (", ports: 20000-20999", ""),
        ("8080", "20005"),
        ("127.0.0.1:8080", "8080"),
        ("127.0.0.1:8080", ":8080"),
        ("127.0.0.1:8080", "http://localhost"),
        ("[main]", "[mian]"),
        ("dependsOn: [api]", "dependsOn: [apy]"),
        ("dependsOn: [api]", "dependsOn: [worker]"),
        ("    replicas: 4", "    replicas: 4\n    dependsOn: [worker]"),
        (
            "    replicas: 4",
            "    replicas: 4\n    environment: {SMTP_PASSWORD: hunter2, TOKEN_TTL: \"60\"}",
        ),
        (
            "dependsOn: [api]",
            "compatibleWith: {apis: \">=1\", worker: \"*\"}",
        ),
        ("dependsOn: [api]", "compatibleWith: {api: \">=1.x.y\"}"),
        ("dependsOn: [api]", "smoke: [{get: /x}]"),
        ("dependsOn: [api]", "health: {path: /x}"),
        ("{get: /api/version}", "{get: api/version}"),
        ("{get: /api/version}", "{get: \"http://h/api\"}"),
        ("{path: /ready, ", "{"),
        ("path: /ready,", "path: /ready, readiness: {path: /r},"),
        ("interval: 2s", "interval: 0s"),
        ("interval: 2s", "minReady: 11m"),
        ("[\"./worker\"]", "[]"),
        ("[\"./worker\"]", "[\"./{verison}/worker\"]"),
        ("[\"./worker\"]", "[\"./worker\", \"--key=${env:KEY}\"]"),
        (
            "dependsOn: [api]",
            "environment: {A: \"${HOME}\", B: \"${env:\", C: \"${service:apy.url}\", D: \"${service:worker.url}\", PORT: 1, E: \"$${ok}\"}",
        ),
        ("strategy:\n", "upgradesFrom: latest\nstrategy:\n"),
    ]);
    insta::assert_snapshot!(all);
}

#[test]
fn databases() {
    let url = "\"${env:DATABASE_URL}\"";
    let all = table(&[
        (url, "shop.db"),
        (url, "\"sqlite:\""),
        (url, "\"sqlite::memory:\""),
        (url, "mysql://root@localhost/shop"),
        (url, "mongodb://localhost/shop"),
        (url, "postgress://localhost/shop"),
        (url, "redis://localhost"),
        (url, "postgres:localhost"),
        (url, "postgres://shop:hunter2@localhost/shop"),
        (url, "postgres://shop:hunter2@localhost/${DB}"),
        (url, "\"postgres://shop:${env:PASSWORD}@localhost/shop\""),
        (url, "\"${service:api.url}\""),
    ]);
    insta::assert_snapshot!(all);
}

#[test]
fn how_long_statements_run_and_locks_are_tried() {
    let end = "migrations\"}";
    let written = [
        "statementTimeout: 10m, lockTimeout: 2s, lockTries: 1000",
        "statementTimeout: 0",
        "lockTimeout: 0s",
        "lockTries: 0",
        "lockTries: 1001",
        "statementTimeout: none",
        "statementTimeOut: 1m",
    ]
    .map(|keys| format!("migrations\", {keys}}}"));
    let cases: Vec<(&str, &str)> = written.iter().map(|text| (end, text.as_str())).collect();
    insta::assert_snapshot!(table(&cases));
}

#[test]
fn what_the_linter_leaves_out() {
    let end = "migrations\"}";
    let written = [
        "[{rule: drop-colum, reason: \"only the exporter read it\"}]",
        "[{rule: nothing-of-the-kind, reason: x}]",
        "[{rule: drop-column, reason: \" \"}]",
        "[{rule: drop-column}]",
        "[{rule: drop-column, reason: x, paths: [\"\"]}]",
        "[{rule: drop-column, reason: x, paths: [\"00[1_*\"]}]",
        "[{rule: drop-column, reason: x, path: [\"001_*\"]}]",
        "[{rule: drop-column, reason: x, paths: [\"001_*\"]}]",
    ]
    .map(|allow| format!("migrations\", lint: {{allow: {allow}}}}}"));
    let cases: Vec<(&str, &str)> = written.iter().map(|text| (end, text.as_str())).collect();
    insta::assert_snapshot!(table(&cases));
}

#[test]
fn strategies() {
    let steps = "    steps:\n      - setWeight: 10\n      - pause: {duration: 5m}\n      - analysis: {template: errors}\n";
    let canary = format!("  canary:\n{steps}");
    let rolling = |text: &str| format!("  rolling: {text}\n");
    let cases: Vec<(String, String)> = vec![
        ("setWeight: 10".into(), "setWeight: 0".into()),
        (steps.into(), "    steps: [{pause: {duration: 1m}}]\n".into()),
        (
            steps.into(),
            "    steps: [{setWeight: 50}, {setWeight: 20}]\n".into(),
        ),
        (
            steps.into(),
            "    steps: [{setCanaryScale: {replicas: 5}}, {setWeight: 20}]\n".into(),
        ),
        (
            steps.into(),
            "    steps: [{setCanaryScale: {replicas: 0}}, {setWeight: 20}]\n".into(),
        ),
        (
            steps.into(),
            "    steps: [{setWeight: 20}, {setCanaryScale: {replicas: 0}}]\n".into(),
        ),
        (
            steps.into(),
            "    steps: [{setWeight: 20}, {pause: {}}, {pause: {duration: 0s}}]\n".into(),
        ),
        (steps.into(), "    steps: []\n".into()),
        ("{template: errors}".into(), "{template: error}".into()),
        (
            steps.into(),
            "    steps: [{setWeight: 20}, {setWeight: 50}]\n    analysis: {template: errors, startingStep: 2}\n".into(),
        ),
        (
            steps.into(),
            "    steps: [{setWeight: 20}, {setWeight: 50}]\n    analysis: {template: errors, startingStep: 1}\n".into(),
        ),
        (canary.clone(), rolling("{maxSurge: 0, maxUnavailable: 0}")),
        (canary.clone(), rolling("{maxSurge: 0, maxUnavailable: 1}")),
        (
            canary.clone(),
            rolling("{maxSurge: 25%, analysis: {template: latency}}"),
        ),
        (canary.clone(), rolling("{maxSurge: a few}")),
        (
            canary.clone(),
            "  blueGreen: {previewReplicaCount: 0, prePromotionAnalysis: {template: x}}\n".into(),
        ),
        (canary.clone(), "  recreate\n".into()),
        (canary, "  recreate: {}\n".into()),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let all = table(&cases);
    insta::assert_snapshot!(all);
}

#[test]
fn analyses() {
    let all = table(&[
        ("    metrics:\n      - errorRate: {max: 5}", "    metrics: []"),
        ("    metrics:\n      - errorRate: {max: 5}", "    interval: 1s"),
        ("errorRate: {max: 5}", "errorRate: {}"),
        ("errorRate: {max: 5}", "latency: {quantile: 0.99}"),
        ("errorRate: {max: 5}", "latency: {quantile: 99, max: 0s}"),
        ("errorRate: {max: 5}", "errorRate: {max: 100}"),
        ("errorRate: {max: 5}", "errorRate: {max: 101, maxRatio: 0}"),
        ("errorRate: {max: 5}", "errorRate: {maxRatio: 0.5}"),
        ("errorRate: {max: 5}", "sequential: {alpha: 1}"),
        ("errorRate: {max: 5}", "sequential: {}"),
        ("    metrics:", "    interval: 50ms\n    metrics:"),
        ("    metrics:", "    count: 0\n    metrics:"),
        ("    metrics:", "    count: 3\n    failureLimit: 3\n    metrics:"),
        ("    metrics:", "    failureLimit: 3\n    metrics:"),
        (
            "      - analysis: {template: errors}\nanalysis:\n  errors:",
            "    analysis: {template: errors}\nanalysis:\n  errors:\n    failureLimit: 3\n    consecutiveSuccessLimit: 2",
        ),
        (
            "    metrics:",
            "    count: 2\n    consecutiveSuccessLimit: 3\n    metrics:",
        ),
        ("    metrics:", "    dryRun: [latency]\n    metrics:"),
        (
            "    metrics:\n      - errorRate: {max: 5}",
            "    baseline: preSwitch\n",
        ),
        (
            "    metrics:",
            "    baseline: preSwitch\n    metrics:\n      - sequential: {}",
        ),
        (
            "errorRate: {max: 5}",
            "change: {maxErrorRatio: 0.5, maxAvgIncrease: 0s, minRequestRatio: 1}",
        ),
        ("    metrics:", "    dryRun: [latencies]\n    metrics:"),
        (
            "    metrics:",
            "    dryRun: [\"*\"]\n    count: 3\n    consecutiveSuccessLimit: 3\n    metrics:",
        ),
    ]);
    insta::assert_snapshot!(all);
}

/// An analysis that others wait for ends after `count` measurements; one in the background never does.
#[test]
fn an_inline_analysis_can_fail() {
    let head = BASE.split("strategy:").next().unwrap();
    let codes = |strategy: &str| -> Vec<String> {
        let text = format!(
            "{head}strategy:\n  {strategy}\nanalysis:\n  errors: {{failureLimit: 1, metrics: [{{errorRate: {{max: 5}}}}]}}\n"
        );
        match cutover_spec::parse("cutover.yaml", &text) {
            Ok(_) => Vec::new(),
            Err(found) => found.into_iter().map(|one| one.code).collect(),
        }
    };
    for inline in [
        "canary: {steps: [{setWeight: 20}, {analysis: {template: errors}}]}",
        "canary: {steps: [{setWeight: 20}, {analysis: {template: errors}}], analysis: {template: errors}}",
        "blueGreen: {prePromotionAnalysis: {template: errors}}",
        "blueGreen: {postPromotionAnalysis: {template: errors}}",
    ] {
        assert_eq!(codes(inline), ["spec.no-condition"], "{inline}");
    }
    for background in [
        "canary: {steps: [{setWeight: 20}, {setWeight: 50}], analysis: {template: errors}}",
        "rolling: {analysis: {template: errors}}",
    ] {
        assert_eq!(codes(background), [""; 0], "{background}");
    }
}

#[test]
fn the_time_with_all_requests_is_not_looked_at_before_it() {
    let (head, _) = BASE.split_once("strategy:\n").unwrap();
    let said = |strategy: &str| {
        said_of(&format!(
            "{head}strategy:\n  {strategy}\nanalysis:\n  later: {{metrics: [{{change: {{}}}}]}}\n"
        ))
    };
    let before = said("blueGreen: {prePromotionAnalysis: {template: later}}");
    assert!(
        before.contains(
            "`later` looks at the time in which the candidate has all requests, and here it has none"
        ),
        "{before}"
    );
    for fine in [
        "blueGreen: {postPromotionAnalysis: {template: later}}",
        "canary: {steps: [{setWeight: 20}, {setWeight: 50}], analysis: {template: later}}",
    ] {
        assert_eq!(said(fine), "nothing\n", "{fine}");
    }
}

#[test]
fn the_time_before_a_switch_is_compared_with_after_one_only() {
    let (head, _) = BASE.split_once("strategy:\n").unwrap();
    let said = |strategy: &str| {
        said_of(&format!(
            "{head}strategy:\n  {strategy}\nanalysis:\n  before: {{baseline: preSwitch, metrics: [{{change: {{}}}}]}}\n"
        ))
    };
    for elsewhere in [
        "canary: {steps: [{setWeight: 20}, {setWeight: 50}], analysis: {template: before}}",
        "canary: {steps: [{setWeight: 20}, {analysis: {template: before}}]}",
        "rolling: {analysis: {template: before}}",
        "blueGreen: {prePromotionAnalysis: {template: before}}",
    ] {
        let said = said(elsewhere);
        assert!(
            said.contains("compares with the time before a switch, and there is none here"),
            "{elsewhere}: {said}"
        );
    }
    assert_eq!(
        said("blueGreen: {postPromotionAnalysis: {template: before}}"),
        "nothing\n"
    );
}

#[test]
fn environments() {
    let after = |text: &str| format!("{BASE}environments:\n{text}");
    let mut all = String::new();
    for text in [
        "  staging: {}\n",
        "  staging: {services: {api: {replicas: 600}}}\n",
        "  staging: {services: {apy: {replicas: 1}}}\n",
        "  staging:\n    strategy:\n      rolling: {maxSurge: 0}\n",
        "  staging:\n    strategy:\n      canary: {steps: [{setWeight: 0}]}\n",
        "  staging: {databases: {main: {url: nothing}}}\n",
        "  staging: {services: {worker: {environment: {A: \"${B}\"}}}}\n",
        "  staging: {service: {}}\n",
        "  production: {requires: {succeededIn: stagin}}\n  staging: {}\n",
        "  staging: {requires: {succeededIn: staging}}\n",
    ] {
        writeln!(all, "--- {text:?}\n{}", said_of(&after(text))).unwrap();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let text = BASE
        .replace("setWeight: 10", "setWeight: 0")
        .replace("[main]", "[mian]")
        .replace("dependsOn: [api]", "dependsOn: [worker]")
        .replace("{max: 5}", "{}")
        .replace("20000-20999", "40000-40001");
    let all = said_of(&text);
    insta::assert_snapshot!(all);
    let text = BASE
        .replace("setWeight: 10", "setWeigth: 0")
        .replace("replicas: 4", "replicas: four")
        .replace("max: 5", "max: five");
    let all = said_of(&text);
    insta::assert_snapshot!("misshapen", all);
}

#[test]
fn a_query_says_where_and_what_for() {
    let with = |query: &str| {
        format!(
            "apiVersion: cutover/v1\napplication: shop\nservices:\n  api:\n    target: {{process: {{command: [./api], ports: 20000-20999}}}}\n    \
             router: {{proxy: {{listen: \"127.0.0.1:8080\"}}}}\nanalysis:\n  errors:\n    metrics:\n      - query: {query}\n"
        )
    };
    let codes = |query: &str| -> Vec<String> {
        match cutover_spec::parse("cutover.yaml", &with(query)) {
            Ok(_) => Vec::new(),
            Err(found) => found.into_iter().map(|one| one.code).collect(),
        }
    };
    let provider = "provider: {web: {url: \"http://127.0.0.1/\"}}";
    assert!(codes(&format!("{{{provider}, successCondition: \"result < 1\"}}")).is_empty());
    assert_eq!(codes(&format!("{{{provider}}}")), ["spec.no-condition"]);
    assert_eq!(
        codes(&format!("{{{provider}, failureCondition: \"rate > 1\"}}")),
        ["spec.condition"]
    );
    for condition in [
        "true",
        "5",
        "'a' < 1",
        "len(result)",
        "result + 1",
        "result > 1 && 2",
    ] {
        assert_eq!(
            codes(&format!("{{{provider}, successCondition: \"{condition}\"}}")),
            ["spec.condition"],
            "{condition}"
        );
    }
    assert_eq!(
        codes(
            "{provider: {prometheus: {address: 127.0.0.1, query: up}}, successCondition: \"result[0] == 1\"}"
        ),
        ["spec.invalid-value"]
    );
}

#[test]
fn arguments_of_templates() {
    let found = |args: &str, used: &str| {
        let query = "- query: {provider: {logs: {pattern: \"${args.pattern}\"}}, failureCondition: \"result.candidate.matching > ${args.most}\"}";
        said_of(
            &BASE
                .replace("- errorRate: {max: 5}", query)
                .replace(
                    "errors:\n    metrics:",
                    &format!("errors:\n    args: {args}\n    metrics:"),
                )
                .replace("{template: errors}", used),
        )
    };
    let whole = "{pattern: ERROR, most: null}";
    assert_eq!(
        found(whole, "{template: errors, args: {most: \"3\"}}"),
        "nothing\n"
    );
    let mut all = String::new();
    for (args, used) in [
        (whole, "{template: errors}"),
        (whole, "{template: errors, args: {most: \"3\", patern: x}}"),
        ("{pattern: ERROR}", "{template: errors}"),
        ("{pattern: \"(\", most: \"3\"}", "{template: errors}"),
    ] {
        writeln!(all, "--- {args}, {used}\n{}", found(args, used)).unwrap();
    }
    insta::assert_snapshot!(all);
}

/// What is said of one provider.
fn provider(provider: &str) -> String {
    let query = format!("- query: {{provider: {{{provider}}}, successCondition: \"result[0] < 1\"}}");
    said_of(&BASE.replace("- errorRate: {max: 5}", &query))
}

#[test]
fn providers_that_are_right_say_nothing() {
    for right in [
        r#"prometheus: {address: "https://p.example:9090/prefix/", query: "up{v=\"${candidate.version}\"}", range: 5m}"#,
        r#"prometheus: {address: "http://p", query: up, range: 10s, step: 10s, headers: {Authorization: "Bearer ${env:T}"}}"#,
        r#"web: {url: "http://w/?v=${candidate.version}", body: "{\"v\": \"${stable.version}\"}", path: /data/0}"#,
        r#"web: {url: "http://w", body: "a=b", headers: {Content-Type: text/plain}, timeout: 3s}"#,
        r#"graphite: {address: "http://g", query: "a.b", range: 1h}"#,
        r#"influxdb: {address: "http://i", org: o, query: "from(bucket: \"${r.x}\")", headers: {Authorization: "Token ${env:T}"}}"#,
        r#"datadog: {query: "avg:x{*}", headers: {dd-api-key: "${env:A}", DD-APPLICATION-KEY: "${file:b}"}}"#,
        r#"newRelic: {account: 7, query: "SELECT 1", headers: {API-Key: "${env:A}"}}"#,
        r#"cloudWatch: {region: eu-central-1, namespace: a, metricName: b, dimensions: {V: "${candidate.version}"}, statistic: p99, period: 10s, range: 10s, accessKeyId: "${env:A}", secretAccessKey: "${file:b}", sessionToken: "${env:C}"}"#,
        r#"cloudWatch: {address: "http://127.0.0.1:5000", region: r, namespace: a, metricName: b, statistic: Sum, period: 2m, accessKeyId: "${env:A}", secretAccessKey: "${env:B}"}"#,
        r#"sql: {database: main, query: "select 1 as n"}"#,
        r#"command: {command: [./check.sh, "${candidate.version}"], environment: {TOKEN: "${env:TOKEN}"}}"#,
        r#"logs: {pattern: "ERROR|panicked"}"#,
        r#"resources: {}"#,
    ] {
        assert_eq!(provider(right), "nothing\n", "{right}");
    }
}

#[test]
fn the_providers_of_the_documentation_are_right() {
    let page = include_str!("../../../docs/concepts/analysis.md");
    let mut blocks = page
        .split("```yaml\n")
        .filter(|block| block.starts_with("prometheus:"));
    let block = blocks.next().unwrap().split("```").next().unwrap();
    let mut examples: Vec<String> = Vec::new();
    for line in block.lines() {
        match examples.last_mut() {
            Some(last) if line.starts_with(' ') => {
                writeln!(last, "            {line}").unwrap();
            }
            _ => examples.push(format!("            {line}\n")),
        }
    }
    assert_eq!(examples.len(), 7);
    for example in examples {
        let query =
            format!("- query:\n          successCondition: result < 1\n          provider:\n{example}");
        let text = BASE.replace("- errorRate: {max: 5}\n", &query);
        assert_ne!(text, BASE);
        assert_eq!(said_of(&text), "nothing\n", "{example}");
    }
}

#[test]
fn providers() {
    let keys = r#"accessKeyId: "${env:A}", secretAccessKey: "${env:B}""#;
    let mut all = String::new();
    for wrong in [
        "statsd: {address: x}",
        "prometheus: {address: \"http://p\"}",
        "prometheus: {address: \"http://p\", query: up, steps: 5s}",
        "prometheus: {address: \"http://p\", query: up, range: five}",
        "prometheus: {address: \"http://p\", query: \" \"}",
        "prometheus: {address: 127.0.0.1, query: up, timeout: 0s}",
        "prometheus: {address: \"ftp://p\", query: up}",
        "prometheus: {address: \"http://p/?a=b\", query: up}",
        "prometheus: {address: \"${env:P}\", query: \"up{a=\\\"${file:b}\\\"}\"}",
        "prometheus: {address: \"http://p\", query: up, range: 10s}",
        "prometheus: {address: \"http://p\", query: up, range: 1m, step: 2m}",
        "prometheus: {address: \"http://p\", query: up, range: 1m, step: 0s}",
        "prometheus: {address: \"http://p\", query: up, step: 30s}",
        "prometheus: {address: \"http://u:hunter2@p\", query: up, headers: {Authorization: \"Bearer hunter2\", Host: p, a b: c, X: \"${candidate.version}\"}}",
        "web: {url: \"http:///x\"}",
        "web: {url: \"${service}/x\", path: \"data[0].value\"}",
        "web: {url: \"http://w\", body: \"${env:TOKEN}\", method: POST}",
        "web: {url: \"http://w\", body: \"${env:TOKEN}\"}",
        "graphite: {address: \"http://g\", query: a, range: 500ms}",
        "influxdb: {address: \"http://i\", query: a}",
        "influxdb: {address: \"http://i\", org: \"\", query: a, range: 5m}",
        "datadog: {query: a, headers: {DD-API-KEY: plain-hunter2}}",
        "newRelic: {account: abc, query: a}",
        "newRelic: {account: 7, query: a}",
        "newRelic: {account: 0, query: a, headers: {API-Key: NRAK-hunter2}}",
        "cloudWatch: {region: r, namespace: a, metricName: b, statistic: Sum}",
        &format!(
            "cloudWatch: {{region: EU West, namespace: \"\", metricName: b, statistic: \"\", period: 90s, range: 1m, dimensions: {{A: \"${{env:X}}\"}}, {keys}}}"
        ),
        &format!(
            "cloudWatch: {{region: r, namespace: a, metricName: b, statistic: Sum, headers: {{}}, {keys}}}"
        ),
        &format!(
            "cloudWatch: {{region: r, namespace: a, metricName: b, statistic: Sum, address: monitoring, {keys}}}"
        ),
        "cloudWatch: {region: r, namespace: a, metricName: b, statistic: Sum, accessKeyId: AKIAHUNTER2, secretAccessKey: \"hunter2${env:B}\", sessionToken: \"${service:api.url}\"}",
        "sql: {database: man, query: \"select 1\"}",
        "sql: {database: main, query: \" \", timeout: 0s}",
        "command: {command: []}",
        "command: {command: [./check.sh, \"--token=${env:TOKEN}\"]}",
        "logs: {pattern: \"(\"}",
        "resources: {cpu: 1}",
    ] {
        writeln!(all, "--- {wrong}\n{}", provider(wrong)).unwrap();
    }
    insta::assert_snapshot!(all);
}

fn gates(gates: &str) -> String {
    let text = format!("{BASE}gates:\n{gates}");
    match parse_with_warnings("cutover.yaml", &text) {
        Ok(parsed) => render(&parsed.warnings),
        Err(found) => render(&found),
    }
}

#[test]
fn gates_that_are_right_say_nothing() {
    let text = "  window: {open: \"Mon-Fri 09:00-16:00\", timezone: Europe/Zurich, freeze: [{from: 2026-12-20, to: 2027-01-04, reason: year end}]}\n  webhooks:\n    - {name: ticket, at: confirmRollout, url: \"https://x.example/\", headers: {Authorization: \"Bearer ${env:T}\"}}\n";
    assert_eq!(gates(text), "");
}

#[test]
fn gates_of_a_wrong_shape() {
    insta::assert_snapshot!(gates(
        "  window:\n    open: \"Mo-Fr 9-16\"\n    timezone: Zurich\n    freeze: [{from: 2026-02-30, to: tomorrow}]\n    outside: ignore\n  webhooks:\n    - {name: x, at: confirmRolout, url: \"http://x/\"}\n"
    ));
}

#[test]
fn gates_that_make_no_sense() {
    insta::assert_snapshot!(gates(
        "  window: {freeze: [{from: 2026-12-20, to: 2026-12-19}]}\n  webhooks:\n    - {name: a, at: confirmRollout, url: \"ftp://x/\", once: true, timeout: 1m}\n    - {name: a, at: confirmRollout, url: \"http://bob:hunter2@x/\", interval: 1ms, deadline: 0s}\n    - {name: b, at: rollback, url: \"https://\", headers: {X-Api-Key: hunter2, Host: y, \"a b\": c, X-Env: \"${evn:A}\"}}\n"
    ));
}

#[test]
fn windows_that_never_open_or_always_are() {
    let never = gates("  window: {freeze: [{from: 2026-01-01, to: 9999-12-31}]}\n");
    assert!(never.starts_with("error[spec.never-opens]"), "{never}");
    let always = gates("  window: {timezone: UTC}\n");
    assert!(always.starts_with("error[spec.no-effect]"), "{always}");
}

#[test]
fn resilience() {
    let listen = "router: {proxy: {listen: \"127.0.0.1:8080\"}}";
    let routing =
        |keys: &str| format!("router: {{proxy: {{listen: \"127.0.0.1:8080\", routing: {{{keys}}}}}}}");
    let texts: Vec<String> = [
        "retries: {attempts: 11, budgetPercent: 101}",
        "retries: {perTryTimeout: 60s}",
        "retries: {retryOn: [gateway-error]}",
        "retries: {retry: 2}",
        "timeouts: {connect: 0s, idle: 0}",
        "drain: {webSockets: 10m, eventStreams: 30s}",
        "outlierDetection: {maxEjectionPercent: 120, baseEjectionTime: 10m}",
        "circuit: {maxRequests: 0, pendingTimeout: 0s}",
        "health: {path: ready, rise: 0, fall: 101, interval: 100ms}",
        "health: {path: /ready, rise: 1, interval: 1s, fastInterval: 100ms}, circuit: {maxRequests: 10}",
    ]
    .iter()
    .map(|keys| routing(keys))
    .collect();
    let cases: Vec<(&str, &str)> = texts.iter().map(|text| (listen, text.as_str())).collect();
    insta::assert_snapshot!(table(&cases));
}

#[test]
fn runners() {
    let files = "migrations: \"./releases/{version}/migrations\"";
    let all = table(&[
        (files, "runner: {preset: alembic}"),
        (files, "runner: {preset: alembic, in: candidate, timeout: 1h}"),
        (
            files,
            "runner: {up: [./m, up], current: [./m, at], down: [./m, to, \"{revision}\"], base: zero, directory: \"./releases/{version}\", environment: {A: \"${env:B}\"}}",
        ),
        (files, "runner: {up: [./m, up]}"),
        (files, "migrations: ./m, runner: {preset: alembic}"),
        (files, "runner: {preset: alembic}, recycleConnections: true"),
        (files, "runner: {preset: alembic}, statementTimeout: 1h"),
        (files, "runner: {preset: alembic}, lockTimeout: 1s, lockTries: 3"),
        (files, "runner: {}"),
        (files, "runner: {preset: alembik}"),
        (files, "runner: {preset: alembic, in: candidat}"),
        (files, "runner: {up: \"alembic upgrade head\"}"),
        (files, "runner: {up: [\"\"]}"),
        (files, "runner: {up: [m, \"--url=${env:DATABASE_URL}\"]}"),
        (files, "runner: {up: [m], down: [m, \"{revision}\"]}"),
        (files, "runner: {up: [m], current: [m, at], down: [m, down]}"),
        (files, "runner: {preset: alembic, timeout: 0}"),
        (files, "runner: {preset: alembic, in: candidate, directory: ./db}"),
        (files, "runner: {preset: alembic, service: api}"),
        (files, "runner: {preset: alembic, in: candidate, service: apy}"),
        (
            files,
            "runner: {preset: alembic, environment: {\"A=B\": c, DB_PASSWORD: hunter2, C: \"${DATABASE_URL}\"}}",
        ),
    ]);
    let nobody = BASE
        .replace(files, "runner: {preset: alembic, in: candidate}")
        .replace("    databases: [main]\n", "");
    insta::assert_snapshot!(all + &said_of(&nobody));
}
