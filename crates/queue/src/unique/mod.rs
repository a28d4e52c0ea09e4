//! Unique keys, as an enqueue or a job's type says them.

mod digest;
mod scope;

pub(crate) use scope::Wire;
pub use scope::{Conflict, Release, Scope};

use crate::clock::span_ms;
use crate::name::check_key;
use crate::{Envelope, Error, Result};
use serde_json::{Map, Value};
use std::time::Duration;

/// Where the key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Given(String),
    Fields(Vec<String>),
    Payload,
}

/// What makes a job unique: a key, for how long it is held, and what a second enqueue does.
///
/// Keys belong to a job name: the same key under another name is another key. A plain text
/// is a key that is held until the job has finished, and a second enqueue is answered with
/// the first one's id.
///
/// ```
/// # use legwork::*; use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let sync = |page: u32| jobs.enqueue_raw("athlete.sync", &format!(r#"{{"athlete":7,"page":{page}}}"#));
/// let by = || Unique::fields(&["athlete"]).keep_last();
/// let first = sync(1).unique(by()).await?;
/// let newer = sync(2).unique(by()).await?; // nobody has begun with the first: it gets page 2
/// assert!(newer.replaced && newer.id == first.id);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a key does nothing until it is given to an enqueue"]
pub struct Unique {
    from: Source,
    release: Option<Release>,
    replace: bool,
    debounce: Option<Duration>,
    at_most: Option<Duration>,
    serial: bool,
}

impl From<String> for Unique {
    fn from(key: String) -> Unique {
        Unique::key(key)
    }
}

impl From<&str> for Unique {
    fn from(key: &str) -> Unique {
        Unique::key(key)
    }
}

impl From<&String> for Unique {
    fn from(key: &String) -> Unique {
        Unique::key(key)
    }
}

impl Unique {
    fn new(from: Source) -> Unique {
        Unique { from, release: None, replace: false, debounce: None, at_most: None, serial: false }
    }

    /// This key: 1 to 256 bytes without control characters.
    ///
    /// ```
    /// assert_eq!(legwork::Unique::key("athlete 7"), "athlete 7".into());
    /// ```
    pub fn key(key: impl Into<String>) -> Unique {
        Unique::new(Source::Given(key.into()))
    }

    /// A key made of these fields of the payload, in any order. A payload without one of
    /// them is refused: a field that is spelled wrong must not make all jobs the same.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # use legwork::*;
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let by = Unique::fields(&["athlete"]);
    /// assert!(jobs.enqueue_raw("sync", r#"{"athlete":7,"page":1}"#).unique(by.clone()).await?.created);
    /// assert!(!jobs.enqueue_raw("sync", r#"{"page":2,"athlete":7}"#).unique(by.clone()).await?.created);
    /// assert!(jobs.enqueue_raw("sync", "{}").unique(by).await.unwrap_err().is_invalid());
    /// # Ok(()) }
    /// ```
    pub fn fields(fields: &[&str]) -> Unique {
        Unique::new(Source::Fields(fields.iter().map(|f| (*f).to_owned()).collect()))
    }

    /// A key made of the whole payload: no two of the same content.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # use legwork::*;
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// assert!(jobs.enqueue_raw("mail", r#"{"to":1,"cc":2}"#).unique(Unique::payload()).await?.created);
    /// assert!(!jobs.enqueue_raw("mail", r#"{"cc":2,"to":1}"#).unique(Unique::payload()).await?.created);
    /// # Ok(()) }
    /// ```
    pub fn payload() -> Unique {
        Unique::new(Source::Payload)
    }

    /// Held until the job is leased for the first time. A retry does not take it again.
    ///
    /// ```
    /// let by = legwork::Unique::key("k").until_started();
    /// # let _ = by;
    /// ```
    pub fn until_started(mut self) -> Unique {
        self.release = Some(Release::Started);
        self
    }

    /// Held until the job has succeeded, or was discarded or cancelled: the default.
    ///
    /// ```
    /// let by = legwork::Unique::key("k").until_finished();
    /// # let _ = by;
    /// ```
    pub fn until_finished(mut self) -> Unique {
        self.release = Some(Release::Finished);
        self
    }

