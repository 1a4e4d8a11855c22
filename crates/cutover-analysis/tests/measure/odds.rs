//! Releases that are played by dice: how often which are failed.

use cutover_analysis::{Counters, DrawnAt, DrawnIn, LOOK, Mode, Reading, measure};
use cutover_model::{Baseline, DryRun, Metric, SlowAnswers, Span, Verdict};
use proptest::prelude::*;

use crate::world::{World, count, max, p99_ratio, ratio, sequential};

/// Marsaglia's xorshift64.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A guard over ten minutes at ten requests a second, 10 % on the candidate, each look a second. Answers how many of
/// the runs were failed.
fn failed_runs(metrics: &[Metric], runs: u32, candidate: (f64, f64), stable: (f64, f64)) -> u32 {
    let mut dice = Dice(0x2545_F491_4F6C_DD1D);
    let mut failed = 0;
    for _ in 0..runs {
        let mut world = World::new(Mode::Background, metrics.to_vec());
        world.begin();
        for _ in 0..600 {
            for _ in 0..10 {
                let on_candidate = dice.throw() < 0.1;
                let (error_rate, scale) = if on_candidate { candidate } else { stable };
                let errors = u64::from(dice.throw() < error_rate);
                // A long tail: the p99 is far from the median.
                let us = (scale * 5_000.0 / dice.throw().max(1e-6).sqrt()) as u64;
                if on_candidate {
                    world.candidate(1, errors, us);
                } else {
                    world.stable(1, errors, us);
                }
            }
            world.now = LOOK.after(world.now);
            let state = std::mem::take(&mut world.state);
            let (state, said) = measure(
                &world.template,
                world.mode,
                state,
                Ok(world.reading.clone()),
                world.now,
            );
            world.state = state;
            if said.verdict.is_some() {
                assert_eq!(said.verdict, Some(Verdict::Failed));
                failed += 1;
                break;
            }
        }
    }
    failed
}

#[test]
fn a_release_as_good_as_stable_is_hardly_ever_failed() {
    // Per run: 20 measurements of each comparison at a chance of at most 1 in 1,000, early looks, the sequential test.
    let metrics = [max(5.0), ratio(1.5), p99_ratio(1.5), sequential()];
    let failed = failed_runs(&metrics, 100, (0.005, 1.0), (0.005, 1.0));
    assert!(failed <= 3, "{failed} of 100");
}

#[test]
fn a_worse_release_is_failed() {
    let failed = failed_runs(&[max(5.0)], 20, (0.2, 1.0), (0.001, 1.0));
    assert_eq!(failed, 20, "a fifth of its requests fail");
    let failed = failed_runs(&[p99_ratio(1.5)], 20, (0.001, 6.0), (0.001, 1.0));
    assert!(failed >= 19, "six times as slow: {failed} of 20");
    let failed = failed_runs(&[sequential()], 20, (0.1, 1.0), (0.001, 1.0));
    assert_eq!(failed, 20, "a hundred times as many errors");
}

proptest! {
    #[test]
    fn nothing_panics_and_the_state_can_always_be_kept(
        looks in prop::collection::vec(
            (0u64..4, 0u64..50, 0u64..60, 0u64..500, 0u64..60, prop::num::f64::ANY, 0u64..40_000, any::<bool>()), 1..40,
        ),
        inline in any::<bool>(), before in any::<bool>(), dry in any::<bool>(), min_requests in 0u64..40, limit in 0u32..3, bound in 0.0f64..100.0,
    ) {
        let mode = if inline { Mode::Inline } else { Mode::Background };
        let mut world = World::new(mode, vec![
            max(bound), ratio(bound / 10.0), p99_ratio(bound / 10.0), sequential(),
            Metric::Sequential {
                alpha: 0.001,
                margin: None,
                latency: Some(SlowAnswers {
                    quantile: bound / 100.0,
                    max_ratio: bound,
                    min_increase: Span::from_millis(limit.into()),
                }),
                history: dry,
            },
            Metric::Change {
                max_error_ratio: 1.0 + bound,
                min_error_rate: bound,
                max_avg_increase: Span::from_millis(min_requests),
                min_request_ratio: bound / 100.0,
            },
        ]);
        world.template.baseline = if before { Baseline::PreSwitch } else { Baseline::Stable };
        if dry {
            world.template.dry_run.push(DryRun::ErrorRate);
        }
        world.template.min_requests = min_requests;
        world.template.failure_limit = limit;
        for (epoch, requests, errors, more, stable_errors, share, millis, known) in looks {
            let counters = |requests: u64, errors: u64| {
                let mut counters = Counters { epoch, ..Counters::default() };
                count(&mut counters, requests, errors.min(requests), 1_000 + millis);
                counters.odds = (millis % 7 > 0).then(|| vec![DrawnAt {
                    odds: millis % 3,
                    candidate: limit * 5_000,
                    of: 10_000 * u32::from(millis % 5 > 0),
                    errors: counters.errors,
                    latency: counters.latency.clone(),
                    strata: (millis % 2 > 0).then(|| DrawnIn {
                        name: if millis % 4 > 1 { "a".to_owned() } else { String::new() },
                        errors: counters.errors / 2,
                        latency: counters.latency.clone(),
                    }).into_iter().collect(),
                }]);
                counters
            };
            world.reading = Reading {
                candidate: counters(requests, errors),
                stable: known.then(|| counters(more, stable_errors)),
                candidate_share: share,
                answers: Vec::new(),
            };
            let said = world.after(Span::from_millis(millis));
            prop_assert!(said.errors <= said.requests);
            prop_assert!(!said.because.contains("NaN") && !said.because.contains("inf"), "{}", said.because);
            prop_assert!(world.state.log_e().is_finite());
            if said.verdict.is_some() { break; }
        }
    }
}
