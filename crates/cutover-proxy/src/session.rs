//! Sessions: where a client belongs, without remembering it here.
//!
//! A client has an identity, which is the random number in its cookie, or its address. A keyed digest of the identity
//! and of the candidate's name is its *place*, a number that is spread evenly. The share of the candidate is a part of
//! the line on which all places lie. When the share grows, the part does, and the clients on the new piece move over,
//! each once; when it shrinks they move back. So the clients on the candidate always are the share that was asked for,
//! nobody drifts, and no list of clients has to be kept, shared by the workers, or saved. Since the candidate's name
//! goes in, other clients are the first to move at the next release.
//!
//! The cookie is signed, so that nobody can try out identities until one is on the side that they like. It names the
//! revision and the generation at which that was told to the client: for whoever reads it, and to count who moved.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use cutover_model::RevisionId;
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::HeaderMap;
use rand::TryRngCore;
use rand::rngs::OsRng;
use sha2::Sha256;

use crate::cookie;
use crate::wire::Refusal;

/// More cookies with our name than this are not looked at: each costs a digest.
const MAX_TRIED: usize = 4;

/// What signs cookies and spreads places.
pub(crate) struct SessionKey(Hmac<Sha256>);

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey")
    }
}

/// Who a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// By the number in its cookie.
    Number(u128),
    /// By its address. An IPv6 client has a network of its own and may use any address in it.
    Address(IpAddr),
}

impl Identity {
    /// In 64 bits: of a random number the half, of an IPv6 client its network.
    pub(crate) fn short(self) -> u64 {
        match self {
            Self::Number(number) => number as u64,
            Self::Address(IpAddr::V4(address)) => u64::from(address.to_bits()),
            Self::Address(IpAddr::V6(address)) => (address.to_bits() >> 64) as u64,
        }
    }
}

/// A cookie's content that was signed here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Session<'a> {
    pub(crate) number: u128,
    /// The revision that the client was told.
    pub(crate) revision: &'a str,
    /// All of it.
    pub(crate) text: &'a str,
}

impl SessionKey {
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        // HMAC fills a key up to the length of a block with zeros.
        let mut block = hmac::digest::common::Key::<Hmac<Sha256>>::default();
        block[..bytes.len()].copy_from_slice(&bytes);
        Self(Hmac::new(&block))
    }

    fn digest(&self, what: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut digest = self.0.clone().chain_update(what);
        for part in parts {
            digest.update(part);
        }
        digest
    }

    /// Where a client stands, evenly spread over `0..total`, as long as the candidate is this one.
    pub(crate) fn place(&self, identity: Identity, candidate: &RevisionId, total: u32) -> u32 {
        let candidate = candidate.to_string();
        let digest = match identity {
            Identity::Number(number) => {
                self.digest("place by number:", &[&number.to_be_bytes(), candidate.as_bytes()])
            }
            Identity::Address(IpAddr::V4(address)) => {
                self.digest("place by v4:", &[&address.octets(), candidate.as_bytes()])
            }
            Identity::Address(IpAddr::V6(address)) => {
                let network = &address.octets()[..8];
                self.digest("place by v6:", &[network, candidate.as_bytes()])
            }
        };
        let bytes = digest.finalize().into_bytes();
        let high = bytes
            .iter()
            .take(8)
            .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        // Scaled, not the rest of a division: so it grows with the total and stays where it is in proportion.
        u32::try_from((u128::from(high) * u128::from(total)) >> 64).unwrap_or(0)
    }

    /// A cookie's value: form, client, generation, revision, signature.
    pub(crate) fn sign(&self, number: u128, generation: u64, revision: &RevisionId) -> String {
        let content = format!("1.{number:032x}.{generation}.{revision}");
        let bytes = self
            .digest("session:", &[content.as_bytes()])
            .finalize()
            .into_bytes();
        let mut text = content;
        text.push('.');
        for byte in bytes.iter().take(16) {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }

    /// The first valid session among a request's cookies. What is forged or broken is as good as none.
    pub(crate) fn read<'a>(&self, headers: &'a HeaderMap, name: &'a str) -> Option<Session<'a>> {
        cookie::values(headers, name)
            .take(MAX_TRIED)
            .find_map(|value| self.verify(value))
    }

    fn verify<'a>(&self, value: &'a [u8]) -> Option<Session<'a>> {
        let text = std::str::from_utf8(value).ok()?;
        let (content, signature) = text.rsplit_once('.')?;
        if signature.len() != 32 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let signature = u128::from_str_radix(signature, 16).ok()?.to_be_bytes();
        let digest = self.digest("session:", &[content.as_bytes()]);
        digest.verify_truncated_left(&signature).ok()?;
        let mut parts = content.strip_prefix("1.")?.splitn(3, '.');
        let number = u128::from_str_radix(parts.next()?, 16).ok()?;
        let (_generation, revision) = (parts.next()?, parts.next()?);
        Some(Session {
            number,
            revision,
            text,
        })
    }
}

