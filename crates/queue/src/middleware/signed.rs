//! Jobs that say who enqueued them.

use super::{KeyRing, Middleware, Unreadable};
use crate::{Envelope, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Signs jobs with HMAC-SHA256 under the newest key of a ring, and verifies under any: id,
/// name, version, queue, and the payload as it travels. Add it last, so that it signs what the
/// others made.
///
/// A job that is wrongly signed never runs: it is discarded as `undecodable`, its bytes kept.
/// One signed under a key that the ring lacks is parked.
///
/// ```
/// # use legwork::{*, middleware::*};
/// let signed = Signed::new(KeyRing::new("k1", [7; 32])?).require();
/// let mut envelope = Envelope::new("a.job", "{}")?;
/// assert!(matches!(signed.open(&mut envelope), Err(Unreadable::Broken(_))), "not signed");
/// signed.enqueue(&mut envelope)?;
/// assert!(signed.open(&mut envelope).is_ok());
/// envelope.queue = "other".into();
/// assert!(matches!(signed.open(&mut envelope), Err(Unreadable::Broken(_))), "changed");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Signed {
    ring: KeyRing,
    require: bool,
}

impl Signed {
    /// Signs what it enqueues and verifies what is signed; what is not signed runs.
    ///
    /// ```
    /// use legwork::middleware::{KeyRing, Signed};
    /// let signed = Signed::new(KeyRing::new("k1", [7; 32])?);
    /// # let _ = signed;
    /// # Ok::<(), legwork::Error>(())
    /// ```
    pub fn new(ring: KeyRing) -> Signed {
        Signed { ring, require: false }
    }

    /// What is not signed does not run either. Turn it on once every client signs and the
    /// unsigned jobs are gone.
    ///
    /// ```
    /// use legwork::middleware::{KeyRing, Signed};
    /// let strict = Signed::new(KeyRing::new("k1", [7; 32])?).require();
    /// # let _ = strict;
    /// # Ok::<(), legwork::Error>(())
    /// ```
    #[must_use]
    pub fn require(mut self) -> Signed {
        self.require = true;
        self
    }
}

fn mac(key: &[u8; 32], job: &Envelope) -> Hmac<Sha256> {
    // As HMAC itself pads a short key.
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    let version = job.version.to_be_bytes();
    let count = (job.packed.len() as u64).to_be_bytes();
    let pieces = [
        b"legwork signed 1",
        &job.identity()[..],
        job.name.as_bytes(),
        &version,
        job.queue.as_bytes(),
        job.payload.get().as_bytes(),
        &count,
    ];
    // Each with its length, so that none runs into the next.
    for piece in pieces.into_iter().chain(job.packed.iter().map(|p| p.as_bytes())) {
        mac.update(&(piece.len() as u64).to_be_bytes());
        mac.update(piece);
    }
    mac
}

impl Middleware for Signed {
    fn enqueue(&self, job: &mut Envelope) -> Result<()> {
        let (id, key) = self.ring.newest();
        let signature = STANDARD.encode(mac(key, job).finalize().into_bytes());
        job.signature = Some(format!("{id}:{signature}"));
        Ok(())
    }

    fn open(&self, job: &mut Envelope) -> Result<(), Unreadable> {
        let Some(signature) = &job.signature else {
            let why = "signature: there is none, and this worker requires it";
            return if self.require { Err(Unreadable::Broken(why.into())) } else { Ok(()) };
        };
        let wrong = || Unreadable::Broken("signature: does not match, or is of another job".into());
        let (id, text) = signature.split_once(':').ok_or_else(wrong)?;
        let Some(key) = self.ring.find(id) else {
            let ring = &self.ring;
            return Err(Unreadable::Unknown(format!(
                "signature: by the key {id:?}, which is not in this {ring:?}"
            )));
        };
        let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
        mac(key, job).verify_slice(&bytes).map_err(|_| wrong())
    }
}
