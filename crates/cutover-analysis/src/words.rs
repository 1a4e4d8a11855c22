//! Numbers as people read them.

use cutover_model::Grouped;

/// A share from 0 to 1 in per cent, with as many digits as say something: `0.1 %`, `12 %`, `0.04 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 {
        "0 %".to_owned()
    } else if percent < 0.1 {
        format!("{percent:.2} %")
    } else if percent < 10.0 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

/// A time in microseconds: `480 µs`, `3.2 ms`, `21 ms`, `12.5 s`.
pub(crate) fn time(us: u64) -> String {
    let ms = us as f64 / 1_000.0;
    if us < 1_000 {
        format!("{us} µs")
    } else if ms < 10.0 {
        format!("{ms:.1} ms")
    } else if ms < 10_000.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.1} s", ms / 1_000.0)
    }
}

/// A quantile's usual name: `p99`, `p99.9`, `p50`.
pub(crate) fn quantile(q: f64) -> String {
    let text = format!("{:.2}", q * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("p{text}")
}

/// Four significant digits: `12.5`, `0.004167`, `1.5e300`.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-9.0..15.0).contains(&magnitude) {
        let text = format!("{value:.3e}");
        return match text.split_once('e') {
            Some((digits, power)) => format!("{}e{power}", without_zeros(digits)),
            None => text,
        };
    }
    let places = usize::try_from(3 - magnitude as i32).unwrap_or(0);
    without_zeros(&format!("{value:.places$}")).to_owned()
}

/// Without the zeros at the end that say nothing.
fn without_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// A count with its noun.
pub(crate) fn count(n: u64, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {one}s")
    }
}

/// How often: `never`, `once`, `3 times`.
pub(crate) fn times(n: u64) -> String {
    match n {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        more => format!("{more} times"),
    }
}

/// How rare evidence is: by Ville's inequality the chance of ever seeing evidence E of equal versions is at most 1/E.
/// Rounded down to one digit, for it is a bound and not a measurement; above a million it is not worth a digit.
pub(crate) fn one_in(log_evidence: f64) -> Grouped {
    let one_in = log_evidence.exp().clamp(1.0, 1e6);
    let magnitude = 10f64.powf(one_in.log10().floor());
    Grouped(((one_in / magnitude).floor() * magnitude) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (share, text) in [
            (0.0, "0 %"),
            (0.0004, "0.04 %"),
            (0.001, "0.1 %"),
            (0.061, "6.1 %"),
            (0.5, "50 %"),
        ] {
            assert_eq!(percent(share), text);
        }
        for (us, text) in [
            (480, "480 µs"),
            (3_200, "3.2 ms"),
            (21_000, "21 ms"),
            (12_500_000, "12.5 s"),
        ] {
            assert_eq!(time(us), text);
        }
        for (q, text) in [(0.99, "p99"), (0.999, "p99.9"), (0.5, "p50"), (1.0, "p100")] {
            assert_eq!(quantile(q), text);
        }
        for (value, text) in [
            (0.0, "0"),
            (-12.5, "-12.5"),
            (0.004_166_666, "0.004167"),
            (123_456_789.0, "123456789"),
            (1e15, "1e15"),
            (-1.5e300, "-1.5e300"),
            (2e-12, "2e-12"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(count(1, "request"), "1 request");
        assert_eq!(count(0, "request"), "0 requests");
        assert_eq!([0, 1, 2].map(times), ["never", "once", "2 times"]);
    }
}
