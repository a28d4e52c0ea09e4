//! Limits: how many jobs of a key may run at once, and how much they may spend in a span of
//! time. Rules are data, stored under a name and changed while everything runs; what of them
//! is used follows from the leases that live, and from a small balance a key.

mod book;
mod text;

pub(crate) use book::Book;

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The built-in limit that a serial key is: one at a time.
pub(crate) const SERIAL: &str = "serial";

/// What a limit allows. Stored under a name; it holds for each key of that name, or for a
/// whole queue that names it.
///
/// ```
/// use legwork::{Limit, Rate};
/// use std::time::Duration;
/// let strava = Limit::default()
///     .concurrency(4)
///     .rate(Rate::window(100, Duration::from_secs(15 * 60)))
///     .rate(Rate::window(1_000, Duration::from_secs(86_400)));
/// assert_eq!(strava.to_string(), "concurrency 4, 100/15m:window, 1000/1d:window");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// At most this many leased at once; any number where it is none, nothing at all at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// All of these hold at once; at most eight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<Rate>,
}

/// How much may be spent in a span of time. A job spends its cost, 1 unless it says another,
/// when it is leased.
///
/// ```
/// use legwork::Rate;
/// let rate: Rate = "100/15m:window".parse().unwrap();
/// assert_eq!(rate, Rate::window(100, std::time::Duration::from_secs(900)));
/// assert!("100".parse::<Rate>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// A token bucket: it holds at most `burst`, and fills by `amount` in each `per_ms`.
    Bucket {
        /// What comes in.
        amount: u32,
        /// In this many milliseconds.
        per_ms: u64,
        /// What it holds at most.
        burst: u32,
    },
    /// Fixed windows that follow the clock: each begins at a multiple of its length since
    /// the Unix epoch, so that a quarter of an hour is one of the clock and a day one of UTC.
    Window {
        /// What may be spent in one.
        amount: u32,
        /// Its length in milliseconds.
        length_ms: u64,
    },
}

/// The limit that a job names, and its key under it.
///
/// ```
/// let key = legwork::LimitKey::new("strava.athlete", "7");
/// assert_eq!(key.to_string(), "strava.athlete/7");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitKey {
    /// The limit's name; a limit without a rule means fairness between its keys alone.
    pub name: String,
    /// The key, 1 to 256 bytes without control characters.
    pub key: String,
}

impl LimitKey {
    /// A key under a limit.
    pub fn new(name: impl Into<String>, key: impl ToString) -> LimitKey {
        LimitKey { name: name.into(), key: key.to_string() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        crate::name::check_key("limit key", &self.key)
    }
}

impl std::fmt::Display for LimitKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.name, self.key)
    }
}

/// The longest span of a rate: 31 days.
const LONGEST_MS: u64 = 31 * 86_400_000;

impl Limit {
    /// At most this many leased at once.
    ///
    /// ```
    /// assert_eq!(legwork::Limit::default().concurrency(1).concurrency, Some(1));
    /// ```
    #[must_use]
    pub fn concurrency(mut self, most: u32) -> Limit {
        self.concurrency = Some(most);
        self
    }

    /// One more rate that holds beside the others.
    ///
    /// ```
    /// let limit = legwork::Limit::default().rate("10/1s".parse().unwrap());
    /// assert_eq!(limit.rates.len(), 1);
    /// ```
    #[must_use]
    pub fn rate(mut self, rate: Rate) -> Limit {
        self.rates.push(rate);
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.concurrency.is_none() && self.rates.is_empty() {
            return Err(Error::invalid("limit: it limits nothing; give a concurrency or a rate"));
        }
        if self.rates.len() > 8 {
            return Err(Error::invalid(format!("rates: {} are too many; at most 8", self.rates.len())));
        }
        for (at, rate) in self.rates.iter().enumerate() {
            rate.check()?;
            if self.rates[..at].iter().any(|other| other.id() == rate.id()) {
                return Err(Error::invalid(format!("rates: two of the span of {rate}; give one")));
            }
        }
        Ok(())
    }
}

impl Rate {
    /// A bucket that fills by `amount` in each `per` and holds as much.
    ///
    /// ```
    /// use legwork::Rate;
    /// let rate = Rate::bucket(10, std::time::Duration::from_secs(1)).burst(50);
    /// assert_eq!(rate.to_string(), "10/1s:burst=50");
    /// ```
    pub fn bucket(amount: u32, per: Duration) -> Rate {
        Rate::Bucket { amount, per_ms: per.as_millis() as u64, burst: amount }
    }

    /// Fixed windows of this length that follow the clock.
    ///
    /// ```
    /// use legwork::Rate;
    /// let day = Rate::window(1_000, std::time::Duration::from_secs(86_400));
    /// assert_eq!(day.to_string(), "1000/1d:window");
    /// ```
    pub fn window(amount: u32, length: Duration) -> Rate {
        Rate::Window { amount, length_ms: length.as_millis() as u64 }
    }

