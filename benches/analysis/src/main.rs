//! The benchmark of detectors. Started by `cargo xtask bench analysis`.

#![expect(clippy::print_stdout, reason = "a tool talks to whoever started it")]

mod report;

use std::process::ExitCode;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// Releases per cell.
    pub(crate) runs: u64,
    /// Healthy releases per scenario of the test's validity.
    pub(crate) healthy: u64,
    /// The one part that is played, by its name; none for all of them.
    pub(crate) only: Option<String>,
    /// Where the plot goes.
    pub(crate) out: String,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments {
        runs: 400,
        healthy: 20_000,
        only: None,
        out: "target/bench".to_owned(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: String| {
            text.parse::<u64>()
                .map_err(|_| format!("`{text}` is not a number"))
        };
        match word.as_str() {
            "--runs" => found.runs = number(value()?)?.max(20),
            "--healthy" => found.healthy = number(value()?)?.max(20),
            "--only" => {
                let part = value()?;
                if !report::PARTS.contains(&part.as_str()) {
                    return Err(format!("`{part}` is none of {}", report::PARTS.join(", ")));
                }
                found.only = Some(part);
            }
            "--out" => found.out = value()?,
            other => {
                return Err(format!(
                    "`{other}` is none of --runs N, --healthy N, --only PART, --out FOLDER"
                ));
            }
        }
    }
    Ok(found)
}

/// 0 when every target is met, 1 when one is not.
fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(what) => {
            println!("analysis-bench: {what}");
            return ExitCode::from(2);
        }
    };
    match report::run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(what) => {
            println!("analysis-bench: {what}");
            ExitCode::FAILURE
        }
    }
}
