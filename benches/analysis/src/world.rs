//! A service under load, split between two revisions: what is counted each second.

use crate::dice::Dice;

/// What arrives, and how it fares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scenario {
    /// Its name in the report.
    pub name: &'static str,
    /// Requests a second.
    pub rate: f64,
    /// The share of stable's requests that fail.
    pub stable: f64,
    /// The candidate's.
    pub candidate: f64,
    /// How many times as long as stable's the candidate's answers take.
    pub slower: f64,
    /// What else happens.
    pub twist: Twist,
}

/// A slow answer ends so many seconds after it was drawn: the share may be another one by then.
pub const LATE: u64 = 5;
/// Up to so many times as long is as good, by default.
pub const RATIO: f64 = 1.5;

/// The share of slow answers where all take `load` times as long as usual, and these `slower` times as long as stable's.
/// Times have Pareto's distribution with the index 3, of which stable's p99 is where an answer of its is slow; one of the
/// candidate is at `ratio` times that.
#[must_use]
pub fn slow_share(load: f64, slower: f64, ratio: f64) -> f64 {
    (0.01 * (load * slower / ratio).powi(3)).min(1.0)
}

/// What makes a scenario more than two constant rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Twist {
    /// Nothing.
    None,
    /// Both fail in 20 % of the requests for three minutes from the second one on.
    SharedOutage,
    /// Both rates swing between a tenth of themselves and nearly twice as much, in five minutes.
    Drift,
    /// The logarithm of both rates is an autoregressive process (φ = 0.95 a second, standard deviation 0.8).
    Autoregressive,
    /// Five seconds at five times the rate, 25 at a fifth of it.
    Bursts,
    /// Requests that cannot succeed, each tried four times, each try drawn anew.
    Retries,
    /// The candidate fails in 10 % of its requests for its first 30 seconds, then as it is.
    ColdStart,
    /// Nothing can be read for two minutes from the third on.
    Blind,
    /// Sessions stay where they were drawn; one in a hundred fails in all of its 50 requests.
    HeavySessions,
    /// The share jumps between 1 and 60 % every 20 seconds, instead of the ramp. For the validity of the test alone.
    JumpingShare,
    /// The candidate fails in all requests of the first of [`ROUTES`], and elsewhere as it is.
    OneRoute,
    /// The candidate is as good as stable until so many seconds after [`ALONE`].
    Later(u64),
}

/// When the candidate has all requests, where that is played: in seconds.
pub const ALONE: u64 = 600;

/// The parts of all requests that can be looked at for themselves; the last is what belongs to none of them.
pub const ROUTES: [f64; 4] = [0.005, 0.05, 0.2, 0.745];
/// What is known of stable was counted in so many seconds before the release.
const BEFORE: f64 = 3_600.0;
/// Failed requests of the candidate, and of stable.
pub type Failed = (u64, u64);

/// One revision in one second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arm {
    /// Requests.
    pub requests: u64,
    /// Failed ones among them.
    pub errors: u64,
    /// Requests whose side was drawn.
    pub drawn: u64,
    /// Failed ones among these.
    pub drawn_errors: u64,
    /// Those whose answer is slow by [`slow_share`], which ends [`LATE`] seconds later.
    pub slow: u64,
}

impl Arm {
    /// Adds another stretch of time.
    pub const fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.drawn += other.drawn;
        self.drawn_errors += other.drawn_errors;
        self.slow += other.slow;
    }

    /// The failed share; none of no requests.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }
}

/// What happened in one second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Second {
    /// On the candidate.
    pub candidate: Arm,
    /// On stable.
    pub stable: Arm,
    /// The candidate's share in force, 0 to 1.
    pub share: f64,
    /// Whether nobody can read it.
    pub blind: bool,
    /// The failed ones that were drawn, by route.
    pub by_route: [Failed; ROUTES.len()],
    /// In the first second: what stable counted before.
    pub before: Arm,
}

/// A run of a scenario.
#[derive(Debug)]
pub struct World {
    scenario: Scenario,
    dice: Dice,
    /// For what most detectors do not look at: so that the others see the same release with and without it.
    aside: Dice,
    /// The autoregressive process.
    level: f64,
    jump: f64,
}

