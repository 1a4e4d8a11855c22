//! Requests as they should be or nearly, and small changes of them.

use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;

/// What changes begin from. Most of them are two requests: the second is what could be smuggled.
pub(crate) const SEEDS: [&[u8]; 18] = [
    b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: a.test\r\n\r\nGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: z\r\n\r\nGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 31\r\n\r\n0\r\n\r\nGET /b HTTP/1.1\r\nX: y\r\n\r\n",
    b"GET http://b.test/a HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close, X-A\r\nX-A: b\r\n\r\nGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\nGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nokGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: a.test\r\nCookie: a=b; c=d\r\nAccept: */*\r\nX-Fold: a\r\n b\r\n\r\nGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
    b"DELETE /a HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 0\r\n\r\nGET /b HTTP/1.1\r\nHost: a.test:80\r\n\r\n",
    b"POST /a HTTP/1.1\r\nhost: a.test\r\ncontent-length: 005\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n",
];

/// What parsers have disagreed about before.
const TOKENS: [&[u8]; 40] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\t",
    b" ",
    b"\x0b",
    b"\x0c",
    b"\x80",
    b"\xff",
    b":",
    b",",
    b";",
    b"\"",
    b"\\",
    b"#",
    b"?",
    b"%00",
    b"%0d%0a",
    b"0\r\n\r\n",
    b"\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b" Transfer-Encoding: chunked\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length: 18446744073709551621\r\n",
    b"Connection: close\r\n",
    b"Connection: Content-Length\r\n",
    b"Connection: Transfer-Encoding, Host\r\n",
    b"Host: b.test\r\n",
    b"Host: a.test, b.test\r\n",
    b"Expect: 100-continue\r\n",
    b"X: ",
    b"HTTP/1.0",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

const NUMBERS: [&[u8]; 12] = [
    b"0",
    b"1",
    b"4",
    b"6",
    b"-1",
    b"0x5",
    b"05",
    b"5 ",
    b"99999999999999999999",
    b"fffffffffffffffff",
    b"5;",
    b"00000000000000000005",
];

/// One to four changes.
pub(crate) fn changed(base: &[u8], random: &mut SmallRng) -> Vec<u8> {
    let mut bytes = base.to_vec();
    for _ in 0..random.random_range(1..=4) {
        change(&mut bytes, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, random: &mut SmallRng) {
    if bytes.is_empty() {
        return;
    }
    let at = random.random_range(0..bytes.len());
    let token = TOKENS.choose(random).copied().unwrap_or_default();
    match random.random_range(0..9) {
        0 => bytes[at] = random.random(),
        1 => drop(bytes.splice(at..at, token.iter().copied())),
        2 => drop(bytes.splice(at..=at, token.iter().copied())),
        3 => {
            let end = (at + random.random_range(1..8)).min(bytes.len());
            drop(bytes.drain(at..end));
        }
        4 => {
            // A whole line more.
            let start = line_start(bytes, at);
            drop(bytes.splice(start..start, token.iter().copied()));
        }
        5 => {
            let (start, end) = line(bytes, at);
            let copy = bytes[start..end].to_vec();
            let to = random.random_range(0..=bytes.len());
            let to = line_start(bytes, to);
            drop(bytes.splice(to..to, copy));
        }
        6 => {
            if bytes[at].is_ascii_alphabetic() {
                bytes[at] ^= 0x20;
            }
        }
        7 => {
            // The first number from here on is another one.
            if let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit) {
                let start = at + start;
                let length = bytes[start..]
                    .iter()
                    .take_while(|byte| byte.is_ascii_digit())
                    .count();
                let number = NUMBERS.choose(random).copied().unwrap_or_default();
                drop(bytes.splice(start..start + length, number.iter().copied()));
            }
        }
        _ => {
            let (start, end) = line(bytes, at);
            drop(bytes.drain(start..end));
        }
    }
}

fn line_start(bytes: &[u8], at: usize) -> usize {
    bytes[..at]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1)
}

fn line(bytes: &[u8], at: usize) -> (usize, usize) {
    let end = bytes[at..].iter().position(|byte| *byte == b'\n');
    (line_start(bytes, at), end.map_or(bytes.len(), |end| at + end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    #[test]
    fn changes_differ_and_can_be_had_again() {
        let many = |seed| {
            let mut random = SmallRng::seed_from_u64(seed);
            (0..2_000)
                .map(|index| changed(SEEDS[index % SEEDS.len()], &mut random))
                .collect::<Vec<_>>()
        };
        assert_eq!(many(1), many(1));
        let mut different = many(2);
        different.sort();
        different.dedup();
        assert!(different.len() > 1_000);
    }
}
