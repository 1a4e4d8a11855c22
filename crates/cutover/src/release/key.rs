//! The key of configuration digests: without it nobody can try passwords against a stored digest.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use cutover_model::{Diagnostic, Digest};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// In bytes: as long as what SHA-256 makes.
const LENGTH: usize = 32;

/// A random key that never leaves the state folder.
pub(crate) struct Key([u8; LENGTH]);

impl Key {
    /// The key in a file of mode 0600, which is made when it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, Diagnostic> {
        Self::read_or_make(path).map_err(|error| {
            Diagnostic::error(
                "state.unusable",
                format!("the key {} cannot be used: {error}", path.display()),
            )
            .help("cutover --state DIR status")
        })
    }

    fn read_or_make(path: &Path) -> io::Result<Self> {
        if let Some(key) = read(path)? {
            return Ok(key);
        }
        let mut key = [0; LENGTH];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
        // Written whole under another name and linked: of two processes that make it at once, both use the first's.
        let new = path.with_extension(uuid::Uuid::now_v7().to_string());
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&key)?;
        file.sync_all()?;
        let linked = std::fs::hard_link(&new, path);
        std::fs::remove_file(&new)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        read(path)?.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it was removed"))
    }

    /// The keyed digest (HMAC-SHA256) of names and values.
    pub(crate) fn digest<'a>(&self, values: impl Iterator<Item = (&'a str, &'a str)>) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for (name, value) in values {
            // Lengths first, so that no two lists of pairs are one text.
            for part in [name, value] {
                mac.update(&(part.len() as u64).to_le_bytes());
                mac.update(part.as_bytes());
            }
        }
        Digest::of(&mac.finalize().into_bytes())
    }
}

fn read(path: &Path) -> io::Result<Option<Key>> {
    match std::fs::read(path) {
        Ok(bytes) => match <[u8; LENGTH]>::try_from(bytes) {
            Ok(key) => Ok(Some(Key(key))),
            Err(bytes) => Err(io::Error::other(format!(
                "it has {} bytes, not {LENGTH}",
                bytes.len()
            ))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_private_and_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let first = Key::open(&path).unwrap();
        let second = Key::open(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let digest = |key: &Key, value| key.digest([("A", value)].into_iter());
        assert_eq!(digest(&first, "x"), digest(&second, "x"));
        assert_ne!(digest(&first, "x"), digest(&first, "y"));
        let other = Key::open(&folder.path().join("other")).unwrap();
        assert_ne!(digest(&first, "x"), digest(&other, "x"));
        assert_ne!(
            first.digest([("AB", "C")].into_iter()),
            first.digest([("A", "BC")].into_iter())
        );
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "short").unwrap();
        assert_eq!(Key::open(&path).err().unwrap().code, "state.unusable");
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
    }
}
