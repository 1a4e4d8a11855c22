//! What stands in for MongoDB in tests: a server from PyPI, in a Python environment of its own below the target folder.
//!
//! It is not a need: where PyPI cannot be reached, its tests are skipped and say why.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo;
use crate::debian;
use crate::repository::Repository;

/// Where the testkit looks for it (`cutover-testkit/src/mongodb.rs`).
const FOLDER: &str = "tools/nx-27017";

/// And for the reason why it is not there.
const WHY_NOT: &str = "tools/nx-27017.why-not";

/// All that it is made of, so that tomorrow's tests run on what today's ran on.
const PACKAGES: [&str; 4] = [
    "nx-27017==0.8.1",
    "neosqlite==1.17.2",
    "pymongo==4.20.1",
    "dnspython==2.9.2",
];

/// Installs it where it is missing, or writes down why that did not work.
pub(crate) fn ensure(repository: &Repository, install: bool) -> Result<()> {
    let target = cargo::metadata(repository)?.target_directory.into_std_path_buf();
    let (folder, why_not) = (target.join(FOLDER), target.join(WHY_NOT));
    if folder.join("bin/nx-27017").is_file() {
        return Ok(());
    }
    let made = if install {
        make(&folder)
    } else {
        Err(anyhow::anyhow!("it was not to be installed"))
    };
    let Err(error) = made else {
        println!("installed what stands in for MongoDB");
        return forget(&why_not);
    };
    // Half of it would be taken for the whole.
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    println!("the tests of MongoDB are skipped: {error:#}");
    if let Some(parent) = why_not.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    fs::write(&why_not, format!("{error:#}\n")).with_context(|| format!("cannot write {}", why_not.display()))
}

fn forget(why_not: &Path) -> Result<()> {
    if why_not.exists() {
        fs::remove_file(why_not).with_context(|| format!("cannot remove {}", why_not.display()))?;
    }
    Ok(())
}

fn make(folder: &Path) -> Result<()> {
    let environment = || {
        let mut python = Command::new("python3");
        python.args(["-m", "venv", "--clear"]).arg(folder);
        python
    };
    // Debian's Python comes without what this needs.
    if cargo::run(&mut environment()).is_err() {
        if !debian::can_install() {
            anyhow::bail!("python3 cannot make an environment: apt-get install python3-venv");
        }
        debian::install(&["python3", "python3-venv"])?;
        cargo::run(&mut environment())?;
    }
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "--timeout",
        "15",
    ]);
    cargo::run(pip.args(PACKAGES)).context("PyPI does not give what stands in for MongoDB")
}
