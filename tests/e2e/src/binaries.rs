//! Where the built programs are.

use std::path::PathBuf;

/// The folder that cargo put this build's programs into: tests run from `<target>/<profile>/deps`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let deps = test.parent().expect("the folder of the test");
    deps.parent().expect("the profile's folder").to_owned()
}

fn built(name: &str) -> PathBuf {
    let path = profile_folder().join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `cargo xtask test`, or `cargo build -p {name}`",
        path.display()
    );
    path
}

/// The binary under test.
#[must_use]
pub fn cutover() -> PathBuf {
    built("cutover")
}

/// The example application.
#[must_use]
pub fn shop() -> PathBuf {
    built("shop")
}
