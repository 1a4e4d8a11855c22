//! `cutover analyze`: judgements without an upgrade, by the built binary.

#![cfg(test)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Command;

use cutover_testkit::{PrometheusServer, Ran};
use serde_json::{Value, json};

fn cutover(folder: &Path, arguments: &[&str]) -> Ran {
    Command::new(env!("CARGO_BIN_EXE_cutover"))
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("COLUMNS", "100")
        .env("TOKEN", "s3cret")
        .args(arguments)
        .output()
        .expect("cutover runs")
        .into()
}

#[test]
fn a_recording_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| std::fs::write(folder.path().join("recorded.json"), text).unwrap();
    write(
        r#"{"events":[
            {"at_ms":1,"revision":"candidate","ok":false},{"at_ms":2,"revision":"candidate","ok":false},
            {"at_ms":3,"revision":"stable","ok":true},{"at_ms":4,"revision":"candidate","ok":false}],
            "weights":[{"at_ms":0,"candidate":0.05}]}"#,
    );
    let analyze = ["analyze", "--input", "recorded.json", "--output", "json"];
    let ran = cutover(folder.path(), &analyze);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["verdict"], "Failed");
    assert_eq!(found["at_ms"], 4.0);
    assert_eq!(found["candidate_requests"], 3);
    assert!((found["log_evidence"].as_f64().unwrap() - 7.5076).abs() < 1e-3);

    write(r#"{"method":"mannWhitney","experiment":[1,null],"control":[1]}"#);
    let ran = cutover(folder.path(), &analyze);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&found["classification"], &found["criticalFailure"]),
        (&"Pass".into(), &false.into())
    );

    // As Python writes a point that is missing.
    write(r#"{"method":"mannWhitney","experiment":[NaN,NaN],"control":[1, 2]}"#);
    let ran = cutover(folder.path(), &analyze);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["classification"], "Nodata", "{}", ran.stderr);

    write(r#"{"method":"sequential","events":[],"weights":null,"strata":null}"#);
    let ran = cutover(folder.path(), &analyze);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&found["verdict"], &found["at_ms"]),
        (&"Inconclusive".into(), &serde_json::Value::Null)
    );

    for (text, problem) in [
        ("", "EOF"),
        ("[]", "must be an object"),
        (r#"{"method":"welch"}"#, "sequential, mannWhitney or kayenta"),
        (r#"{"method":3}"#, "line 1"),
        (
            r#"{"events":[{"at_ms":NaN,"revision":"stable","ok":true}]}"#,
            "null",
        ),
        (
            r#"{"events":[],"weights":[{"at_ms":0,"candidate":5}]}"#,
            "`weights[0].candidate`",
        ),
        (r#"{"events":[],"alpha":1e999}"#, "out of range"),
        (
            r#"{"method":"mannWhitney","experiment":[1e301],"control":[1]}"#,
            "`experiment`",
        ),
    ] {
        write(text);
        let ran = cutover(folder.path(), &analyze[..3]);
        assert_eq!(ran.code, 2, "{text}");
        assert!(
            ran.stderr.contains("analyze.input") && ran.stderr.contains(problem),
            "{text}: {}",
            ran.stderr
        );
    }

    write(r#"{"events":[{"at_ms":1,"revision":"canary","ok":true}]}"#);
    let ran = cutover(folder.path(), &analyze[..3]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("analyze.input") && ran.stderr.contains("canary"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_critical_failure_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let series = json!({"method": "mannWhitney", "experiment": [20, 22, 21, 25, 30], "control": [1, 2, 1, 2, 3], "critical": true});
    std::fs::write(folder.path().join("series.json"), series.to_string()).unwrap();
    let ran = cutover(folder.path(), &["analyze", "--input", "series.json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout
            .starts_with("High (critical failure): the candidate's are"),
        "{}",
        ran.stdout
    );
}

#[test]
fn metrics_are_scored_as_by_kayenta() {
    let folder = tempfile::tempdir().unwrap();
    let metric = |name: &str, group: &str, experiment: Value| json!({"name": name, "groups": [group], "experiment": experiment, "control": [1, 2, 1, 2, 3], "direction": "increase"});
    let canary = json!({
        "method": "kayenta",
        "metrics": [
            metric("errors", "quality", json!([1, 2, 1, 2, 3])),
            metric("p99", "speed", json!([20, 22, 21, 25, 30])),
            metric("p50", "speed", json!([1, 1, 2, 3, 2])),
        ],
        "groupWeights": {"quality": 60, "speed": 40},
        "thresholds": {"pass": 95, "marginal": 75},
    });
    std::fs::write(folder.path().join("canary.json"), canary.to_string()).unwrap();
    let found = cutover(
        folder.path(),
        &["analyze", "--input", "canary.json", "--output", "json"],
    )
    .json();
    assert_eq!(
        (&found["score"], &found["classification"]),
        (&json!(80.0), &json!("Marginal"))
    );
    assert_eq!(
        found["groups"],
        json!([{"name": "quality", "score": 100.0, "weight": 60.0}, {"name": "speed", "score": 50.0, "weight": 40.0}])
    );
    assert_eq!(found["metrics"][1]["classification"], "High");
    let said = cutover(folder.path(), &["analyze", "--input", "canary.json"]).stdout;
    assert!(
        said.starts_with("Marginal: the score is 80; from 95 on it passes, from 75 on it is marginal\nquality: 100.0, weight 60.0\n"),
        "{said}"
    );
    let mut unfit = canary;
    unfit["groupWeights"]["speed"] = json!(70);
    std::fs::write(folder.path().join("canary.json"), unfit.to_string()).unwrap();
    let ran = cutover(folder.path(), &["analyze", "--input", "canary.json"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("`groupWeights` must come to 100"),
        "{}",
        ran.stderr
    );
}

/// Answers every request with what stands at its path.
fn service(answers: &'static [(&str, &str)]) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = head
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let path = head[0].split(' ').nth(1).unwrap();
            let found = answers.iter().find(|(at, _)| path.split('?').next() == Some(*at));
            let (status, body) = found.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", *body));
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    address
}

#[test]
fn a_running_service_is_judged_by_what_it_says() {
    let address = service(&[
        (
            "/metrics",
            r#"{"total_requests":200.0,"total_errors":12,"avg_response_time_ms":41.5,"more":[]}"#,
        ),
        ("/untold", r#"{"total_requests":1}"#),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let judged = |url: &str, more: &[&str]| {
        let mut arguments = vec!["analyze", "--url", url];
        arguments.extend(more);
        cutover(folder.path(), &arguments)
    };
    let url = format!("{address}/metrics");
    let good = judged(&url, &["--max-error-rate", "10", "--max-avg-ms", "500"]);
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert!(
        good.stdout.starts_with("Successful: errors 6.0 %"),
        "{}",
        good.stdout
    );
    let bad = judged(&url, &["--max-error-rate", "5"]);
    assert_eq!(bad.code, 1, "{}", bad.stdout);
    assert!(bad.stdout.contains("more than 5.0 %"), "{}", bad.stdout);
    // The counters stand still: in this window nobody was answered.
    let silent = judged(&url, &["--max-error-rate", "5", "--window", "10ms"]);
    assert_eq!(silent.code, 4, "{}", silent.stdout);
    let untold = judged(&format!("{address}/untold"), &["--max-avg-ms", "5"]);
    assert_eq!(
        (untold.code, untold.stdout.as_str()),
        (4, "Inconclusive: the mean answer time is not told (1 request)\n")
    );
    assert_eq!(judged(&url, &[]).code, 2);
    for bound in ["--max-avg-ms=nan", "--max-avg-ms=inf", "--max-error-rate=-1"] {
        let wrong = judged(&url, &[bound]);
        assert!(
            wrong.code == 2 && wrong.stderr.contains("it must be a number, 0 or more"),
            "{bound}: {}",
            wrong.stderr
        );
    }
}

/// No answer is no verdict on the service: another exit code than for one that fails, and the verdict `Error`.
#[test]
fn a_service_that_tells_nothing_is_an_error_and_not_a_failure() {
    let address = service(&[
        ("/list", "[200, 1, 0.5, 3]"),
        ("/more", r#"{"total_requests":1,"total_errors":2}"#),
        ("/early", r#"{"total_requests":1,"avg_response_time_ms":-3}"#),
        ("/page", "<html>"),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    for (url, part) in [
        (format!("{address}/list?token=s3cret"), "a list"),
        (format!("{address}/more?token=s3cret"), "`total_errors` is more"),
        (format!("{address}/early?token=s3cret"), "must not be negative"),
        (format!("{address}/page?token=s3cret"), "not JSON"),
        (format!("{address}/none?token=s3cret"), "404"),
        (format!("{gone}/metrics?token=s3cret#x"), "refused"),
    ] {
        let arguments = ["analyze", "--url", &url, "--max-avg-ms", "5"];
        let text = cutover(folder.path(), &arguments);
        assert_eq!(text.code, 4, "{url}: {}", text.stderr);
        assert!(
            text.stderr.contains("analyze.no-answer")
                && text.stderr.contains(part)
                && !text.stderr.contains("s3cret"),
            "{url}: {}",
            text.stderr
        );
        let told = cutover(folder.path(), &[&arguments[..], &["--output", "json"]].concat());
        assert_eq!(told.code, 4, "{}", told.stderr);
        let found = told.json();
        assert_eq!(
            (&found["verdict"], &found["error"]["code"]),
            (&json!("Error"), &json!("analyze.no-answer"))
        );
        assert!(
            found["reason"].as_str().unwrap().contains(part) && !told.stdout.contains("s3cret"),
            "{}",
            told.stdout
        );
    }
}

/// A real Prometheus that scrapes nothing: `time()` is a series that grows, whenever it is asked.
#[tokio::test]
async fn what_a_prometheus_measured_is_compared() {
    let Some(mut server) = PrometheusServer::start().await.unwrap() else {
        return;
    };
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    let compared = |experiment: &str, control: &str, more: &[&str]| {
        let mut arguments = vec!["analyze", "--prometheus", &address, "--output", "json"];
        arguments.extend(["--experiment", experiment, "--control", control]);
        arguments.extend(more);
        cutover(folder.path(), &arguments)
    };
    let classified = |experiment: &str, control: &str, more: &[&str]| {
        let ran = compared(experiment, control, more);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        let found = ran.json();
        let word = found["classification"].as_str().unwrap().to_owned();
        (word, found["criticalFailure"] == json!(true))
    };
    // From 0 to 59 by the minute.
    let minutes = "floor(vector(time() / 60)) % 60";
    let higher = "100 + floor(vector(time() / 60)) % 60";
    let word = |word: &str, critical: bool| (word.to_owned(), critical);
    assert_eq!(classified(minutes, minutes, &[]), word("Pass", false));
    assert_eq!(classified(higher, minutes, &["--critical"]), word("High", true));
    assert_eq!(classified(minutes, higher, &[]), word("Low", false));
    assert_eq!(
        classified(minutes, higher, &["--direction", "increase"]),
        word("Pass", false)
    );
    let allowed = ["--allowed-increase", "9", "--since", "30m", "--step", "10s"];
    assert_eq!(
        classified(higher, "50 + floor(vector(time() / 60)) % 60", &allowed),
        word("Pass", false)
    );
    assert_eq!(
        classified(
            "absent(vector(1))",
            minutes,
            &["--must-have-data", "--nan-strategy", "replace"]
        ),
        word("Nodata", false)
    );
    assert_eq!(
        classified(
            higher,
            minutes,
            &[
                "--header",
                "Authorization: Bearer ${env:TOKEN}",
                "--effect-size-measure",
                "cles"
            ]
        ),
        word("High", false)
    );

    for (more, code, part) in [
        (
            &["--header", "Authorization: Bearer s3cret"][..],
            2,
            "${env:NAME}",
        ),
        (&["--header", "X-Key: ${env:NONE}"], 2, "NONE"),
        (&["--step", "1s", "--since", "100h"], 2, "11000"),
        (&["--tolerance", "7"], 2, "`tolerance`"),
        (&["--critical-increase", "2"], 2, "--critical"),
        (&["--direction", "up"], 2, "decrease"),
    ] {
        let ran = compared(higher, minutes, more);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(
            ran.code == code && said.contains(part) && !said.contains("s3cret"),
            "{more:?}: {said}"
        );
    }
    let login = address.replace("http://", "http://user:s3cret@");
    let arguments = [
        "analyze",
        "--prometheus",
        &login,
        "--experiment",
        "up",
        "--control",
        "up",
    ];
    let ran = cutover(folder.path(), &arguments);
    assert!(
        ran.code == 2 && ran.stderr.contains("--header") && !ran.stderr.contains("s3cret"),
        "{}",
        ran.stderr
    );
    let two = compared(
        "label_replace(vector(1), \"a\", \"b\", \"\", \"\") or vector(2)",
        minutes,
        &[],
    );
    assert!(two.code == 4 && two.stdout.contains("2 series"), "{}", two.stdout);
    let wrong = compared("rate(", minutes, &[]);
    assert!(
        wrong.code == 4 && wrong.stdout.contains("parse error"),
        "{}",
        wrong.stdout
    );

    server.kill();
    let gone = compared(higher, minutes, &[]);
    assert_eq!(gone.code, 4, "{}", gone.stdout);
    assert_eq!(gone.json()["verdict"], "Error");
}