    /// Held until the job has finished, and at least for this time after its enqueue, by the
    /// backend's clock: also when it has long succeeded or failed. A job that takes longer
    /// is never joined by a second one. A cancellation, a purge or an operator's discard
    /// gives the key up at once.
    ///
    /// ```
    /// let by = legwork::Unique::key("digest").for_time(std::time::Duration::from_secs(3_600));
    /// # let _ = by;
    /// ```
    pub fn for_time(mut self, time: Duration) -> Unique {
        self.release = Some(Release::After(span_ms(time)));
        self
    }

    /// A second enqueue replaces the payload of a job that still waits, and with it whatever
    /// else was said (version, timeout, retention, queue, …); the id and the place in the
    /// queue stay. A job that runs is not touched: the answer is its id.
    ///
    /// ```
    /// let by = legwork::Unique::key("k").until_started().replace();
    /// # let _ = by;
    /// ```
    pub fn replace(mut self) -> Unique {
        self.replace = true;
        self
    }

    /// The job runs this long after the last enqueue, with the newest payload. Held until it
    /// is started, unless said otherwise: an enqueue after that begins a new wait.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), legwork::Error> {
    /// # use legwork::*; use std::time::Duration;
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let by = || Unique::key("index").debounce(Duration::from_secs(5)).at_most(Duration::from_secs(60));
    /// let id = jobs.enqueue_raw("index", "1").unique(by()).await?.id;
    /// assert_eq!(jobs.job(id).await?.unwrap().state, State::Scheduled);
    /// assert!(jobs.enqueue_raw("index", "2").unique(by()).await?.replaced);
    /// # Ok(()) }
    /// ```
    pub fn debounce(mut self, wait: Duration) -> Unique {
        self.debounce = Some(wait);
        self
    }

    /// With [`Unique::debounce`]: the longest wait since the first enqueue; at least as long
    /// as one wait.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let by = legwork::Unique::key("k").debounce(Duration::from_secs(5)).at_most(Duration::from_secs(60));
    /// # let _ = by;
    /// ```
    pub fn at_most(mut self, wait: Duration) -> Unique {
        self.at_most = Some(wait);
        self
    }

    /// At most one runs and at most one waits, and what waits has the newest payload: what
    /// "sync this athlete" needs. The job gets a serial key of its name and this key, unless
    /// it has one already. An older job that comes back for a retry while a newer one waits
    /// is cancelled with the reason `replaced`.
    ///
    /// ```
    /// let by = legwork::Unique::fields(&["athlete"]).keep_last();
    /// # let _ = by;
    /// ```
    pub fn keep_last(mut self) -> Unique {
        self.release = Some(Release::Waiting);
        self.replace = true;
        self.serial = true;
        self
    }

    /// Writes the key and its scope into an envelope.
    pub(crate) fn apply(self, envelope: &mut Envelope) -> Result<()> {
        let key = match self.from {
            Source::Given(key) => key, // checked when it is sent: a later word may replace it
            Source::Fields(fields) => stored(&chosen(envelope, &fields)?),
            Source::Payload => stored(&parsed(envelope)?),
        };
        let conflict = match (self.debounce, self.at_most) {
            (None, Some(_)) => {
                return Err(Error::invalid("unique: at_most is for debounce; say debounce too"));
            }
            (Some(wait), Some(most)) if most < wait => {
                return Err(Error::invalid(format!(
                    "unique: at_most {most:?} is shorter than the debounce of {wait:?}; make it as long or longer"
                )));
            }
            (Some(wait), most) => {
                Conflict::Debounce { wait_ms: span_ms(wait), at_most_ms: most.map(span_ms) }
            }
            (None, None) if self.replace => Conflict::Replace,
            (None, None) => Conflict::Existing,
        };
        let release = match (self.release, self.debounce) {
            (Some(release), _) => release,
            (None, Some(_)) => Release::Started,
            (None, None) => Release::Finished,
        };
        if self.serial && envelope.serial.is_none() {
            let both = format!("{}:{key}", envelope.name);
            envelope.serial = Some(if both.len() > 256 { digest::sha256(both.as_bytes()) } else { both });
        }
        (envelope.unique, envelope.scope) = (Some(key), Scope { release, conflict });
        Ok(())
    }
}

fn parsed(envelope: &Envelope) -> Result<Value> {
    serde_json::from_str(envelope.payload.get())
        .map_err(|e| Error::invalid(format!("payload: not JSON: {e}")))
}

