//! Cookies that a client sends.

use hyper::header::{COOKIE, HeaderMap, HeaderValue};

/// The values of all cookies with this name, in the order in which they were sent. Names are compared as they stand.
pub(crate) fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .filter_map(move |pair| {
            let pair = pair.trim_ascii();
            let rest = pair.strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn found_by_their_whole_name_wherever_they_stand() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("ab=1; a=2;a=;b=a=4"));
        headers.append(COOKIE, HeaderValue::from_static("a=3=3; a ; A=5"));
        let found: Vec<_> = values(&headers, "a").collect();
        assert_eq!(found, [b"2".as_slice(), b"", b"3=3"]);
    }
}
