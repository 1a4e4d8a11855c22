//! Migrations that are taken back while the application runs, and contracts that wait.

use crate::stage::{QUICK, Stage};

#[test]
fn what_runs_with_a_file_keeps_it_and_a_newer_release_s_goes_by_its_version() {
    let stage = Stage::new(QUICK);
    stage.run(&["upgrade", "1.0.0"]).exits(0);
    let refused = stage.run(&["migrate", "down", "--yes"]).exits(1).stderr;
    assert!(refused.contains("error[migrate.in-use]"), "{refused}");
    assert!(refused.contains("api 1.0.0 ×1, web 1.0.0 ×1"), "{refused}");
    let unasked = stage.run(&["migrate", "down", "--in-use"]).exits(2).stderr;
    assert!(unasked.contains("error[usage.not-confirmed]"), "{unasked}");

    stage.run(&["upgrade", "1.1.0", "--service", "api"]).exits(0);
    let waits = stage.run(&["migrate", "contract"]).exits(0).stdout;
    let words: Vec<&str> = waits.split_whitespace().collect();
    let waits = words.join(" ");
    assert!(
        waits.contains("main 004_drop_old_names waits until nothing below 1.1.0 is left"),
        "{waits}"
    );
    assert!(waits.contains("what is deployed has web 1.0.0"), "{waits}");

    stage.run(&["rollback"]).exits(0);
    let newer = stage.run(&["migrate", "down", "--yes"]).exits(1).stderr;
    assert!(newer.contains("cutover migrate down --release 1.1.0"), "{newer}");
    // What runs knows nothing of it.
    let done = stage
        .run(&["migrate", "down", "--release", "1.1.0", "--yes"])
        .exits(0)
        .stdout;
    assert!(done.contains("003_backfill_full_name"), "{done}");
}
