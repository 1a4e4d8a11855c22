//! What is played, and how it is printed.

use analysis_bench::figures::{Figures, Maker, explained, releases};
use analysis_bench::plot::{Line, svg};
use analysis_bench::release::{Detector, Release};
use analysis_bench::rules::{After, Argo, Flagger, Kayenta, Ours, Setting};
use analysis_bench::tune::{BOUNDS, Family, STABLE, plain, tuned};
use analysis_bench::world::{ALONE, RATIO, Scenario, Twist};
use cutover_model::Span;

use crate::Arguments;

/// How bad the candidates are.
const BAD: [f64; 5] = [0.005, 0.015, 0.03, 0.1, 1.0];
/// The stated chance of a false rollback.
const ALPHA: f64 = 0.001;
/// Per cent by which a candidate may fail more often and still be promoted.
const MARGIN: f64 = 1.0;

/// What is played, in this order.
pub(crate) const PARTS: [&str; 10] = [
    "validity", "times", "routes", "history", "narrow", "after", "slow", "load", "trickle", "twists",
];

/// A rule with its setting.
struct Rule {
    name: String,
    maker: Box<dyn Fn() -> Box<dyn Detector> + Sync>,
    /// Whether it looks as often as its documents say.
    documented: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool, String> {
    println!(
        "Simulated releases: 5 % more traffic every minute up to 50 %. Rules of others are as documented, simulated here.\n"
    );
    let (runs, healthy) = (arguments.runs, arguments.healthy);
    let mut lines = Vec::new();
    let mut met = true;
    for part in PARTS {
        if arguments.only.as_ref().is_some_and(|only| only != part) {
            continue;
        }
        met &= match part {
            "validity" => validity(healthy),
            "times" => validity_of_times(healthy),
            "routes" => validity_of_routes(healthy),
            "history" => validity_of_history(healthy),
            "narrow" => narrow(runs),
            "after" => after_all(runs.max(healthy / 10)),
            "slow" => slow_releases(runs),
            "load" => [100.0, 10.0, 1.0]
                .into_iter()
                .fold(true, |met, rate| load(rate, runs, &mut lines) & met),
            "trickle" => trickle(runs),
            _ => twists(runs),
        };
    }
    if !lines.is_empty() {
        std::fs::create_dir_all(&arguments.out).map_err(|error| format!("{}: {error}", arguments.out))?;
        let path = format!("{}/analysis.svg", arguments.out);
        let title = "Requests exposed to a bad release at 100 rps, stable failing 0.5 %";
        std::fs::write(&path, svg(title, &lines)).map_err(|error| format!("{path}: {error}"))?;
        println!("plot: {path}");
    }
    println!(
        "{}",
        if met {
            "every target is met"
        } else {
            "a target is missed"
        }
    );
    Ok(met)
}

/// Whether no more healthy releases were taken back than chance explains; says so.
fn holds(name: &str, releases: &[Release], limit: u64) -> bool {
    let back = Figures::of(releases).back;
    let fits = back <= limit;
    println!("  {name:<32} {back:>4}  {}", if fits { "ok" } else { "TOO MANY" });
    fits
}

/// The sequential test alone, on releases that are as good as stable.
fn validity(runs: u64) -> bool {
    let limit = explained(runs, ALPHA);
    println!(
        "False rollbacks of {runs} healthy releases by the sequential test, α = {ALPHA} (chance explains up to {limit}):"
    );
    let mut met = true;
    for (name, rate, failing, twist) in [
        ("constant, 10 rps, 0.5 %", 10.0, 0.005, Twist::None),
        ("constant, 100 rps, 0.9 %", 100.0, 0.009, Twist::None),
        ("drifting rate, 10 rps", 10.0, 0.009, Twist::Drift),
        ("autoregressive rate, 10 rps", 10.0, 0.005, Twist::Autoregressive),
        ("bursts, 10 rps", 10.0, 0.009, Twist::Bursts),
        ("jumping share, 10 rps", 10.0, 0.009, Twist::JumpingShare),
        ("shared outage, 10 rps", 10.0, 0.001, Twist::SharedOutage),
        ("shared outage, 1 rps", 1.0, 0.001, Twist::SharedOutage),
        ("client retries, 10 rps", 10.0, 0.009, Twist::Retries),
        (
            "sticky, heavy sessions, 10 rps",
            10.0,
            0.001,
            Twist::HeavySessions,
        ),
    ] {
        let scenario = Scenario {
            name,
            rate,
            stable: failing,
            candidate: failing,
            slower: 1.0,
            twist,
        };
        let maker: Maker<'_> = &|| Box::new(Ours::sequential(ALPHA));
        met &= holds(name, &releases(scenario, maker, 0, runs), limit);
    }
    println!();
    met
}

/// The test on failures and slow answers together, which share one α: of releases that are exactly as much slower as is
/// allowed, the worst that are as good, and end late enough for the share to be another one by then.
fn validity_of_times(runs: u64) -> bool {
    let limit = explained(runs, ALPHA);
    println!(
        "The same with slow answers, of candidates that take {RATIO} times as long (as much as is allowed), or as long as stable:"
    );
    let mut met = true;
    for (name, rate, slower, twist) in [
        ("as long, 10 rps", 10.0, 1.0, Twist::None),
        ("allowed, 10 rps", 10.0, RATIO, Twist::None),
        ("allowed, 100 rps", 100.0, RATIO, Twist::None),
        ("allowed, drifting times", 10.0, RATIO, Twist::Drift),
        (
            "allowed, autoregressive times",
            10.0,
            RATIO,
            Twist::Autoregressive,
        ),
        ("allowed, bursts", 10.0, RATIO, Twist::Bursts),
        ("allowed, jumping share", 10.0, RATIO, Twist::JumpingShare),
        ("allowed, shared outage", 10.0, RATIO, Twist::SharedOutage),
        ("allowed, shared outage, 1 rps", 1.0, RATIO, Twist::SharedOutage),
    ] {
        let scenario = Scenario {
            name,
            rate,
            stable: 0.005,
            candidate: 0.005,
            slower,
            twist,
        };
        let maker: Maker<'_> = &|| Box::new(Ours::with_times(ALPHA));
        met &= holds(name, &releases(scenario, maker, 0, runs), limit);
    }
    println!();
    met
}

/// The test on failures of all requests and of single routes, which share one α.
fn validity_of_routes(runs: u64) -> bool {
    let limit = explained(runs, ALPHA);
    println!("The same with three routes counted for themselves, of 0.5, 5 and 20 % of the requests:");
    let mut met = true;
    for (name, rate, failing, twist) in [
        ("constant, 10 rps, 0.9 %", 10.0, 0.009, Twist::None),
        ("drifting rate, 10 rps", 10.0, 0.009, Twist::Drift),
        ("jumping share, 10 rps", 10.0, 0.009, Twist::JumpingShare),
        ("shared outage, 10 rps", 10.0, 0.001, Twist::SharedOutage),
    ] {
        let scenario = Scenario {
            twist,
            ..plain(rate, failing, failing)
        };
        let maker: Maker<'_> = &|| Box::new(Ours::sequential(ALPHA).by_route());
        met &= holds(name, &releases(scenario, maker, 0, runs), limit);
    }
    println!();
    met
}

/// With the test against an hour of stable's own history. Were it on by default, at most 1 % might be taken back under a shared
/// outage: it is off, and so nothing here is a target.
fn validity_of_history(runs: u64) -> bool {
    let limit = explained(runs, ALPHA);
    println!(
        "The same with `history`, of an hour before (off by default; to be on, at most 1 % under a shared outage):"
    );
    for (name, rate, failing, twist) in [
        ("constant, 1 rps, 0.1 %", 1.0, 0.001, Twist::None),
        ("constant, 1 rps, 0.9 %", 1.0, 0.009, Twist::None),
        ("constant, 10 rps, 0.5 %", 10.0, 0.005, Twist::None),
        ("drifting rate, 10 rps", 10.0, 0.009, Twist::Drift),
        ("autoregressive rate, 10 rps", 10.0, 0.005, Twist::Autoregressive),
        ("bursts, 10 rps", 10.0, 0.009, Twist::Bursts),
        ("jumping share, 10 rps", 10.0, 0.009, Twist::JumpingShare),
        ("client retries, 10 rps", 10.0, 0.009, Twist::Retries),
        ("shared outage, 10 rps", 10.0, 0.001, Twist::SharedOutage),
        ("shared outage, 1 rps", 1.0, 0.001, Twist::SharedOutage),
    ] {
        let scenario = Scenario {
            twist,
            ..plain(rate, failing, failing)
        };
        let maker: Maker<'_> = &|| Box::new(Ours::sequential(ALPHA).with_history());
        let figures = Figures::of(&releases(scenario, maker, 0, runs));
        let outage = twist == Twist::SharedOutage;
        let most = if outage { runs / 100 } else { limit };
        let word = if figures.back <= most {
            "ok"
        } else {
            "too many to be the default"
        };
        let share = (figures.share(figures.back) * 1e5).round() / 1e3;
        println!("  {name:<32} {:>4}  {share} %, {word}", figures.back);
    }
    println!();
    true
}

/// A candidate that fails in every request of one route of 0.5 %, seen by all requests together and by route.
fn narrow(runs: u64) -> bool {
    println!("Failing in all of one route of 0.5 % of the requests, elsewhere 0.1 and 0.9 % as stable:");
    println!(
        "  {:>8} {:>8} {:<12} {:>9} {:>9} {:>8}",
        "rps", "stable", "", "exposed", "p95", "caught"
    );
    for rate in [10.0, 100.0] {
        for stable in [0.001, 0.009] {
            let scenario = Scenario {
                twist: Twist::OneRoute,
                ..plain(rate, stable, stable)
            };
            for (name, maker) in [
                (
                    "pooled",
                    (&|| Box::new(Ours::sequential(ALPHA)) as Box<dyn Detector>) as Maker<'_>,
                ),
                ("by route", &|| Box::new(Ours::sequential(ALPHA).by_route())),
            ] {
                let figures = Figures::of(&releases(scenario, maker, 0, runs));
                println!(
                    "  {rate:>8} {:>6} % {name:<12} {:>9} {:>9} {:>6} %",
                    (stable * 1e3).round() / 10.0,
                    shown(figures.median),
                    shown(figures.p95),
                    (figures.share(figures.back) * 1e3).round() / 10.0
                );
            }
        }
    }
    println!();
    true
}

/// Fifty minutes in which the candidate has all requests, after ten in which it had half of them. What is as good as stable
/// was is left alone.
fn after_all(runs: u64) -> bool {
    println!("After 100 %: `change` against what stable was, 0.1 % failing; requests from when it is worse:");
    println!(
        "  {:>8} {:>8} {:<14} {:>9} {:>9} {:>8}",
        "rps", "cand.", "", "exposed", "p95", "caught"
    );
    let mut met = true;
    for rate in [1.0, 10.0, 100.0] {
        for (candidate, later) in [
            (0.001, 0),
            (0.005, 0),
            (0.01, 0),
            (0.03, 0),
            (0.03, 1_500),
            (0.1, 1_500),
        ] {
            let scenario = Scenario {
                twist: Twist::Later(later),
                ..plain(rate, 0.001, candidate)
            };
            let figures = Figures::of(&releases(scenario, &|| Box::new(After::new()), 0, runs));
            let good_until = (rate * (ALONE as f64 / 2.0 + later as f64)) as u64;
            let since = |count: Option<u64>| shown(count.map(|count| count.saturating_sub(good_until)));
            let when = if later == 0 { "at once" } else { "after 25 min" };
            println!(
                "  {rate:>8} {:>6} % {when:<14} {:>9} {:>9} {:>6} %",
                candidate * 100.0,
                since(figures.median),
                since(figures.p95),
                (figures.share(figures.back) * 1e3).round() / 10.0
            );
            if candidate <= 0.001 {
                met &= figures.back <= explained(runs, ALPHA);
            }
        }
    }
    println!();
    met
}

/// What the test on slow answers finds: candidates that never fail more often than stable.
fn slow_releases(runs: u64) -> bool {
    println!(
        "Slow releases without more errors (0.1 %), by the sequential test alone; one within {RATIO} times is as good:"
    );
    println!(
        "  {:>8} {:>8} {:>9} {:>9} {:>8}",
        "rps", "slower", "exposed", "p95", "caught"
    );
    for rate in [1.0, 10.0, 100.0] {
        for slower in [1.0, RATIO, 2.0, 3.0, 5.0] {
            let scenario = Scenario {
                slower,
                ..plain(rate, 0.001, 0.001)
            };
            let figures = Figures::of(&releases(
                scenario,
                &|| Box::new(Ours::with_times(ALPHA)),
                0,
                runs,
            ));
            println!(
                "  {rate:>8} {slower:>8} {:>9} {:>9} {:>6} %",
                shown(figures.median),
                shown(figures.p95),
                (figures.share(figures.back) * 1e3).round() / 10.0
            );
        }
    }
    println!();
    true
}

/// The rules with the bounds and intervals of their documents (Flagger's success rate of 99 % every minute, Argo's of 95 %
/// every five), tuned by how many failed looks they tolerate; Flagger's at its shortest interval; and beside them the best
/// bound that a minute's rule could have, which nobody knows beforehand.
fn rules(rate: f64, runs: u64) -> Vec<Rule> {
    let flagger: Family<'_> = &|setting| Box::new(Flagger::new(setting));
    let argo: Family<'_> = &|setting| Box::new(Argo::new(setting));
    let mut rules = Vec::new();
    for (name, family, bounds, interval, documented) in [
        ("Flagger 60 s", flagger, &BOUNDS[..1], 60, true),
        ("Argo 5 min", argo, &BOUNDS[3..], 300, true),
        ("Flagger 10 s", flagger, &BOUNDS[..1], 10, false),
        ("any, 60 s", argo, &BOUNDS[..], 60, false),
    ] {
        let Some(setting) = tuned(family, rate, bounds, interval, ALPHA, runs) else {
            println!("  {name}: no setting is as quiet");
            continue;
        };
        println!(
            "  {name}: a look fails above {} %; limit {}",
            setting.max * 100.0,
            setting.limit
        );
        let maker: Box<dyn Fn() -> Box<dyn Detector> + Sync> = if name.starts_with("Flagger") {
            Box::new(move || Box::new(Flagger::new(setting)))
        } else {
            Box::new(move || Box::new(Argo::new(setting)))
        };
        rules.push(Rule {
            name: name.to_owned(),
            maker,
            documented,
        });
    }
    rules.push(Rule {
        name: "Kayenta".to_owned(),
        maker: Box::new(|| Box::new(Kayenta::default())),
        documented: false,
    });
    rules
}

/// One load: the six figures of each detector, and the targets.
fn load(rate: f64, runs: u64, lines: &mut Vec<Line>) -> bool {
    println!("At {rate} rps, settings at a false-rollback rate of at most {ALPHA}:");
    let mut all = vec![Rule {
        name: "Cutover".to_owned(),
        maker: Box::new(|| Box::new(Ours::new(MARGIN))),
        documented: false,
    }];
    if rate <= 1.0 {
        all.push(Rule {
            name: "with history".to_owned(),
            maker: Box::new(|| Box::new(Ours::new(MARGIN).with_history())),
            documented: false,
        });
    }
    all.extend(rules(rate, runs));
    println!(
        "\n  {:<14} {:>6} {:>6} {:>9} {:>9} {:>8} {:>7} {:>9} {:>7} {:>9}",
        "", "stable", "cand.", "exposed", "p95", "failed", "caught", "promoted", "held", "promoted"
    );
    println!(
        "  {:<14} {:>6} {:>6} {:>9} {:>9} {:>8} {:>7} {:>9} {:>7} {:>9}",
        "", "fails", "fails", "median", "", "median", "", "bad/good", "", "after"
    );
    let mut met = true;
    let mut plotted: Vec<Line> = Vec::new();
    for stable in STABLE {
        let healthy = std::iter::once(stable);
        let bad = BAD.into_iter().filter(|bad| *bad > stable * 2.0);
        for candidate in healthy.chain(bad) {
            let mut ours = None;
            let mut best = None;
            for rule in &all {
                let figures = Figures::of(&releases(plain(rate, stable, candidate), &*rule.maker, 0, runs));
                row(&rule.name, stable, candidate, &figures);
                if rate <= 1.0 && candidate > stable {
                    let caught = (figures.share(figures.back_in_time) * 1e3).round() / 10.0;
                    println!("    within 20 minutes: {caught} %");
                }
                if rule.name == "Cutover" {
                    ours = Some(figures);
                }
                if rule.documented {
                    best = [best, figures.median].into_iter().flatten().min();
                }
                if let Some(median) = figures.median.filter(|_| stable == 0.005 && candidate > stable) {
                    match plotted.iter_mut().find(|line| line.name == rule.name) {
                        Some(line) => line.points.push((candidate, median)),
                        None => plotted.push(Line {
                            name: rule.name.clone(),
                            points: vec![(candidate, median)],
                        }),
                    }
                }
            }
            if rate >= 100.0 && candidate >= 0.03 {
                let (mine, theirs) = (ours.and_then(|figures| figures.median), best);
                let fits = mine.is_some_and(|mine| theirs.is_none_or(|theirs| mine * 5 <= theirs));
                met &= fits;
                println!(
                    "    target: at most 1/5 of the best rule as documented: {} of {}: {}",
                    shown(mine),
                    shown(theirs),
                    if fits { "ok" } else { "MISSED" }
                );
            }
        }
    }
    if rate >= 100.0 {
        *lines = plotted;
    }
    println!();
    met
}

fn row(name: &str, stable: f64, candidate: f64, figures: &Figures) {
    let percent = |share: f64| format!("{} %", (share * 1e4).round() / 1e2);
    println!(
        "  {name:<14} {:>6} {:>6} {:>9} {:>9} {:>8} {:>7} {:>9} {:>7} {:>9}",
        percent(stable),
        percent(candidate),
        shown(figures.median),
        shown(figures.p95),
        shown(figures.failed),
        percent(figures.share(figures.back)),
        percent(figures.share(figures.promoted)),
        percent(figures.share(figures.held)),
        figures
            .promotion
            .map_or_else(|| "-".to_owned(), |after| format!("{after} s")),
    );
}

fn shown(count: Option<u64>) -> String {
    count.map_or_else(|| "-".to_owned(), |count| count.to_string())
}

/// One request in 20 seconds: nothing can be known, and nothing may be promoted for that.
fn trickle(runs: u64) -> bool {
    println!("At 0.05 rps (a release must not be promoted because nobody asked it anything):");
    let mut met = true;
    let flagger = Setting {
        max: 0.01,
        limit: 5,
        interval: 60,
    };
    let argo = Setting {
        max: 0.05,
        limit: 3,
        interval: 300,
    };
    for candidate in [0.005, 0.1, 1.0] {
        let scenario = plain(0.05, 0.005, candidate);
        for (name, maker) in [
            (
                "Cutover",
                (&|| Box::new(Ours::new(MARGIN)) as Box<dyn Detector>) as Maker<'_>,
            ),
            ("Flagger as is", &|| Box::new(Flagger::new(flagger))),
            ("Argo as is", &|| Box::new(Argo::new(argo))),
            ("Kayenta", &|| Box::new(Kayenta::default())),
        ] {
            let figures = Figures::of(&releases(scenario, maker, 0, runs.min(400)));
            row(name, 0.005, candidate, &figures);
            if name == "Cutover" {
                met &= figures.promoted == 0;
            }
        }
    }
    println!();
    met
}

/// Healthy releases in trouble that is not theirs, of which a shared outage must take back none, and two bad ones that are
/// hard to see.
fn twists(runs: u64) -> bool {
    println!("In trouble (10 rps; the rules as documented, Argo with failureLimit 3 every 60 s):");
    let flagger = Setting {
        max: 0.01,
        limit: 5,
        interval: 60,
    };
    let argo = Setting { limit: 3, ..flagger };
    let mut met = true;
    let scenario = |name, stable, candidate, twist| Scenario {
        name,
        rate: 10.0,
        stable,
        candidate,
        slower: 1.0,
        twist,
    };
    for scenario in [
        scenario("shared outage", 0.001, 0.001, Twist::SharedOutage),
        scenario("drifting rate", 0.005, 0.005, Twist::Drift),
        scenario("autoregressive rate", 0.005, 0.005, Twist::Autoregressive),
        scenario("bursts", 0.005, 0.005, Twist::Bursts),
        scenario("client retries", 0.005, 0.005, Twist::Retries),
        scenario("heavy sessions, sticky", 0.001, 0.001, Twist::HeavySessions),
        scenario("cold start of 30 s", 0.001, 0.001, Twist::ColdStart),
        scenario("metrics gone for 2 min", 0.001, 0.001, Twist::Blind),
        scenario("both fail in 8 % before", 0.08, 0.08, Twist::None),
        scenario("mended: 8 % before, 1 % now", 0.08, 0.01, Twist::None),
        scenario("bad on 0.5 % of requests", 0.001, 0.006, Twist::None),
    ] {
        println!("  {}", scenario.name);
        let warm = matches!(scenario.twist, Twist::ColdStart);
        for (name, maker) in [
            (
                "Cutover",
                (&|| Box::new(Ours::new(MARGIN)) as Box<dyn Detector>) as Maker<'_>,
            ),
            ("  warmed up", &|| {
                Box::new(Ours::new(MARGIN).after(Span::from_secs(30)))
            }),
            ("Flagger as is", &|| Box::new(Flagger::new(flagger))),
            ("Argo as is", &|| Box::new(Argo::new(argo))),
            ("Kayenta", &|| Box::new(Kayenta::default())),
        ] {
            if name.contains("warmed") && !warm {
                continue;
            }
            let figures = Figures::of(&releases(scenario, maker, 0, runs));
            row(name, scenario.stable, scenario.candidate, &figures);
            if name == "Cutover" && scenario.twist == Twist::SharedOutage {
                met &= figures.share(figures.back) <= 0.01;
            }
        }
    }
    println!();
    met
}
