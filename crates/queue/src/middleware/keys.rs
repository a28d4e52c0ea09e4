//! The keys that seal and sign.

use crate::{Error, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::fmt;
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Keys by name: the first one seals and signs, any of them opens and verifies. To rotate, put
/// the new one behind the old in every process, then first, and drop the old one when nothing
/// that it sealed or signed is left, neither queued nor kept.
///
/// Wiped from memory when dropped; never shown.
///
/// ```
/// use legwork::middleware::KeyRing;
/// let ring = KeyRing::new("2026-11", [7; 32])?.and("2026-05", [3; 32])?;
/// assert_eq!(format!("{ring:?}"), r#"KeyRing["2026-11", "2026-05"]"#);
/// # Ok::<(), legwork::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<Arc<Key>>,
}

struct Key {
    id: String,
    bytes: Zeroizing<[u8; 32]>,
}

impl KeyRing {
    /// A ring of one key of 32 random bytes, under a name of 1 to 32 letters, digits, `-` and
    /// `_` that travels with what it seals.
    ///
    /// ```
    /// use legwork::middleware::KeyRing;
    /// assert!(KeyRing::new("k1", [7; 32]).is_ok());
    /// assert!(KeyRing::new("no spaces", [7; 32]).unwrap_err().is_invalid());
    /// assert!(KeyRing::new("k1", [0; 32]).unwrap_err().is_invalid());
    /// ```
    ///
    /// # Errors
    /// The name is outside the grammar, or the key is all zeros.
    pub fn new(id: &str, key: [u8; 32]) -> Result<KeyRing> {
        KeyRing { keys: Vec::new() }.and(id, key)
    }

    /// Adds an older key, which opens and no longer seals.
    ///
    /// ```
    /// use legwork::middleware::KeyRing;
    /// let ring = KeyRing::new("k2", [7; 32])?.and("k1", [3; 32])?;
    /// assert!(ring.and("k1", [5; 32]).is_err(), "named twice");
    /// # Ok::<(), legwork::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`KeyRing::new`], or the name is there already.
    pub fn and(mut self, id: &str, mut key: [u8; 32]) -> Result<KeyRing> {
        let bytes = Zeroizing::new(key);
        key.zeroize();
        if !is_name(id) {
            // Not shown: where name and key are mixed up, it is the key.
            return Err(Error::invalid("key: a name is not 1 to 32 letters, digits, - and _"));
        }
        if *bytes == [0; 32] {
            return Err(Error::invalid(format!("key {id}: is all zeros; use 32 random bytes")));
        }
        if self.find(id).is_some() {
            return Err(Error::invalid(format!("key {id}: is named twice")));
        }
        self.keys.push(Arc::new(Key { id: id.into(), bytes }));
        Ok(self)
    }

    /// Reads a ring from text, the newest key first: a line a key, its name and 32 bytes in
    /// base64, as `echo "k1 $(head -c 32 /dev/urandom | base64)"` makes it. Empty lines and
    /// those that begin with `#` say nothing.
    ///
    /// ```
    /// use legwork::middleware::KeyRing;
    /// let ring = KeyRing::parse("# ours\nk1 BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n")?;
    /// assert_eq!(format!("{ring:?}"), r#"KeyRing["k1"]"#);
    /// let wrong = KeyRing::parse("k1 c2hvcnQ=").unwrap_err().to_string();
    /// assert_eq!(wrong, "key: line 1: the key is 5 bytes, not 32");
    /// # Ok::<(), legwork::Error>(())
    /// ```
    ///
    /// # Errors
    /// A line is not a name and a key, or there is none.
    pub fn parse(text: &str) -> Result<KeyRing> {
        let mut ring = KeyRing { keys: Vec::new() };
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // Says nothing of the line itself: half of it is a secret.
            let Some((id, key)) = line.split_once(char::is_whitespace).filter(|(id, _)| is_name(id)) else {
                return Err(Error::invalid(format!(
                    "key: line {} is not a name and 32 bytes in base64",
                    n + 1
                )));
            };
            let bytes = STANDARD.decode(key.trim()).map(Zeroizing::new);
            // Nor of its name: where the two were turned around, that is the secret.
            let wrong = |what: String| Error::invalid(format!("key: line {}: the key is {what}", n + 1));
            let bytes = bytes.map_err(|_| wrong("not base64".into()))?;
            let bytes = <[u8; 32]>::try_from(&bytes[..])
                .map_err(|_| wrong(format!("{} bytes, not 32", bytes.len())))?;
            ring = ring.and(id, bytes)?;
        }
        if ring.keys.is_empty() {
            return Err(Error::invalid("key: there is none; a line is a name and 32 bytes in base64"));
        }
        Ok(ring)
    }

    /// The key that seals, and its name.
    pub(super) fn newest(&self) -> (&str, &[u8; 32]) {
        let key = &self.keys[0];
        (&key.id, &key.bytes)
    }

    pub(super) fn find(&self, id: &str) -> Option<&[u8; 32]> {
        self.keys.iter().find(|key| key.id == id).map(|key| &*key.bytes)
    }
}

fn is_name(id: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=32).contains(&id.len()) && id.chars().all(good)
}

/// The names only.
impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")?;
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_error_repeats_a_key(
            key in proptest::collection::vec(any::<u8>(), 24..60), gap in "[ \t\n=]{0,3}", turned in any::<bool>()
        ) {
            let secret = STANDARD.encode(&key);
            let line = if turned { format!("{secret}{gap}k1") } else { format!("k1{gap}{secret}") };
            if let Err(e) = KeyRing::parse(&line) {
                prop_assert!(!e.to_string().contains(&secret[..24]), "{}", e);
            }
        }
    }
}
