//! Encryption at rest of what lets somebody act for an athlete: XChaCha20-Poly1305 under a key of the installation.
//!
//! A sealed value is `1 | key id (4) | nonce (24) | ciphertext and tag`. The key id tells which key of a [`Keyring`]
//! opens it, so that a key can be replaced: put the new one first, keep the old ones behind it. The athlete and the
//! provider are authenticated with it: a value copied to another athlete's row does not open.

mod file;

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use std::path::{Path, PathBuf};

/// The environment variable that holds the keys.
pub const KEY_VARIABLE: &str = "RUNNERLY_KEY";

/// The name of the key file within the data directory.
pub const KEY_FILE: &str = "runnerly.key";

const FORMAT: u8 = 1;
const ID: usize = 4;
const NONCE: usize = 24;

/// Why a key or a sealed value was refused. Never holds a key or a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The text of a key is not one.
    #[error(
        "{place}: {reason}; a key is 32 bytes in base64, as `head -c 32 /dev/urandom | base64` prints it"
    )]
    BadKey {
        /// The variable or file it was read from.
        place: String,
        /// What was wrong with it.
        reason: &'static str,
    },
    /// The key file cannot be read or made, or others may read it.
    #[error("key file {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// A sealed value names a key that is not in the ring.
    #[error("sealed with a key that is not at hand; add the old key behind a comma to {KEY_VARIABLE}")]
    UnknownKey,
    /// A sealed value is broken, or belongs to somebody else.
    #[error("a sealed value does not open: it was changed, or belongs to another athlete")]
    Broken,
    /// The operating system gave no randomness.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

struct Key {
    id: [u8; ID],
    bytes: SecretBox<[u8; 32]>,
}

impl Key {
    fn new(bytes: [u8; 32]) -> Self {
        let cipher = XChaCha20Poly1305::new(&bytes.into());
        // The tag of an empty message under a nonce that is used for nothing else: tells keys apart, reveals none.
        let tag =
            cipher.encrypt(&XNonce::default(), Payload { msg: b"", aad: b"key id" }).unwrap_or_default();
        let mut id = [0; ID];
        id.iter_mut().zip(tag).for_each(|(to, from)| *to = from);
        Self { id, bytes: SecretBox::new(Box::new(bytes)) }
    }

    fn parse(text: &str, place: &str) -> Result<Self, SecretError> {
        let bad = |reason| SecretError::BadKey { place: place.to_owned(), reason };
        let bytes = STANDARD.decode(text.trim()).map_err(|_| bad("is not base64"))?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|bytes| match bytes.len() {
            0 => bad("is empty"),
            1..32 => bad("is too short"),
            _ => bad("is too long"),
        })?;
        if bytes == [0; 32] {
            return Err(bad("is all zero"));
        }
        Ok(Self::new(bytes))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.bytes.expose_secret().into())
    }
}

/// The keys of an installation: the first seals, all of them open.
///
/// ```
/// use runnerly::secret::Keyring;
/// let keys = Keyring::random().unwrap();
/// let sealed = keys.seal("strava", 7, b"token").unwrap();
/// assert_eq!(keys.open("strava", 7, &sealed).unwrap(), b"token");
/// assert!(keys.open("strava", 8, &sealed).is_err());
/// assert_eq!(format!("{keys:?}"), "Keyring { keys: 1, .. }");
/// ```
pub struct Keyring {
    keys: Vec<Key>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// Reads keys in base64, separated by commas: the first seals, all of them open.
    ///
    /// # Errors
    /// [`SecretError::BadKey`], when one is not 32 bytes of base64, or all zero.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        Self::parse_from(text, KEY_VARIABLE)
    }

    fn parse_from(text: &str, place: &str) -> Result<Self, SecretError> {
        let keys = text.split(',').map(|key| Key::parse(key, place)).collect::<Result<_, _>>()?;
        Ok(Self { keys })
    }

    /// A ring of one new random key, for tests and for values that need not outlive the process.
    ///
    /// # Errors
    /// [`SecretError::NoRandomness`].
    pub fn random() -> Result<Self, SecretError> {
        Self::parse(new_key()?.expose_secret())
    }

    /// Takes the keys from `variable` (the value of [`KEY_VARIABLE`]) when it is given and not empty, else from
    /// [`KEY_FILE`] in `data_dir`, which is made on first start so that only its owner can read it.
    ///
    /// # Errors
    /// A key that is not one; a file that cannot be read or made, or that others may read.
    pub fn load(variable: Option<&SecretString>, data_dir: &Path) -> Result<Self, SecretError> {
        match variable.map(ExposeSecret::expose_secret).filter(|text| !text.trim().is_empty()) {
            Some(text) => Self::parse(text),
            None => {
                let path = data_dir.join(KEY_FILE);
                let text = file::read_or_create(&path)?;
                Self::parse_from(text.expose_secret(), &format!("key file {}", path.display()))
            }
        }
    }

    /// Seals `plain` for one athlete of one provider.
    ///
    /// # Errors
    /// [`SecretError::NoRandomness`].
    pub fn seal(&self, provider: &str, athlete: i64, plain: &[u8]) -> Result<Vec<u8>, SecretError> {
        let key = self.keys.first().ok_or(SecretError::UnknownKey)?;
        let nonce = XNonce::try_generate().map_err(|_| SecretError::NoRandomness)?;
        let payload = Payload { msg: plain, aad: &owner(provider, athlete) };
        let sealed = key.cipher().encrypt(&nonce, payload).map_err(|_| SecretError::Broken)?;
        Ok([&[FORMAT][..], &key.id, &nonce, &sealed].concat())
    }

    /// Opens what [`Keyring::seal`] made for the same athlete and provider.
    ///
    /// # Errors
    /// [`SecretError::UnknownKey`] or [`SecretError::Broken`].
    pub fn open(&self, provider: &str, athlete: i64, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        let (id, nonce, sealed) = parts(sealed).ok_or(SecretError::Broken)?;
        let aad = owner(provider, athlete);
        // Ids are short: two keys may share one, so every key with that id is tried.
        let mut error = SecretError::UnknownKey;
        for key in self.keys.iter().filter(|key| key.id == id) {
            match key.cipher().decrypt(&nonce.into(), Payload { msg: sealed, aad: &aad }) {
                Ok(plain) => return Ok(plain),
                Err(_) => error = SecretError::Broken,
            }
        }
        Err(error)
    }

    /// Whether `sealed` was sealed with a key that is no longer the first, and should be sealed anew.
    pub fn is_outdated(&self, sealed: &[u8]) -> bool {
        match (parts(sealed), self.keys.first()) {
            (Some((id, ..)), Some(key)) => key.id != id,
            _ => false,
        }
    }
}

