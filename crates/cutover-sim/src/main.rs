//! `cutover-sim`: many seeds, or one with its story. Started by `cargo xtask sim`.

#![expect(clippy::print_stdout, reason = "a tool talks to whoever started it")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use cutover_sim::systematic::{HARMLESS, Scenario};
use cutover_sim::{Options, Summary, Violation, run, tell};

/// What was asked for.
#[derive(Debug, Default)]
struct Arguments {
    seeds: u64,
    first: u64,
    seed: Option<u64>,
    all: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments {
        seeds: 1_000,
        ..Arguments::default()
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || {
            let text = words.next().ok_or_else(|| format!("{word} needs a number"))?;
            text.parse::<u64>()
                .map_err(|_| format!("`{text}` is not a number"))
        };
        match word.as_str() {
            "--seeds" => found.seeds = number()?,
            "--first" => found.first = number()?,
            "--seed" => found.seed = Some(number()?),
            "--all" => found.all = true,
            other => {
                return Err(format!(
                    "`{other}` is none of --seeds N, --first N, --seed N, --all"
                ));
            }
        }
    }
    Ok(found)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(what) => {
            println!("cutover-sim: {what}");
            return ExitCode::from(2);
        }
    };
    match arguments.seed {
        Some(seed) => one(seed),
        None => many(&arguments),
    }
}

/// One seed, with its story.
fn one(seed: u64) -> ExitCode {
    let (story, result) = tell(
        seed,
        Options {
            story: true,
            ..Options::default()
        },
    );
    for line in story {
        println!("{line}");
    }
    match result {
        Ok(summary) => {
            println!("seed {seed}: no violation\n{summary}");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

/// Every canonical scenario, with every disturbance at every operation.
fn disturbed() -> Result<(), Violation> {
    let scenarios = Scenario::all();
    let next = AtomicUsize::new(0);
    let outcome = Mutex::new((0u64, None));
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = scenario.everywhere(HARMLESS.len());
                    let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok(runs) => outcome.0 += runs,
                        Err(violation) => outcome.1 = Some(violation),
                    }
                }
            });
        }
    });
    let (runs, violation) = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    match violation {
        Some(violation) => Err(violation),
        None => {
            let (scenarios, kinds) = (scenarios.len(), HARMLESS.len());
            println!(
                "systematic   {scenarios} scenarios, {kinds} disturbances at every operation: {runs} runs, all end the same"
            );
            Ok(())
        }
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn many(arguments: &Arguments) -> ExitCode {
    let began = now();
    if let Err(violation) = disturbed() {
        println!("{violation}");
        return ExitCode::FAILURE;
    }
    println!("             in {:.1} s", began.elapsed().as_secs_f64());
    let began = now();
    let next = AtomicU64::new(arguments.first);
    let end = arguments.first + arguments.seeds;
    let total = Mutex::new((Summary::default(), Vec::<Violation>::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                let mut sum = Summary::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    match run(seed, Options::default()) {
                        Ok(one) => sum.add(&one),
                        Err(violation) => {
                            if !arguments.all {
                                next.store(end, Ordering::Relaxed);
                            }
                            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                            total.1.push(violation);
                        }
                    }
                }
                total.lock().unwrap_or_else(PoisonError::into_inner).0.add(&sum);
            });
        }
    });
    let (summary, mut violations) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    let took = began.elapsed().as_secs_f64();
    println!("{summary}");
    println!(
        "speed        {:.0} seeds/s",
        summary.runs as f64 / took.max(0.001)
    );
    violations.sort_by_key(|violation| (violation.invariant, violation.seed));
    for (index, violation) in violations.iter().enumerate() {
        if index < 3 || violations[index - 3].invariant != violation.invariant {
            println!("{violation}");
        }
    }
    match violations.first() {
        None => {
            println!(
                "no violation in seeds {} to {}",
                arguments.first,
                end.saturating_sub(1)
            );
            ExitCode::SUCCESS
        }
        Some(first) => {
            println!(
                "{} seeds failed; the story of one: cargo xtask sim --seed {}",
                violations.len(),
                first.seed
            );
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures how fast the simulator really is"
)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