/// The chosen fields of a payload, sorted by name.
fn chosen(envelope: &Envelope, fields: &[String]) -> Result<Value> {
    let wrong = |what: String| Error::invalid(format!("unique: the payload of {} {what}", envelope.name));
    if fields.is_empty() {
        return Err(Error::invalid("unique: no fields are named; name one or more, or use Unique::payload"));
    }
    let Value::Object(mut payload) = parsed(envelope)? else {
        return Err(wrong("is not an object with fields; give a key instead".into()));
    };
    let mut all = Map::new();
    for field in fields {
        let value = payload.remove(field).or_else(|| all.get(field).cloned());
        let known = || payload.keys().take(8).cloned().collect::<Vec<_>>().join(", ");
        let value = value.ok_or_else(|| wrong(format!("has no field {field:?}; it has: {}", known())))?;
        all.insert(field.clone(), value);
    }
    Ok(Value::Object(all))
}

/// A value as a key: its JSON with sorted fields, or the digest of that where it is long.
fn stored(value: &Value) -> String {
    let text = sorted(value).to_string();
    if check_key("unique", &text).is_ok() {
        text
    } else {
        format!("sha256 {}", digest::sha256(text.as_bytes()))
    }
}

/// The same value with the fields of every object in order, whatever order maps keep.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            Value::Object(fields.into_iter().map(|(name, v)| (name.clone(), sorted(v))).collect())
        }
        Value::Array(all) => Value::Array(all.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(unique: Unique, payload: &str) -> Result<Envelope> {
        let mut envelope = Envelope::new("a.job", payload)?;
        unique.apply(&mut envelope)?;
        Ok(envelope)
    }

    #[test]
    fn a_key_is_made_of_the_fields_named() {
        let by = || Unique::fields(&["b", "a"]);
        let one = made(by(), r#"{"a":{"y":1,"x":2},"b":"t","c":1}"#).unwrap();
        assert_eq!(one.unique.as_deref(), Some(r#"{"a":{"x":2,"y":1},"b":"t"}"#));
        assert_eq!(made(by(), r#"{"c":2,"b":"t","a":{"x":2,"y":1}}"#).unwrap().unique, one.unique);
        let long = made(Unique::payload(), &format!("{:?}", "x".repeat(300))).unwrap().unique.unwrap();
        assert!(long.starts_with("sha256 ") && long.len() == 71, "{long}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let second = Duration::from_secs(1);
        for (unique, payload, said) in [
            (
                Unique::fields(&["d"]),
                r#"{"a":1}"#,
                "unique: the payload of a.job has no field \"d\"; it has: a",
            ),
            (Unique::fields(&["d"]), "[]", "is not an object"),
            (Unique::fields(&[]), "{}", "no fields are named"),
            (Unique::key("k").at_most(second), "{}", "say debounce too"),
            (Unique::key("k").debounce(second * 2).at_most(second), "{}", "is shorter than the debounce"),
        ] {
            let line = made(unique, payload).unwrap_err().to_string();
            assert!(line.contains(said) && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn keep_last_brings_a_serial_key_unless_there_is_one() {
        let made_serial = made(Unique::key("7").keep_last(), "{}").unwrap().serial;
        assert_eq!(made_serial.as_deref(), Some("a.job:7"));
        let mut envelope = Envelope::new("a.job", "{}").unwrap();
        envelope.serial = Some("mine".into());
        Unique::key("7").keep_last().apply(&mut envelope).unwrap();
        assert_eq!(envelope.serial.as_deref(), Some("mine"));
        assert_eq!(envelope.scope, Scope { release: Release::Waiting, conflict: Conflict::Replace });
        let long = made(Unique::key("k".repeat(256)).keep_last(), "{}").unwrap().serial.unwrap();
        assert_eq!(long.len(), 64);
    }

    #[test]
    fn a_scope_comes_back_as_it_was_written() {
        let debounced = Conflict::Debounce { wait_ms: 5, at_most_ms: Some(9) };
        for release in [Release::Finished, Release::Started, Release::Waiting, Release::After(7)] {
            for conflict in [Conflict::Existing, Conflict::Replace, debounced] {
                let mut envelope = Envelope::new("a.job", "1").unwrap();
                envelope.unique = Some("k".into());
                envelope.scope = Scope { release, conflict };
                let back = Envelope::decode(envelope.id, &envelope.encode()).unwrap();
                assert_eq!(back.scope, envelope.scope);
            }
        }
    }
}