    /// How much a bucket holds; a window has none.
    ///
    /// ```
    /// let rate = legwork::Rate::bucket(10, std::time::Duration::from_secs(1)).burst(1);
    /// assert_eq!(rate.to_string(), "10/1s:burst=1");
    /// ```
    #[must_use]
    pub fn burst(mut self, most: u32) -> Rate {
        if let Rate::Bucket { burst, .. } = &mut self {
            *burst = most;
        }
        self
    }

    /// Two rates with the same id would share one balance.
    fn id(&self) -> String {
        match self {
            Rate::Bucket { per_ms, .. } => format!("b{per_ms}"),
            Rate::Window { length_ms, .. } => format!("w{length_ms}"),
        }
    }

    fn check(&self) -> Result<()> {
        let (amount, span, burst) = match *self {
            Rate::Bucket { amount, per_ms, burst } => (amount, per_ms, burst),
            Rate::Window { amount, length_ms } => (amount, length_ms, 1),
        };
        if amount == 0 || burst == 0 {
            return Err(Error::invalid(
                "rate: an amount of 0 is not allowed; use a concurrency of 0 to stop",
            ));
        }
        if !(1..=LONGEST_MS).contains(&span) {
            return Err(Error::invalid("rate: the span must be 1 ms to 31 days"));
        }
        Ok(())
    }
}

/// Checks the name of a limit that a rule may have.
pub(crate) fn check_name(name: &str) -> Result<()> {
    crate::name::check("limit", name)?;
    if name == SERIAL {
        return Err(Error::invalid("limit: \"serial\" is built in (one at a time); use another name"));
    }
    Ok(())
}

/// Checks `NAME` or `NAME/KEY`, as rules and balances are addressed.
pub(crate) fn check_address(address: &str) -> Result<()> {
    match address.split_once('/') {
        Some((name, key)) => LimitKey::new(name, key).check(),
        None => check_name(address),
    }
}

/// The rule in a stored text; what cannot be read limits nothing.
pub(crate) fn rule(json: &str) -> Limit {
    serde_json::from_str(json).unwrap_or_default()
}

/// The limit that the stored rules of a queue name.
#[cfg(feature = "sqlite")]
pub(crate) fn of_rules(json: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        limit: Option<String>,
    }
    serde_json::from_str::<Named>(json).ok()?.limit
}

/// A change of a balance, told by whoever knows better than the counting does.
///
/// ```
/// use legwork::backend::Budget;
/// let retry_after = Budget::Block { wait_ms: 30_000 };
/// # let _ = retry_after;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// A server has told: at most this much more until an instant (milliseconds since the
    /// epoch). Of two words on the same span the smaller holds.
    Told {
        /// What may still be spent.
        remaining: u32,
        /// When that ends.
        reset_ms: i64,
    },
    /// Nothing for this long from the backend's now: what `Retry-After` says.
    Block {
        /// In milliseconds.
        wait_ms: i64,
    },
    /// Spend this much more than was counted; less than none gives back.
    Spend {
        /// How much.
        extra: i64,
    },
    /// Forget what was spent and told.
    Reset,
}

/// What a limit holds at one of its keys, as a queue's view shows it.
///
/// ```
/// # fn show(queue: &legwork::backend::QueueView) {
/// for held in &queue.limits {
///     println!("{} {}/{:?} {:?}", held.limit, held.in_use, held.concurrency, held.next_ms);
/// }
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LimitView {
    /// `NAME/KEY`, or the bare name of a limit of the whole queue.
    pub limit: String,
    /// Permits in use: jobs leased under it.
    pub in_use: u64,
    /// How many may be, where it limits that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Jobs of the queue that wait under it.
    pub waiting: u64,
    /// What may be spent now, where it limits that; negative while in debt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<i64>,
    /// When the next job may start, where it has to wait; milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<i64>,
}

/// A limit under which nothing goes until an instant, because a server has said so, or somebody
/// has blocked it.
///
/// ```
/// # use legwork::*; use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// jobs.limit("site").key(7).block_for(Duration::from_secs(30)).await?;
/// let blocked = &jobs.blocked().await?[0];
/// assert_eq!(blocked.limit, "site/7");
/// assert!(blocked.until_ms > jobs.backend().now().await?);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// `NAME` or `NAME/KEY`.
    pub limit: String,
    /// Until when, milliseconds since the epoch by the backend's clock.
    pub until_ms: i64,
}

impl Blocked {
    /// What a stored balance says of it.
    pub(crate) fn of(limit: String, stored: &str, now: i64) -> Option<Blocked> {
        // Without the rule: rates fill by themselves, and are shown where jobs wait under them.
        let book = Book::open(&Limit::default(), Some(stored), now)?;
        book.when(1.0).map(|until_ms| Blocked { limit, until_ms })
    }
}
