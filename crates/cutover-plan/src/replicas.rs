//! Replica arithmetic: how many instances of each revision make up a share.

/// How many instances of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Of the old revision.
    pub stable: u32,
    /// Of the new one.
    pub candidate: u32,
}

/// The two revisions' instances that stand for a weight where replicas are the only weight (a worker, a service without
/// a router), out of `n`, with the weight in per cent.
///
/// The candidate's number is `n·w/100` rounded to the nearest, but for n ≥ 2 and 0 < w < 100 at least 1 and at most
/// n − 1, so that neither side is alone by rounding (invariant I5). It depends on n and w only, which makes it monotone
/// in w; surge and unavailable limit the way there, never the goal.
#[must_use]
pub fn split(n: u32, percent: u8) -> Split {
    let percent = u64::from(percent.min(100));
    let exact = (u64::from(n) * percent + 50) / 100;
    let mut candidate = u32::try_from(exact).unwrap_or(n).min(n);
    if n >= 2 && percent > 0 && percent < 100 {
        candidate = candidate.clamp(1, n - 1);
    }
    Split {
        stable: n - candidate,
        candidate,
    }
}

/// The candidate's instances for a share of the traffic where a router splits it: rounded up, at least one as soon as
/// there is any share, so that a share never overloads them more than it would stable's.
#[must_use]
pub fn canary_replicas(n: u32, percent: u8) -> u32 {
    if percent == 0 {
        return 0;
    }
    let exact = (u64::from(n) * u64::from(percent.min(100))).div_ceil(100);
    u32::try_from(exact).unwrap_or(n).clamp(1, n.max(1))
}

/// The way from `n` old to `n` new instances, batch by batch: after each batch at most `n + surge` exist and at least
/// `n − unavailable` are there. Surge and unavailable both 0 could never move, so unavailable counts as 1 then
/// (invariant I5; Kubernetes does the same). Each batch first brings candidates up, then takes old ones down.
#[must_use]
pub fn rolling_batches(n: u32, surge: u32, unavailable: u32) -> Vec<Split> {
    let unavailable = if surge == 0 {
        unavailable.max(1)
    } else {
        unavailable
    }
    .min(n);
    let mut now = Split {
        stable: n,
        candidate: 0,
    };
    let mut batches = Vec::new();
    while now.stable > 0 || now.candidate < n {
        let room = (n + surge).saturating_sub(now.stable);
        let candidate = room.min(n).max(now.candidate);
        let stable = n
            .saturating_sub(unavailable)
            .saturating_sub(candidate)
            .min(now.stable);
        let then = Split { stable, candidate };
        debug_assert!(then != now, "a batch always moves");
        now = then;
        batches.push(now);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole grid of I5, not a sample of it: n ≤ 200, w 0..100.
    #[test]
    fn split_keeps_i5_on_the_whole_grid() {
        for n in 0..=200u32 {
            let mut before = 0;
            for w in 0..=100u8 {
                let now = split(n, w);
                assert_eq!(now.stable + now.candidate, n, "n={n} w={w}");
                assert!(now.candidate >= before, "monotone: n={n} w={w}");
                before = now.candidate;
                if n >= 2 && w > 0 && w < 100 {
                    assert!((1..n).contains(&now.candidate), "n={n} w={w}: {now:?}");
                }
            }
            assert_eq!(split(n, 0).candidate, 0);
            assert_eq!(split(n, 100).candidate, n);
        }
    }

    /// The points where a widely used controller's function gives the candidate nothing.
    #[test]
    fn weights_just_below_the_next_instance_keep_both_sides() {
        for (n, w) in [(2, 75), (5, 90), (10, 95), (25, 98), (50, 99)] {
            assert_eq!(split(n, w).candidate, n - 1, "n={n} w={w}");
        }
    }

    #[test]
    fn batches_keep_the_limits_for_every_surge_and_unavailable() {
        for n in 0..=60u32 {
            for surge in 0..=n {
                for unavailable in 0..=n {
                    check(n, surge, unavailable);
                }
            }
        }
        // The far end of the grid, where the full square would take minutes.
        for n in [100, 151, 200] {
            for surge in [0, 1, 2, 7, 50, n - 1, n] {
                for unavailable in [0, 1, 2, 7, 50, n - 1, n] {
                    check(n, surge, unavailable);
                }
            }
        }
    }

    fn check(n: u32, surge: u32, unavailable: u32) {
        let limit = if surge == 0 {
            unavailable.max(1)
        } else {
            unavailable
        }
        .min(n);
        let mut before = Split {
            stable: n,
            candidate: 0,
        };
        for now in rolling_batches(n, surge, unavailable) {
            let place = format!("n={n} surge={surge} unavailable={unavailable}: {before:?} → {now:?}");
            assert!(
                now.candidate >= before.candidate && now.stable <= before.stable,
                "monotone: {place}"
            );
            // Up comes first, so the peak is the new candidates beside the old stables.
            assert!(now.candidate + before.stable <= n + surge, "surge: {place}");
            assert!(now.candidate + now.stable >= n - limit, "unavailable: {place}");
            before = now;
        }
        assert_eq!(
            before,
            Split {
                stable: 0,
                candidate: n
            },
            "n={n} surge={surge} unavailable={unavailable}"
        );
    }

    proptest::proptest! {
        #[test]
        fn batches_keep_the_limits_up_to_200(n in 0u32..=200, a in 0u32..=200, b in 0u32..=200) {
            check(n, a.min(n), b.min(n));
        }

        #[test]
        fn a_routed_candidate_is_never_empty_nor_too_many(n in 1u32..=200, w in 0u8..=100) {
            let replicas = canary_replicas(n, w);
            proptest::prop_assert_eq!(replicas == 0, w == 0);
            proptest::prop_assert!(replicas <= n);
            proptest::prop_assert!(w == 100 || canary_replicas(n, w + 1) >= replicas);
        }
    }
}
