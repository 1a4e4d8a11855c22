//! First attempts of drawn requests, by the chances that they were drawn with.
//!
//! Whoever compares two revisions by where failures and slow answers fell needs the share that was in force when each
//! request was drawn, and a slow one may end long after the share has changed. So a request counts where its own table
//! had it count, however late it ends.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use cutover_model::{RevisionId, ServiceRoute, Track, Weight};

use crate::histogram::{BUCKETS, LatencyHistogram};

/// How many are kept of one service. When there are more, the oldest one is forgotten for both revisions at once, so that
/// neither side's late answers count alone.
const KEPT: usize = 64;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Candidate,
    Stable,
}

/// Two revisions between which requests are drawn, with their shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) candidate: RevisionId,
    pub(crate) stable: RevisionId,
    /// The candidate's part, and that of both.
    pub(crate) parts: (u32, u32),
    /// The names of the strata that they are counted by.
    pub(crate) strata: Vec<String>,
}

/// One worker's counts of one side, or of a stratum of it.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    failed: AtomicU64,
    times: LatencyHistogram,
}

/// What was counted for one pair: of each worker by stratum, the last of which is all that belongs to no other. A shard is
/// made when its worker first counts there.
#[derive(Debug)]
pub(crate) struct Odds {
    /// Unique in this process.
    pub(crate) number: u64,
    pub(crate) pair: Pair,
    candidate: Box<[OnceLock<Box<Shard>>]>,
    stable: Box<[OnceLock<Box<Shard>>]>,
}

/// Where the requests of one revision count, by one table.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    odds: Arc<Odds>,
    side: Side,
}

impl Pair {
    /// Of a route on which requests are drawn between a candidate and stable, and nothing else.
    pub(crate) fn of(route: &ServiceRoute) -> Option<Self> {
        let mut shares = route.revisions.iter().filter(|one| one.weight != Weight::NONE);
        let (one, two) = (shares.next()?, shares.next()?);
        let (candidate, stable) = match (one.track, two.track) {
            (Track::Candidate, Track::Stable) => (one, two),
            (Track::Stable, Track::Candidate) => (two, one),
            _ => return None,
        };
        let parts = candidate.weight.parts();
        shares.next().is_none().then(|| Self {
            candidate: candidate.revision.clone(),
            stable: stable.revision.clone(),
            parts: (parts, parts + stable.weight.parts()),
            strata: route
                .policy
                .strata
                .iter()
                .map(|stratum| stratum.name.clone())
                .collect(),
        })
    }
}

impl Odds {
    fn new(number: u64, pair: Pair, workers: usize) -> Self {
        let places = workers * (pair.strata.len() + 1);
        let shards = || (0..places).map(|_| OnceLock::new()).collect();
        Self {
            number,
            pair,
            candidate: shards(),
            stable: shards(),
        }
    }

    fn shards(&self, side: Side) -> &[OnceLock<Box<Shard>>] {
        match side {
            Side::Candidate => &self.candidate,
            Side::Stable => &self.stable,
        }
    }

    /// Where a revision counts, if it is one of the two.
    pub(crate) fn place(self: &Arc<Self>, revision: &RevisionId) -> Option<Place> {
        let side = if *revision == self.pair.candidate {
            Side::Candidate
        } else if *revision == self.pair.stable {
            Side::Stable
        } else {
            return None;
        };
        Some(Place {
            odds: Arc::clone(self),
            side,
        })
    }

    fn strata(&self) -> usize {
        self.pair.strata.len() + 1
    }

    /// Failed ones of a side in a stratum, and the times of all, dense with the last zeros left out.
    pub(crate) fn read(&self, side: Side, stratum: usize) -> (u64, Vec<u64>) {
        let (mut failed, mut counts, mut total) = (0, vec![0; BUCKETS], 0);
        let shards = self.shards(side).iter().skip(stratum).step_by(self.strata());
        for shard in shards.filter_map(OnceLock::get) {
            failed += shard.failed.load(Relaxed);
            shard.times.add_to(&mut counts, &mut total);
        }
        let used = counts.iter().rposition(|count| *count > 0);
        counts.truncate(used.map_or(0, |last| last + 1));
        (failed, counts)
    }
}

impl Place {
    fn shard(&self, worker: usize, stratum: u8) -> &Shard {
        let strata = self.odds.strata();
        let place = worker * strata + usize::from(stratum).min(strata - 1);
        self.odds.shards(self.side)[place].get_or_init(Box::default)
    }

    /// A first attempt has ended.
    pub(crate) fn ended(&self, worker: usize, stratum: u8, failed: bool, micros: u64) {
        let shard = self.shard(worker, stratum);
        shard.failed.fetch_add(u64::from(failed), Relaxed);
        shard.times.record(micros);
    }

