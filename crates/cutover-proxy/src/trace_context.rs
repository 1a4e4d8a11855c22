//! `traceparent` (W3C Trace Context, level 1): passed on when it is valid, made when there is none.

use bytes::Bytes;
use hyper::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use rand::Rng;

use crate::fields;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-<32 hexadecimal digits>-<16>-<2>`.
const LENGTH: usize = 55;

/// What becomes of a request's trace.
#[derive(Debug)]
pub(crate) enum Trace {
    /// It goes on as it came.
    Passed,
    /// It begins here, in the place of whatever there was.
    Made(MadeTrace),
}

/// A new `traceparent`.
#[derive(Debug)]
pub(crate) struct MadeTrace {
    text: [u8; LENGTH],
    /// What came as `tracestate` belongs to nothing.
    pub(crate) without_state: bool,
}

impl Trace {
    pub(crate) fn of(headers: &HeaderMap, random: &mut impl Rng) -> Self {
        // What `Connection` names was not for us.
        let hidden = headers.contains_key(CONNECTION) && fields::named(headers).contains(&TRACEPARENT);
        let mut lines = headers.get_all(TRACEPARENT).iter();
        let without_state = match (lines.next(), lines.next()) {
            (Some(only), None) if !hidden && is_valid(only.as_bytes()) => return Self::Passed,
            (None, _) => false,
            _ => true,
        };
        Self::Made(MadeTrace {
            text: made(random),
            without_state,
        })
    }

    /// Afterwards there is one valid `traceparent` in the fields that it was made for. A state without a valid parent
    /// belongs to nothing and is taken out.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        if let Self::Made(made) = self {
            if made.without_state {
                headers.remove(TRACESTATE);
            }
            headers.insert(TRACEPARENT, made.value());
        }
    }

    /// The `traceparent` that an instance gets of these fields.
    pub(crate) fn told(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        match self {
            Self::Passed => headers.get(TRACEPARENT).cloned(),
            Self::Made(made) => Some(made.value()),
        }
    }
}

impl MadeTrace {
    fn value(&self) -> HeaderValue {
        let value = HeaderValue::from_maybe_shared(Bytes::copy_from_slice(self.as_bytes()));
        value.unwrap_or(FALLBACK)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

const FALLBACK: HeaderValue =
    HeaderValue::from_static("00-00000000000000000000000000000001-0000000000000001-00");

/// A trace that begins here and is not sampled: whether it is recorded is for those who record.
fn made(random: &mut impl Rng) -> [u8; LENGTH] {
    // All zeros would be no id.
    let (high, low, parent) = (
        random.random::<u64>(),
        random.random::<u64>() | 1,
        random.random::<u64>() | 1,
    );
    let mut text = [b'-'; LENGTH];
    text[..2].copy_from_slice(b"00");
    for (start, number) in [(3, high), (19, low), (36, parent)] {
        for (index, byte) in text[start..start + 16].iter_mut().enumerate() {
            let nibble = (number >> (60 - 4 * index)) & 0xf;
            *byte = b"0123456789abcdef"[usize::try_from(nibble).unwrap_or_default()];
        }
    }
    text[53..].copy_from_slice(b"00");
    text
}

/// Of a version above 00, what is known of it must be right, and more may follow after a dash.
fn is_valid(text: &[u8]) -> bool {
    let hex = |range: &[u8]| {
        range
            .iter()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
    };
    let nonzero = |range: &[u8]| range.iter().any(|b| *b != b'0');
    if text.len() < LENGTH {
        return false;
    }
    let dashes = [2, 35, 52].iter().all(|at| text[*at] == b'-');
    let fields = [&text[..2], &text[3..35], &text[36..52], &text[53..55]];
    let length = match &text[..2] {
        b"00" => text.len() == LENGTH,
        b"ff" => false,
        _ => text.len() == LENGTH || text[LENGTH] == b'-',
    };
    length && dashes && fields.iter().all(|field| hex(field)) && nonzero(fields[1]) && nonzero(fields[2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn ensured(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        Trace::of(&headers, &mut SmallRng::seed_from_u64(1)).apply(&mut headers);
        headers
    }

    #[test]
    fn a_valid_one_is_passed_with_its_state() {
        let headers = ensured(&[("traceparent", GOOD), ("tracestate", "a=b")]);
        assert_eq!(
            (headers["traceparent"].as_bytes(), headers.len()),
            (GOOD.as_bytes(), 2)
        );
        let newer = format!("01{}-more", &GOOD[2..]);
        assert_eq!(ensured(&[("traceparent", &newer)])["traceparent"], newer.as_str());
    }

    #[test]
    fn one_that_is_missing_or_wrong_is_made() {
        let zero_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let zero_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        let longer = format!("{GOOD}-more");
        let upper = GOOD.to_uppercase();
        let version = format!("ff{}", &GOOD[2..]);
        for bad in [
            "",
            "x",
            zero_trace,
            zero_parent,
            &longer,
            &upper,
            &version,
            &GOOD[..54],
        ] {
            let headers = ensured(&[("traceparent", bad), ("tracestate", "a=b")]);
            assert!(is_valid(headers["traceparent"].as_bytes()), "{bad}");
            assert_eq!(headers.len(), 1, "{bad}");
        }
        assert!(is_valid(ensured(&[])["traceparent"].as_bytes()));
        let twice = ensured(&[("traceparent", GOOD), ("traceparent", GOOD)]);
        assert_eq!(twice.get_all("traceparent").iter().count(), 1);
    }

    #[test]
    fn no_two_are_alike() {
        let mut random = SmallRng::seed_from_u64(1);
        let mut seen: Vec<_> = (0..1000).map(|_| made(&mut random)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }
}