impl World {
    /// One run; the same seed is the same run, as long as the shares are.
    #[must_use]
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        Self {
            scenario,
            dice: Dice::new(seed),
            aside: Dice::new(seed ^ (1 << 63)),
            level: 0.0,
            jump: 0.05,
        }
    }

    /// The share that is in force in this second, where the scenario and not the detector says it.
    pub fn forced_share(&mut self, second: u64) -> Option<f64> {
        if self.scenario.twist != Twist::JumpingShare {
            return None;
        }
        if second.is_multiple_of(20) {
            self.jump = (1.0 + (60.0 * self.dice.share()).floor()) / 100.0;
        }
        Some(self.jump)
    }

    /// The second number `second` of the release, with the candidate's share in force.
    pub fn second(&mut self, second: u64, share: f64) -> Second {
        let scenario = self.scenario;
        let (mut rate, mut bad, mut good) = (scenario.rate, scenario.candidate, scenario.stable);
        let (mut load, mut slower) = (1.0, scenario.slower);
        match scenario.twist {
            Twist::SharedOutage if (120..300).contains(&second) => {
                (bad, good) = (bad.max(0.2), 0.2);
                load = 4.0;
            }
            Twist::Drift => {
                let swing = 1.0 + 0.9 * (second as f64 / 300.0 * std::f64::consts::TAU).sin();
                (bad, good) = (bad * swing, good * swing);
                load = swing;
            }
            Twist::Autoregressive => {
                self.level = 0.95 * self.level + 0.25 * self.dice.normal();
                (bad, good) = (bad * self.level.exp(), good * self.level.exp());
                load = self.level.exp();
            }
            Twist::Later(after) if second < ALONE + after => bad = good,
            Twist::Bursts => rate *= if second % 30 < 5 { 5.0 } else { 0.2 },
            Twist::ColdStart if second < 30 => {
                bad = bad.max(0.1);
                slower *= 3.0;
            }
            _ => {}
        }
        let mut seen = Second {
            candidate: self.arm(rate * share, bad.min(1.0), slow_share(load, slower, RATIO)),
            stable: self.arm(rate * (1.0 - share), good.min(1.0), slow_share(load, 1.0, 1.0)),
            share,
            blind: scenario.twist == Twist::Blind && (180..300).contains(&second),
            by_route: [(0, 0); ROUTES.len()],
            before: if second == 0 {
                self.before()
            } else {
                Arm::default()
            },
        };
        match scenario.twist {
            Twist::Retries => {
                let tries = 4 * self.dice.poisson(rate * scenario.stable / 4.0);
                let candidate = self.dice.binomial(tries, share);
                add_failed(&mut seen.candidate, candidate, candidate);
                add_failed(&mut seen.stable, tries - candidate, tries - candidate);
            }
            Twist::HeavySessions => {
                for _ in 0..self.dice.poisson(rate / 5_000.0) {
                    let arm = if self.dice.share() < share {
                        &mut seen.candidate
                    } else {
                        &mut seen.stable
                    };
                    add_failed(arm, 50, 1);
                }
            }
            _ => {}
        }
        let narrow = if scenario.twist == Twist::OneRoute {
            let failed = self.aside.poisson(rate * share * ROUTES[0]);
            failed.min(seen.candidate.requests - seen.candidate.errors)
        } else {
            0
        };
        self.spread(&mut seen);
        seen.candidate.errors += narrow;
        seen.candidate.drawn_errors += narrow;
        seen.by_route[0].0 += narrow;
        seen
    }

    /// Each failed request is one of some route.
    fn spread(&mut self, seen: &mut Second) {
        for (of_candidate, failed) in [
            (true, seen.candidate.drawn_errors),
            (false, seen.stable.drawn_errors),
        ] {
            for _ in 0..failed {
                let mut place = self.aside.share();
                let passed = ROUTES.iter().take_while(|part| {
                    place -= **part;
                    place >= 0.0
                });
                let route = &mut seen.by_route[passed.count().min(ROUTES.len() - 1)];
                *(if of_candidate { &mut route.0 } else { &mut route.1 }) += 1;
            }
        }
    }

    fn before(&mut self) -> Arm {
        let Scenario { rate, stable, .. } = self.scenario;
        let errors = self.aside.poisson(rate * BEFORE * stable);
        let requests = errors + self.aside.poisson(rate * BEFORE * (1.0 - stable));
        Arm {
            requests,
            errors,
            drawn: requests,
            drawn_errors: errors,
            slow: 0,
        }
    }

    /// Failed, slow and other requests are Poisson processes of their own.
    fn arm(&mut self, rate: f64, failing: f64, slow: f64) -> Arm {
        let errors = self.dice.poisson(rate * failing);
        let requests = errors + self.dice.poisson(rate * (1.0 - failing));
        let slow = self.dice.poisson(rate * slow).min(requests);
        Arm {
            requests,
            errors,
            drawn: requests,
            drawn_errors: errors,
            slow,
        }
    }
}

const fn add_failed(arm: &mut Arm, count: u64, drawn: u64) {
    arm.add(Arm {
        requests: count,
        errors: count,
        drawn,
        drawn_errors: drawn,
        slow: 0,
    });
}
