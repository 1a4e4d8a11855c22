//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): who the client behind a balancer is.
//!
//! Reads not a byte more than the header. Whoever must send one and sends anything else is not served: it would be
//! taken for somebody else.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, its end included.
const LONGEST_LINE: usize = 107;

/// Addresses and extensions of version 2. The format allows 64 KiB; what is sent in practice is below 1 KiB.
const LONGEST_BODY: usize = 4096;

/// Why there is no announced address.
#[derive(Debug, Error)]
pub(crate) enum HeaderError {
    #[error("the connection broke")]
    Io(#[from] io::Error),
    #[error("it begins with something else")]
    Absent,
    #[error("its line has no end within {LONGEST_LINE} bytes")]
    Endless,
    #[error("its line is not of the form that version 1 has")]
    BadLine,
    #[error("its version, command or family is unknown")]
    Unknown,
    #[error("its length {0} does not fit")]
    Length(usize),
}

/// The announced address; none if the sender speaks for itself (`LOCAL`, `UNKNOWN`).
pub(crate) async fn read(stream: &mut TcpStream) -> Result<Option<IpAddr>, HeaderError> {
    let mut start = [0; 12];
    stream.read_exact(&mut start).await?;
    if start == *SIGNATURE {
        let mut rest = [0; 4];
        stream.read_exact(&mut rest).await?;
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        if length > LONGEST_BODY {
            return Err(HeaderError::Length(length));
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        return version_2(rest[0], rest[1], &body);
    }
    if !start.starts_with(b"PROXY ") {
        return Err(HeaderError::Absent);
    }
    let mut line = start.to_vec();
    while line.last() != Some(&b'\n') {
        let mut next = [0; LONGEST_LINE];
        let room = LONGEST_LINE - line.len();
        if room == 0 {
            return Err(HeaderError::Endless);
        }
        let came = stream.peek(&mut next[..room]).await?;
        if came == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let end = next[..came].iter().position(|byte| *byte == b'\n');
        let take = end.map_or(came, |end| end + 1);
        stream.read_exact(&mut next[..take]).await?;
        line.extend_from_slice(&next[..take]);
    }
    version_1(&line)
}

fn version_1(line: &[u8]) -> Result<Option<IpAddr>, HeaderError> {
    let text = line
        .strip_suffix(b"\r\n")
        .and_then(|line| std::str::from_utf8(line).ok());
    let text = text
        .and_then(|text| text.strip_prefix("PROXY "))
        .ok_or(HeaderError::BadLine)?;
    let words: Vec<&str> = text.split(' ').collect();
    match words[..] {
        // What follows the word is to be ignored.
        ["UNKNOWN", ..] => Ok(None),
        ["TCP4", source, target, from, to] if port(from) && port(to) => {
            let _: Ipv4Addr = target.parse().map_err(|_| HeaderError::BadLine)?;
            let source: Ipv4Addr = source.parse().map_err(|_| HeaderError::BadLine)?;
            Ok(Some(source.into()))
        }
        ["TCP6", source, target, from, to] if port(from) && port(to) => {
            let _: Ipv6Addr = target.parse().map_err(|_| HeaderError::BadLine)?;
            let source: Ipv6Addr = source.parse().map_err(|_| HeaderError::BadLine)?;
            Ok(Some(source.into()))
        }
        _ => Err(HeaderError::BadLine),
    }
}

/// Decimal digits without a leading zero, up to 65535.
fn port(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain && text.parse::<u16>().is_ok()
}

fn version_2(version_and_command: u8, family: u8, body: &[u8]) -> Result<Option<IpAddr>, HeaderError> {
    match version_and_command {
        // LOCAL: the balancer's own probe.
        0x20 => return Ok(None),
        0x21 => {}
        _ => return Err(HeaderError::Unknown),
    }
    match family {
        0x11 => match body {
            [a, b, c, d, _, _, _, _, _, _, _, _, ..] => Ok(Some(Ipv4Addr::new(*a, *b, *c, *d).into())),
            _ => Err(HeaderError::Length(body.len())),
        },
        0x21 => {
            let source: Option<&[u8; 16]> = body.first_chunk();
            match source {
                Some(source) if body.len() >= 36 => Ok(Some(Ipv6Addr::from(*source).into())),
                _ => Err(HeaderError::Length(body.len())),
            }
        }
        // UNSPEC: unknown to the balancer too.
        0x00 => Ok(None),
        // Datagrams and Unix sockets do not come over TCP.
        _ => Err(HeaderError::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    /// What is announced, and what is left for whoever reads on.
    async fn through(bytes: &[u8]) -> (Result<Option<IpAddr>, HeaderError>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        sender.write_all(bytes).await.unwrap();
        sender.shutdown().await.unwrap();
        let read = tokio::time::timeout(Duration::from_secs(10), read(&mut stream))
            .await
            .unwrap();
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest).await);
        (read, rest)
    }

    fn two(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, family]);
        bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[tokio::test]
    async fn both_versions_are_read_to_their_last_byte_and_no_further() {
        let four: Option<IpAddr> = Some("192.0.2.7".parse().unwrap());
        let six: Option<IpAddr> = Some("2001:db8::7".parse().unwrap());
        let mut addresses = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0, 80].to_vec();
        let v4 = two(0x21, 0x11, &addresses);
        addresses.extend([4, 0, 1, 0]);
        let extended = two(0x21, 0x11, &addresses);
        let mut long = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets().to_vec();
        long.extend([0; 20]);
        for (bytes, expected) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n".to_vec(), four),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 1 80\r\n".to_vec(), six),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN whatever 1 2 3\r\n".to_vec(), None),
            (v4, four),
            (extended, four),
            (two(0x21, 0x21, &long), six),
            (two(0x20, 0x00, &[]), None),
            (two(0x20, 0x11, &[1; 12]), None),
            (two(0x21, 0x00, &[]), None),
        ] {
            let mut sent = bytes.clone();
            sent.extend(b"GET / HTTP/1.1\r\n");
            let (read, rest) = through(&sent).await;
            assert_eq!(read.unwrap(), expected, "{}", bytes.escape_ascii());
            assert_eq!(rest, b"GET / HTTP/1.1\r\n");
        }
    }

    #[tokio::test]
    async fn whatever_else_comes_is_refused() {
        let endless = format!("PROXY TCP4 {}", "1".repeat(200));
        let oversize = {
            let mut bytes = two(0x21, 0x11, &[]);
            bytes[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
            bytes
        };
        let truncated = two(0x21, 0x11, &[1; 12])[..20].to_vec();
        for bytes in [
            b"".to_vec(),
            b"PROXY".to_vec(),
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 080\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 65536\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 +1 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7  10.0.0.1 12345 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 80 \r\n".to_vec(),
            b"PROXY TCP4 2001:db8::7 10.0.0.1 12345 80\r\n".to_vec(),
            b"PROXY TCP6 192.0.2.7 10.0.0.1 12345 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.007 10.0.0.1 12345 80\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.7 10.0.0.1 12345 80\r\n".to_vec(),
            b"PROXY \xff\xfe\xfd\xfc\xfb\xfa\xf9\r\n".to_vec(),
            endless.into_bytes(),
            SIGNATURE.to_vec(),
            two(0x11, 0x11, &[1; 12]),
            two(0x22, 0x11, &[1; 12]),
            two(0x21, 0x12, &[1; 12]),
            two(0x21, 0x31, &[1; 216]),
            two(0x21, 0x11, &[1; 11]),
            two(0x21, 0x21, &[1; 35]),
            oversize,
            truncated,
        ] {
            let (read, _) = through(&bytes).await;
            assert!(read.is_err(), "{}: {read:?}", bytes.escape_ascii());
        }
    }
}