    /// A later request of a session has failed, whose first one has ended or will.
    pub(crate) fn failed(&self, worker: usize, stratum: u8) {
        self.shard(worker, stratum).failed.fetch_add(1, Relaxed);
    }

    /// A client has waited for so long and gone: that is no failure, but it took as long.
    pub(crate) fn given_up(&self, worker: usize, stratum: u8, micros: u64) {
        self.shard(worker, stratum).times.record(micros);
    }
}

/// All odds that are not forgotten, oldest first.
#[derive(Debug, Default)]
pub(crate) struct AllOdds {
    next: u64,
    pub(crate) known: Vec<Arc<Odds>>,
}

impl AllOdds {
    /// Those of a pair, new ones if it never was or is forgotten.
    pub(crate) fn of(&mut self, pair: Pair, workers: usize) -> Arc<Odds> {
        if let Some(known) = self.known.iter().position(|odds| odds.pair == pair) {
            // The one in use is the last to be forgotten.
            let odds = self.known.remove(known);
            self.known.push(Arc::clone(&odds));
            return odds;
        }
        let service = pair.candidate.service.clone();
        let same = |odds: &Arc<Odds>| odds.pair.candidate.service == service;
        if self.known.iter().filter(|odds| same(odds)).count() >= KEPT
            && let Some(oldest) = self.known.iter().position(same)
        {
            self.known.remove(oldest);
        }
        self.next += 1;
        let odds = Arc::new(Odds::new(self.next, pair, workers));
        self.known.push(Arc::clone(&odds));
        odds
    }

    /// Keeps those whose revisions are both still known.
    pub(crate) fn retain(&mut self, known: impl Fn(&RevisionId) -> bool) {
        self.known
            .retain(|odds| known(&odds.pair.candidate) && known(&odds.pair.stable));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(service: &str, parts: u32) -> Pair {
        let revision = |version: &str| format!("{service}@{version}#aaaaaa").parse().unwrap();
        Pair {
            candidate: revision("1.1.0"),
            stable: revision("1.0.0"),
            parts: (parts, 10_000),
            strata: Vec::new(),
        }
    }

    #[test]
    fn the_same_pair_counts_at_the_same_place_and_the_oldest_is_forgotten() {
        let mut all = AllOdds::default();
        let other = all.of(pair("web", 1), 2).number;
        let first = all.of(pair("api", 1), 2).number;
        for parts in 2..=KEPT as u32 {
            all.of(pair("api", parts), 2);
        }
        assert_eq!(
            all.of(pair("api", 1), 2).number,
            first,
            "still known, and now in use"
        );
        all.of(pair("api", 9_999), 2);
        let numbers = |parts| {
            let found = all.known.iter().find(|odds| odds.pair == pair("api", parts));
            found.map(|odds| odds.number)
        };
        assert_eq!((numbers(1), numbers(2)), (Some(first), None));
        assert_eq!(
            all.known.len(),
            KEPT + 1,
            "a service does not push out another one's"
        );
        assert_eq!(all.of(pair("web", 1), 2).number, other);
    }

    #[test]
    fn each_side_counts_for_itself() {
        let mut all = AllOdds::default();
        let odds = all.of(pair("api", 500), 2);
        let place = |revision: &RevisionId| odds.place(revision).unwrap();
        let (candidate, stable) = (place(&odds.pair.candidate), place(&odds.pair.stable));
        candidate.ended(0, 0, true, 3);
        candidate.ended(1, 0, false, 5);
        candidate.given_up(1, 0, 5);
        stable.ended(1, 0, false, 0);
        assert_eq!(odds.read(Side::Candidate, 0), (1, vec![0, 0, 0, 1, 0, 2]));
        assert_eq!(odds.read(Side::Stable, 0), (0, vec![1]));
        assert!(odds.place(&"api@3.0.0#cccccc".parse().unwrap()).is_none());
    }

    #[test]
    fn each_stratum_counts_for_itself_and_others_are_other_odds() {
        let mut all = AllOdds::default();
        let named = Pair {
            strata: vec!["a".to_owned(), "b".to_owned()],
            ..pair("api", 500)
        };
        let odds = all.of(named, 2);
        let place = odds.place(&odds.pair.candidate).unwrap();
        for (worker, stratum) in [(0, 0), (1, 0), (0, 1), (1, 2), (1, 9)] {
            place.ended(worker, stratum, true, 0);
        }
        let failed = |stratum| odds.read(Side::Candidate, stratum).0;
        assert_eq!([failed(0), failed(1), failed(2)], [2, 1, 2]);
        assert_eq!(odds.read(Side::Stable, 0), (0, Vec::new()));
        assert_ne!(all.of(pair("api", 500), 2).number, odds.number);
    }
}
