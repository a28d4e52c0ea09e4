//! Payloads above a size travel compressed.

use super::{Middleware, Unreadable};
use crate::{Envelope, Error, Result};
use base64::{Engine, engine::general_purpose::STANDARD};

/// The entry in [`Envelope::packed`].
const WORD: &str = "lz4";
/// What is unpacked is at most this large, whatever a record claims: the largest payload
/// that any client takes.
const MOST: usize = 16 << 20;

/// Packs payloads with LZ4 where that makes them smaller. The payload stays JSON: a string of
/// base64. Add it before [`Sealed`](super::Sealed), since what is sealed does not compress.
///
/// ```
/// # use legwork::{*, middleware::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// let plain = Client::connect("sqlite::memory:").await?;
/// let jobs = plain.clone().with(Compress::default());
/// let payload = serde_json::to_string(&"long ".repeat(2_000)).unwrap();
/// let id = jobs.enqueue_raw("a.job", &payload).await?.id;
/// let stored = plain.job(id).await?.unwrap();
/// assert!(stored.envelope.envelope().unwrap().payload.get().len() < 200);
/// let shown = jobs.job(id).await?.unwrap();
/// assert_eq!(shown.envelope.envelope().unwrap().payload.get(), payload);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Compress {
    above: usize,
}

impl Compress {
    /// Leaves payloads of up to so many bytes of JSON as they are; [`Compress::default`] is
    /// 4 KiB.
    ///
    /// ```
    /// let always = legwork::middleware::Compress::above(0);
    /// # let _ = always;
    /// ```
    pub fn above(bytes: usize) -> Compress {
        Compress { above: bytes }
    }

    /// Packs nothing and opens all: for who only reads.
    ///
    /// ```
    /// let reader = legwork::middleware::Compress::nothing();
    /// # let _ = reader;
    /// ```
    pub fn nothing() -> Compress {
        Compress::above(usize::MAX)
    }
}

impl Default for Compress {
    fn default() -> Compress {
        Compress::above(4096)
    }
}

impl Middleware for Compress {
    fn enqueue(&self, job: &mut Envelope) -> Result<()> {
        let plain = job.payload.get();
        if plain.len() <= self.above {
            return Ok(());
        }
        let packed = STANDARD.encode(lz4_flex::compress_prepend_size(plain.as_bytes()));
        if packed.len() + 2 < plain.len() {
            job.payload = super::text(&packed).map_err(|e| Error::invalid(format!("payload: {e}")))?;
            job.packed.push(WORD.into());
        }
        Ok(())
    }

    fn open(&self, job: &mut Envelope) -> Result<(), Unreadable> {
        if job.packed.last().is_some_and(|word| word == WORD) {
            job.payload = unpack(job.payload.get())?;
            job.packed.pop();
        }
        Ok(())
    }
}

fn unpack(payload: &str) -> Result<Box<serde_json::value::RawValue>, Unreadable> {
    let broken = |what: &str| Unreadable::Broken(format!("the compressed payload {what}"));
    let text: String = serde_json::from_str(payload).map_err(|_| broken("is not a string"))?;
    let bytes = STANDARD.decode(text).map_err(|_| broken("is not base64"))?;
    let (size, block) = lz4_flex::block::uncompressed_size(&bytes).map_err(|_| broken("is cut off"))?;
    // A byte stands for 255 at most: what claims more is made to take memory.
    if size > MOST || size > block.len().saturating_mul(256) {
        return Err(broken(&format!("claims {size} bytes, which is too large")));
    }
    let plain = lz4_flex::block::decompress(block, size).map_err(|_| broken("does not unpack"))?;
    let plain = String::from_utf8(plain).map_err(|_| broken("is not UTF-8"))?;
    serde_json::value::RawValue::from_string(plain).map_err(|_| broken("is not JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(text: &str) -> Envelope {
        let mut envelope = Envelope::new("a.job", &serde_json::to_string(text).unwrap()).unwrap();
        Compress::above(0).enqueue(&mut envelope).unwrap();
        envelope
    }

    #[test]
    fn what_does_not_get_smaller_stays() {
        assert!(packed("short").packed.is_empty());
        assert_eq!(packed(&"long".repeat(100)).packed, [WORD]);
        let mut envelope = Envelope::new("a.job", &format!("\"{}\"", "x".repeat(4_094))).unwrap();
        Compress::default().enqueue(&mut envelope).unwrap();
        assert!(envelope.packed.is_empty(), "not above 4 KiB");
    }

    #[test]
    fn a_bomb_is_refused_before_it_takes_memory() {
        for (claim, block) in [(u32::MAX, vec![0; 64]), (17 << 20, vec![0; 1 << 20]), (1 << 20, vec![0; 9])] {
            let bytes = [&claim.to_le_bytes()[..], &block].concat();
            let said = unpack(&format!("\"{}\"", STANDARD.encode(bytes))).unwrap_err().to_string();
            assert!(said.ends_with("which is too large"), "{said}");
        }
        // Claims less than it holds.
        let mut bytes = lz4_flex::compress_prepend_size(&[b'1'; 10_000]);
        bytes[..4].copy_from_slice(&100u32.to_le_bytes());
        assert!(unpack(&format!("\"{}\"", STANDARD.encode(bytes))).is_err());
    }

    proptest! {
        #[test]
        fn what_is_packed_is_opened(text in "(.{0,40}){0,40}") {
            let mut envelope = packed(&text);
            Compress::nothing().open(&mut envelope).unwrap();
            prop_assert!(envelope.packed.is_empty());
            prop_assert_eq!(envelope.payload.get(), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,40}") {
            let _ = unpack(&format!("\"{}\"", STANDARD.encode(&bytes)));
            let _ = unpack(&text);
            // Bytes with a claim that is believed.
            let claimed = [&500u32.to_le_bytes()[..], &bytes].concat();
            let _ = unpack(&format!("\"{}\"", STANDARD.encode(claimed)));
        }
    }
}
