//! `traceparent` (W3C Trace Context, level 1): passed on when it is valid, made when there is none.

use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use rand::Rng;

pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// `00-<32 hexadecimal digits>-<16>-<2>`.
const LENGTH: usize = 55;

/// Afterwards there is one valid `traceparent`. A state without a valid parent belongs to nothing and is taken out.
pub(crate) fn ensure(headers: &mut HeaderMap, random: &mut impl Rng) {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    match (lines.next(), lines.next()) {
        (Some(only), None) if is_valid(only.as_bytes()) => return,
        (None, _) => {}
        _ => {
            headers.remove(TRACESTATE);
        }
    }
    headers.insert(TRACEPARENT, made(random));
}

/// A trace that begins here and is not sampled: whether it is recorded is for those who record.
fn made(random: &mut impl Rng) -> HeaderValue {
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
    HeaderValue::from_maybe_shared(Bytes::copy_from_slice(&text)).unwrap_or(HeaderValue::from_static(
        "00-00000000000000000000000000000001-0000000000000001-00",
    ))
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
        ensure(&mut headers, &mut SmallRng::seed_from_u64(1));
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
        seen.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }
}
