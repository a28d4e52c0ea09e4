//! Job ids: UUIDv7, made by the client, with the shard in the last byte.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Bits of an id that count within a millisecond, from a random number below half of them.
const COUNT: u32 = 18;
/// An id is newer than the last one, but not where the clock was set back by more than this.
const BACK_MS: u64 = 10_000;

/// What the newest id of this process begins with: milliseconds, and the count.
static NEWEST: AtomicU64 = AtomicU64::new(0);

/// How many random numbers have been drawn.
static DRAWN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Keys of a hash, at random: of a number that is met once it makes random bits, without a
    /// call of the system for every id.
    static RANDOM: RandomState = RandomState::new();
}

/// The id of a job: a UUIDv7 that the client makes before the first send, so that an
/// enqueue whose reply was lost can be repeated. Its last byte names the shard, any where
/// nothing binds the job to one.
///
/// ```
/// use legwork::JobId;
/// let id = JobId::new();
/// assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl JobId {
    /// A fresh id, in a shard at random.
    ///
    /// ```
    /// assert_eq!(legwork::JobId::new().shard(1), 0);
    /// assert!((0..100).any(|_| legwork::JobId::new().shard(4) == 3));
    /// ```
    #[allow(clippy::new_without_default)]
    pub fn new() -> JobId {
        let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let random = RANDOM.with(|keys| keys.hash_one(DRAWN.fetch_add(1, Relaxed)));
        let start = ms << COUNT | random >> (64 - COUNT + 1);
        let next = |last: u64| match last >> COUNT > ms + BACK_MS {
            true => start,
            false => start.max(last + 1),
        };
        let place = next(NEWEST.fetch_update(Relaxed, Relaxed, |last| Some(next(last))).unwrap_or_default());
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&(place >> COUNT).to_be_bytes()[2..]);
        bytes[6] = 0x70 | (place >> 14) as u8 & 0x0f;
        bytes[7] = (place >> 6) as u8;
        bytes[8] = 0x80 | place as u8 & 0x3f;
        bytes[9..].copy_from_slice(&random.to_be_bytes()[1..]);
        JobId(Uuid::from_bytes(bytes))
    }

    /// A fresh id that lives in the shard given.
    ///
    /// ```
    /// assert_eq!(legwork::JobId::in_shard(3).shard(8), 3);
    /// ```
    pub fn in_shard(shard: u8) -> JobId {
        JobId::new().moved(shard)
    }

    /// This id, but in the shard given.
    pub(crate) fn moved(self, shard: u8) -> JobId {
        let mut bytes = *self.as_bytes();
        bytes[15] = shard;
        JobId(Uuid::from_bytes(bytes))
    }

    /// The shard of this id in a namespace of `shards` shards.
    ///
    /// ```
    /// assert_eq!(legwork::JobId::in_shard(9).shard(8), 1);
    /// ```
    pub fn shard(self, shards: u8) -> u8 {
        self.0.as_bytes()[15] % shards.max(1)
    }

    /// The 16 raw bytes.
    ///
    /// ```
    /// let id = legwork::JobId::new();
    /// assert_eq!(legwork::JobId::from_bytes(*id.as_bytes()), id);
    /// ```
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id with these raw bytes.
    ///
    /// ```
    /// assert_eq!(legwork::JobId::from_bytes([7; 16]).as_bytes(), &[7; 16]);
    /// ```
    pub fn from_bytes(bytes: [u8; 16]) -> JobId {
        JobId(Uuid::from_bytes(bytes))
    }

    /// The id with these raw bytes, if there are 16 of them.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<JobId> {
        Uuid::from_slice(bytes).ok().map(JobId)
    }

    /// Milliseconds since the Unix epoch at which the id was made, when it is a UUIDv7.
    ///
    /// ```
    /// assert!(legwork::JobId::new().created_ms().unwrap() > 1_700_000_000_000);
    /// ```
    pub fn created_ms(&self) -> Option<i64> {
        let (secs, nanos) = self.0.get_timestamp()?.to_unix();
        (self.0.get_version_num() == 7).then_some(secs as i64 * 1000 + i64::from(nanos) / 1_000_000)
    }

    /// An id that is the same for the same words: for jobs that must exist once, as the
    /// slot of a schedule. FNV-1a over the parts with a separator, twice with different
    /// bases; not for adversarial input.
    pub(crate) fn derived(parts: &[&str], shard: u8) -> JobId {
        let fnv = |base: u64| {
            parts
                .iter()
                .flat_map(|p| p.bytes().chain([0x1f]))
                .fold(base, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
        };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&fnv(0xcbf2_9ce4_8422_2325).to_be_bytes());
        bytes[8..].copy_from_slice(&fnv(0x6c62_272e_07bb_0142).to_be_bytes());
        bytes[6] = (bytes[6] & 0x0f) | 0x80;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        bytes[15] = shard;
        JobId(Uuid::from_bytes(bytes))
    }
}

/// The shard of a key. What stands in the first braces speaks for the whole, so that keys can
/// be kept together.
#[cfg(any(test, feature = "redis", feature = "cron"))]
pub(crate) fn shard_of(key: &str, shards: u8) -> u8 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let word = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    ((hash ^ (hash >> 32)) % u64::from(shards.max(1))) as u8
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<JobId, crate::Error> {
        Uuid::parse_str(text).map(JobId).map_err(|_| {
            let shown: String = text.chars().take(50).collect();
            crate::Error::invalid(format!(
                "job id: {shown:?} is not a UUID (32 hexadecimal digits, hyphens allowed)"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_process_differ_and_grow() {
        let some = || (0..20_000).map(|_| JobId::new()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(some)).collect();
        let mut all: Vec<Vec<JobId>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(all.iter().all(|ids| ids.is_sorted()), "those of a thread grow");
        let one = all[0][0];
        assert_eq!((one.0.get_version_num(), one.0.get_variant()), (7, uuid::Variant::RFC4122));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
        assert!((now - 60_000..=now).contains(&one.created_ms().unwrap()));
        let all: std::collections::HashSet<JobId> = all.drain(..).flatten().collect();
        assert_eq!(all.len(), 80_000);
        let tails: std::collections::HashSet<&[u8]> = all.iter().map(|id| &id.as_bytes()[9..]).collect();
        assert_eq!(tails.len(), 80_000, "their random bits alone tell them apart");
    }

    #[test]
    fn keys_spread_and_tags_keep_them_together() {
        let mut held = [0; 3];
        (0..3_000).for_each(|n| held[usize::from(shard_of(&format!("runner {n}"), 3))] += 1);
        assert!(held.iter().all(|n| (800..1_200).contains(n)), "{held:?}");
        assert_eq!(shard_of("{7}:fetch", 64), shard_of("7", 64));
        assert_eq!(shard_of("a {7} b {8}", 64), shard_of("7", 64));
        let whole = |key: &str| shard_of(key, 64);
        assert!((0..9).any(|n| whole(&format!("{{}}{n}")) != whole("{}0")), "empty braces are no tag");
    }
}
