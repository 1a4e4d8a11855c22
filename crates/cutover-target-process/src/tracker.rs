//! Rise and fall: one answer alone does not turn a state.

/// Counts answers in a row.
#[derive(Debug, Clone)]
pub(crate) struct Tracker {
    rise: u32,
    fall: u32,
    passing: bool,
    /// Answers in a row that speak against `passing`.
    against: u32,
}

impl Tracker {
    pub(crate) fn new(rise: u32, fall: u32, passing: bool) -> Self {
        Self {
            rise: rise.max(1),
            fall: fall.max(1),
            passing,
            against: 0,
        }
    }

    /// Takes one answer; whether it passes now.
    pub(crate) fn observe(&mut self, passed: bool) -> bool {
        if passed == self.passing {
            self.against = 0;
            return self.passing;
        }
        self.against += 1;
        let needed = if self.passing { self.fall } else { self.rise };
        if self.against >= needed {
            self.passing = passed;
            self.against = 0;
        }
        self.passing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rise: u32, fall: u32, answers: &str) -> String {
        let mut tracker = Tracker::new(rise, fall, false);
        answers
            .chars()
            .map(|c| if tracker.observe(c == '+') { 'R' } else { '.' })
            .collect()
    }

    #[test]
    fn turns_only_after_enough_answers_in_a_row() {
        assert_eq!(run(2, 3, "+-++--+---+"), "...RRRRRR..");
        assert_eq!(run(1, 1, "+-+"), "R.R");
        assert_eq!(run(0, 0, "+-"), "R.");
    }
}
