//! Random runs hold every invariant, and every mutant is found by them.

use cutover_sim::{Mutant, Options, Summary, run};

#[test]
fn three_hundred_seeds_hold_every_invariant() {
    let mut sum = Summary::default();
    for seed in 0..300 {
        match run(seed, Options::default()) {
            Ok(one) => sum.add(&one),
            Err(violation) => panic!("{violation}; its story: cargo xtask sim --seed {seed}"),
        }
    }
    // A simulator in which nothing happens proves nothing.
    assert!(sum.ended["Succeeded"] > 80 && sum.ended["Aborted"] > 80, "{sum}");
    assert!(
        sum.faults > 500 && sum.controllers > 100 && sum.requests > 10_000,
        "{sum}"
    );
}

#[test]
fn a_seed_is_a_run() {
    for seed in [3, 77, 4_010] {
        assert_eq!(
            run(seed, Options::default()).unwrap(),
            run(seed, Options::default()).unwrap()
        );
    }
}

/// The first seed at which the mutant breaks what it is made to break.
fn found(mutant: Mutant, most: u64) -> Option<u64> {
    let options = Options {
        mutant: Some(mutant),
        story: false,
    };
    (0..most)
        .find(|seed| matches!(run(*seed, options), Err(violation) if violation.invariant == mutant.breaks()))
}

macro_rules! mutants {
    ($($test:ident: $mutant:ident),+ $(,)?) => {$(
        #[test]
        fn $test() {
            let seed = found(Mutant::$mutant, 400);
            assert!(seed.is_some(), "{:?} breaks {} and is not found", Mutant::$mutant, Mutant::$mutant.breaks());
        }
    )+};
}

mutants! {
    i1_is_watched: ReadyTooEarly,
    i2_is_watched: NothingInFlight,
    i3_is_watched: ThinUndo,
    i4_is_watched: EagerUndo,
    i5_is_watched: WeightsFall,
    i6_is_watched: AllCompatible,
    i7_is_watched: NewestConfiguration,
    i8_is_watched: SilentWait,
    i9_is_watched: NoFences,
    i10_is_watched: HiddenContract,
    i11_is_watched: HiddenStopping,
    i12_is_watched: NoRetirement,
}
