//! Kayenta: one point a minute of both error rates, compared by Mann-Whitney with its default parameters.

use cutover_analysis::{Classification, Series, classify};

use crate::release::{Detector, Next, ramp};
use crate::world::{Arm, Second};

/// Fewer points than this are not compared: with two it fails a healthy release one time in four.
const FEWEST: usize = 5;

/// Looks every minute at all points so far; High takes the release back, and no data hold it at the end.
#[derive(Debug, Default)]
pub struct Kayenta {
    minute: (Arm, Arm),
    experiment: Vec<Option<f64>>,
    control: Vec<Option<f64>>,
}

impl Detector for Kayenta {
    fn second(&mut self, at: u64, seen: &Second) -> Next {
        if !seen.blind {
            self.minute.0.add(seen.candidate);
            self.minute.1.add(seen.stable);
        }
        let mut last = Classification::Nodata;
        if at.is_multiple_of(60) {
            let (candidate, stable) = std::mem::take(&mut self.minute);
            self.experiment.push(candidate.rate());
            self.control.push(stable.rate());
            if self.experiment.len() >= FEWEST {
                last = classify(&series(&self.experiment, &self.control)).classification;
                if last == Classification::High {
                    return Next::Back;
                }
            }
        }
        match ramp(at) {
            Some(share) => Next::Share(share),
            None if last == Classification::Nodata => Next::Hold,
            None => Next::Promote,
        }
    }
}

fn series(experiment: &[Option<f64>], control: &[Option<f64>]) -> Series {
    Series::increase(experiment.to_vec(), control.to_vec())
}