/// The key on disk, made when a table first asks for sessions. It stays: a proxy that comes back knows its clients.
#[derive(Debug)]
pub(crate) struct SessionKeys {
    path: PathBuf,
    key: OnceLock<Arc<SessionKey>>,
}

impl SessionKeys {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            key: OnceLock::new(),
        }
    }

    /// Reads or makes it, which blocks. Called for one table at a time.
    ///
    /// # Errors
    /// If it can neither be read nor kept: then clients would lose their places at the next start.
    pub(crate) fn get(&self) -> Result<Arc<SessionKey>, Refusal> {
        if let Some(key) = self.key.get() {
            return Ok(Arc::clone(key));
        }
        let bytes = self.read_or_make().map_err(|error| Refusal::NotSaved {
            path: self.path.display().to_string(),
            reason: error.to_string(),
        })?;
        let key = self.key.get_or_init(|| Arc::new(SessionKey::new(bytes)));
        Ok(Arc::clone(key))
    }

    fn read_or_make(&self) -> io::Result<[u8; 32]> {
        match std::fs::read(&self.path) {
            Ok(bytes) => bytes.try_into().map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    "this is no key of 32 bytes; delete it to have one made",
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0; 32];
                OsRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
                cutover_os::write_whole(&self.path, &bytes)?;
                Ok(bytes)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{COOKIE, HeaderValue};

    fn id(text: &str) -> RevisionId {
        text.parse().unwrap()
    }

    fn read(key: &SessionKey, cookies: &str) -> Option<(u128, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(cookies).unwrap());
        let session = key.read(&headers, "s")?;
        Some((session.number, session.revision.to_owned()))
    }

    #[test]
    fn what_was_signed_is_read_and_nothing_else() {
        let key = SessionKey::new([7; 32]);
        let text = key.sign(42, 3, &id("api@1.0.0-rc.1+b#aaaaaa"));
        let read_back = Some((42, "api@1.0.0-rc.1+b#aaaaaa".to_owned()));
        assert_eq!(read(&key, &format!("x=1; s={text}")), read_back);
        assert_eq!(
            read(&key, &format!("s=broken; s={text}")),
            read_back,
            "the second one is ours"
        );
        assert_eq!(
            read(&SessionKey::new([8; 32]), &format!("s={text}")),
            None,
            "another key"
        );
        for index in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[index] = if forged[index] == b'1' { b'2' } else { b'1' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(read(&key, &format!("s={forged}")), None, "{forged}");
            assert_eq!(
                read(&key, &format!("s={}", &text[..index])),
                None,
                "cut at {index}"
            );
        }
    }

    #[test]
    fn a_share_that_grows_moves_each_client_at_most_once_and_is_kept() {
        let key = SessionKey::new([7; 32]);
        let candidate = id("api@1.1.0#bbbbbb");
        let places: Vec<u32> = (0..20_000u128)
            .map(|number| key.place(Identity::Number(number), &candidate, 10_000))
            .collect();
        for share in [100, 1_000, 5_000, 9_000] {
            let on_candidate = places.iter().filter(|place| **place < share).count();
            let expected = f64::from(share) * 2.0;
            let tolerance = 5.0 * (expected * (1.0 - f64::from(share) / 10_000.0)).sqrt();
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let distance = (on_candidate as f64 - expected).abs();
            assert!(distance <= tolerance, "{share}: {on_candidate}");
        }
        let other = id("api@1.2.0#cccccc");
        let same = (0..1_000u128)
            .filter(|number| {
                let place = |candidate| key.place(Identity::Number(*number), candidate, 10_000);
                place(&candidate) < 1_000 && place(&other) < 1_000
            })
            .count();
        assert!(same < 40, "{same} of 1,000 are first again; 10 are by chance");
    }

    #[test]
    fn an_address_of_the_same_network_is_the_same_client() {
        let key = SessionKey::new([7; 32]);
        let candidate = id("api@1.1.0#bbbbbb");
        let place = |text: &str| key.place(Identity::Address(text.parse().unwrap()), &candidate, u32::MAX);
        assert_eq!(place("2001:db8::1"), place("2001:db8::ffff"));
        assert_ne!(place("2001:db8::1"), place("2001:db8:0:1::1"));
        assert_ne!(place("10.0.0.1"), place("10.0.0.2"));
    }

    #[test]
    fn the_key_is_made_once_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session-key");
        let text = SessionKeys::new(path.clone())
            .get()
            .unwrap()
            .sign(1, 1, &id("api@1.0.0#aaaaaa"));
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let again = SessionKeys::new(path.clone()).get().unwrap();
        assert!(read(&again, &format!("s={text}")).is_some());
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(
            SessionKeys::new(path).get(),
            Err(Refusal::NotSaved { .. })
        ));
    }
}