fn parts(sealed: &[u8]) -> Option<([u8; ID], [u8; NONCE], &[u8])> {
    let (format, rest) = sealed.split_first()?;
    let (id, rest) = rest.split_first_chunk::<ID>()?;
    let (nonce, rest) = rest.split_first_chunk::<NONCE>()?;
    (*format == FORMAT).then_some((*id, *nonce, rest))
}

fn owner(provider: &str, athlete: i64) -> Vec<u8> {
    format!("{provider}:{athlete}").into_bytes()
}

fn new_key() -> Result<SecretString, SecretError> {
    let key = chacha20poly1305::Key::try_generate().map_err(|_| SecretError::NoRandomness)?;
    Ok(STANDARD.encode(key).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    #[test]
    fn sealed_values_open_only_for_their_owner() {
        let keys = Keyring::parse(&text(1)).unwrap();
        let sealed = keys.seal("strava", 7, b"secret").unwrap();
        assert_eq!(keys.open("strava", 7, &sealed).unwrap(), b"secret");
        assert!(matches!(keys.open("strava", 8, &sealed), Err(SecretError::Broken)));
        assert!(matches!(keys.open("other", 7, &sealed), Err(SecretError::Broken)));
        assert_ne!(sealed, keys.seal("strava", 7, b"secret").unwrap(), "every nonce is new");
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let keys = Keyring::parse(&text(1)).unwrap();
        let sealed = keys.seal("strava", 7, b"secret").unwrap();
        for k in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[k] ^= 1;
            assert!(keys.open("strava", 7, &changed).is_err(), "byte {k}");
            assert!(keys.open("strava", 7, &sealed[..k]).is_err(), "cut at {k}");
        }
    }

    #[test]
    fn a_rotated_key_still_opens_and_is_outdated() {
        let old = Keyring::parse(&text(1)).unwrap();
        let both = Keyring::parse(&format!("{},{}", text(2), text(1))).unwrap();
        let new = Keyring::parse(&text(2)).unwrap();
        let sealed = old.seal("strava", 7, b"secret").unwrap();
        assert_eq!(both.open("strava", 7, &sealed).unwrap(), b"secret");
        assert!(both.is_outdated(&sealed) && !old.is_outdated(&sealed));
        assert!(matches!(new.open("strava", 7, &sealed), Err(SecretError::UnknownKey)));
        let sealed = both.seal("strava", 7, b"secret").unwrap();
        assert!(new.open("strava", 7, &sealed).is_ok() && !both.is_outdated(&sealed));
    }

    #[test]
    fn bad_keys_get_one_line_that_does_not_repeat_them() {
        let cases = [
            ("", "is empty"),
            ("hunter2!", "is not base64"),
            ("c2hvcnQ=", "is too short"),
            (&STANDARD.encode([7; 33]), "is too long"),
            (&text(0), "is all zero"),
        ];
        for (key, reason) in cases {
            let message = Keyring::parse(key).unwrap_err().to_string();
            assert!(message.starts_with(&format!("RUNNERLY_KEY: {reason}; a key is 32 bytes")), "{message}");
            assert!(key.is_empty() || !message.contains(key), "{message}");
            assert_eq!(message.lines().count(), 1);
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let keys = Keyring::parse(&text(65)).unwrap();
        assert_eq!(format!("{keys:?}"), "Keyring { keys: 1, .. }");
    }
}
