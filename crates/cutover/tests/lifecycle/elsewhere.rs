//! An application whose file and state are named by every command: what is told about it names them, what is stored does not.

use std::path::Path;

use cutover_testkit::Ran;
use serde_json::Value;

use crate::stage::{GATED, Stage};

#[test]
fn what_to_do_next_is_told_for_the_place_where_the_upgrade_is() {
    let stage = Stage::new(GATED);
    let place = stage.path().display();
    let options = format!("--config {place}/cutover.yaml --state {place}/elsewhere");
    let elsewhere = |words: &str| -> Ran {
        let words: Vec<&str> = options.split(' ').chain(words.split(' ')).collect();
        let mut command = stage.command(&words);
        command.current_dir("/").env_remove("CUTOVER_STATE");
        command.output().unwrap().into()
    };
    elsewhere("upgrade 1.0.0 --yes").exits(0);
    let left = elsewhere("upgrade 1.1.0 --output json").exits(4).json();
    let next = left["next"][0].as_str().unwrap();
    assert_eq!(
        next,
        format!("cutover {options} approve, or cutover {options} abort"),
        "{left:#}"
    );
    let status = elsewhere("status --output json").exits(0).json();
    assert_eq!(status["upgrade"]["waiting"]["then"], next, "{status:#}");
    let shown = elsewhere("status").exits(0).stdout;
    assert!(shown.contains(&format!("cutover {options} ")), "{shown}");
    let stored = elsewhere("history show --output json").exits(0).stdout;
    assert!(
        stored.contains("cutover approve, or cutover abort") && !stored.contains("--state"),
        "{stored}"
    );

    let (_, abort) = next.split_once(", or ").unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_cutover")).parent().unwrap();
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir("/")
        .env("PATH", format!("{}:/usr/bin:/bin", binaries.display()))
        .args(["-c", abort]);
    Ran::from(shell.output().unwrap()).exits(0);
    let after = elsewhere("status --output json").exits(0).json();
    assert_eq!(after["upgrade"], Value::Null, "{after:#}");
    elsewhere("down --yes").exits(0);
}
