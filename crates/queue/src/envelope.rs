//! What travels: a header line of JSON, a newline, and the payload as JSON.
//!
//! Two JSON texts rather than one, so that a backend reads the header without touching
//! a payload of any size. The header carries only what differs from the defaults.

use crate::backend::Scope;
use crate::limit::SERIAL;
use crate::middleware::Trace;
use crate::unique::Wire;
use crate::{Error, JobId, Keep, LimitKey};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The largest payload that a client takes unless told otherwise: 256 KiB.
///
/// ```
/// let options = legwork::ClientOptions::default();
/// assert_eq!(options.max_payload, legwork::MAX_PAYLOAD);
/// ```
pub const MAX_PAYLOAD: usize = 256 * 1024;

/// How deep a payload may nest: readers of JSON, ours among them, give up at 128.
pub(crate) const MAX_DEPTH: usize = 64;

/// The version of the header's own shape; a header that names none has this one.
const FORMAT: u8 = 1;

/// A job as it is stored and sent: everything but its changing state.
///
/// ```
/// use legwork::{Envelope, JobId};
/// let envelope = Envelope::new("runs.fetch", r#"{"runner":7}"#).unwrap();
/// let bytes = envelope.encode();
/// let back = Envelope::decode(envelope.id, &bytes).unwrap();
/// assert_eq!(back.name, "runs.fetch");
/// assert_eq!(back.payload.get(), r#"{"runner":7}"#);
/// ```
#[derive(Debug, Clone, Serialize)]
pub struct Envelope {
    /// The id; in the backend it is the key of the record, not a part of it.
    #[serde(skip_serializing)]
    pub id: JobId,
    /// The job's name.
    pub name: String,
    /// The version of the payload's shape.
    pub version: u32,
    /// The queue.
    pub queue: String,
    /// 0 (first) to 9 (last).
    pub priority: u8,
    /// The payload, JSON.
    pub payload: Box<RawValue>,
    /// At most one job of this name holds this key.
    pub unique: Option<String>,
    /// For how long it is held, and what a conflict does.
    #[serde(skip_serializing_if = "Scope::is_default")]
    pub scope: Scope,
    /// At most one job with this key runs at a time.
    pub serial: Option<String>,
    /// Words by which it is found; indexed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Keys and values by which it is found; indexed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
    /// The limit under which it runs, with its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitKey>,
    /// What it spends of the rates of its limits, 1 unless said.
    #[serde(skip_serializing_if = "is_one")]
    pub cost: u32,
    /// Overrides the policy's number of attempts.
    pub max_attempts: Option<u32>,
    /// Overrides the number of crashes.
    pub max_crashes: Option<u32>,
    /// Overrides the timeout, in milliseconds.
    pub timeout_ms: Option<u64>,
    /// Overrides the retention of a succeeded or cancelled job, in milliseconds.
    pub keep_ms: Option<i64>,
    /// The flow that it is a node of.
    pub flow: Option<JobId>,
    /// Do not start an attempt after this instant, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<i64>,
    /// When a client made it, for ids that do not tell, in milliseconds since the epoch.
    pub created_ms: Option<i64>,
    /// The trace that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// How the payload is packed for the way, the outermost last; see
    /// [`Middleware::open`](crate::middleware::Middleware::open).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packed: Vec<String>,
    /// Who signed it: the key's name, a colon and the signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// The header as it is written: one letter a field, because every byte is paid for in
/// the memory of Redis, a million times over.
#[derive(Serialize, Deserialize)]
struct Header {
    #[serde(default = "format", skip_serializing_if = "is_format")]
    v: u8,
    n: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    q: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    o: Option<Wire>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    g: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    d: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    l: Option<Governed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    t: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    m: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tr: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    z: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sg: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f: Option<JobId>,
}

/// Limit, key, and the cost where it is not 1; both names empty where it has a cost alone.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Governed {
    Key(String, String),
    Cost(String, String, u32),
}

impl Governed {
    fn of(envelope: &Envelope) -> Option<Governed> {
        let (name, key) = match &envelope.limit {
            Some(limit) => (limit.name.clone(), limit.key.clone()),
            None if envelope.cost == 1 => return None,
            None => Default::default(),
        };
        Some(match envelope.cost {
            1 => Governed::Key(name, key),
            cost => Governed::Cost(name, key, cost),
        })
    }

    fn cost(&self) -> u32 {
        match self {
            Governed::Key(..) => 1,
            Governed::Cost(.., cost) => *cost,
        }
    }

    fn key(self) -> Option<LimitKey> {
        let (Governed::Key(name, key) | Governed::Cost(name, key, _)) = self;
        (!name.is_empty()).then_some(LimitKey { name, key })
    }
}

/// How deep arrays and objects of a JSON text lie in each other; 0 for one that has too few of
/// them to be too deep, which is found out fast: every enqueue asks.
pub(crate) fn nesting(json: &str) -> usize {
    let brackets = json.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
    if json.len() <= 2 * MAX_DEPTH || brackets.count() <= MAX_DEPTH {
        return 0;
    }
    let (mut open, mut deepest, mut text, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = text,
            b'"' => text = !text,
            b'[' | b'{' if !text => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !text => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Name and queue of a header that says nothing else, as most do: what a name may be needs no
/// unescaping. Anything else is for a reader of JSON.
fn brief(header: &[u8]) -> Option<(&str, &str)> {
    let inner = std::str::from_utf8(header).ok()?.strip_prefix(r#"{"n":""#)?.strip_suffix(r#""}"#)?;
    let (name, queue) = inner.split_once(r#"","q":""#).unwrap_or((inner, "default"));
    (crate::name::is_allowed(name) && crate::name::is_allowed(queue)).then_some((name, queue))
}

fn format() -> u8 {
    FORMAT
}

fn is_format(v: &u8) -> bool {
    *v == FORMAT
}

fn is_one(cost: &u32) -> bool {
    *cost == 1
}

impl Envelope {
    /// An envelope with a fresh id, in the queue `default`, from a payload in JSON text.
    ///
    /// ```
    /// assert!(legwork::Envelope::new("a.job", "not json").is_err());
    /// ```
    ///
    /// # Errors
    /// The name is outside the grammar, or the payload is not JSON.
    pub fn new(name: &str, payload: &str) -> Result<Envelope, Error> {
        crate::check_job_name(name)?;
        let payload: Box<RawValue> =
            serde_json::from_str(payload).map_err(|e| Error::invalid(format!("payload: not JSON: {e}")))?;
        Ok(Envelope::from_raw(name, payload))
    }

    pub(crate) fn from_raw(name: &str, payload: Box<RawValue>) -> Envelope {
        Envelope::of(JobId::new(), name, "default", payload)
    }

    fn of(id: JobId, name: &str, queue: &str, payload: Box<RawValue>) -> Envelope {
        Envelope {
            id,
            name: name.into(),
            version: 1,
            queue: queue.into(),
            priority: 5,
            payload,
            unique: None,
            scope: Scope::default(),
            serial: None,
            tags: Vec::new(),
            meta: BTreeMap::new(),
            limit: None,
            cost: 1,
            max_attempts: None,
            max_crashes: None,
            timeout_ms: None,
            keep_ms: None,
            flow: None,
            expires_ms: None,
            created_ms: None,
            trace: None,
            packed: Vec::new(),
            signature: None,
        }
    }

    /// When the job was made, in milliseconds since the epoch, by the client's clock.
    ///
    /// ```
    /// let envelope = legwork::Envelope::new("a.job", "1").unwrap();
    /// assert_eq!(envelope.made_ms(), envelope.id.created_ms());
    /// ```
    pub fn made_ms(&self) -> Option<i64> {
        self.created_ms.or_else(|| self.id.created_ms())
    }

    /// What a signature or a seal is bound to: the id, or for a job that may take another's
    /// place (then it has that one's id) its unique key.
    #[cfg(any(feature = "sign", feature = "encrypt"))]
    pub(crate) fn identity(&self) -> Vec<u8> {
        match (&self.unique, self.scope.conflict) {
            (Some(key), conflict) if conflict != crate::backend::Conflict::Existing => {
                format!("unique {key}").into_bytes()
            }
            _ => self.id.as_bytes().to_vec(),
        }
    }

    /// Whether more follows from its end than its own: a key to release, a flow to go on.
    pub(crate) fn keyed(&self) -> bool {
        self.unique.is_some() || self.flow.is_some()
    }

    /// The key by which a backend governs it, `NAME/KEY`; none for a job of the plain lane. A
    /// serial key is one of a built-in limit; a cost alone has the key `/`.
    pub(crate) fn governed(&self) -> Option<String> {
        match (&self.serial, &self.limit) {
            (Some(key), _) => Some(format!("{SERIAL}/{key}")),
            (None, Some(limit)) => Some(limit.to_string()),
            (None, None) => (self.cost != 1).then(|| "/".into()),
        }
    }

    /// What the index of a backend finds it by. No client lets a control character through;
    /// one in a record of somebody else's is not indexed.
    #[cfg(feature = "sqlite")]
    pub(crate) fn terms(&self) -> Vec<String> {
        let plain = |text: &&String| !text.contains(char::is_control);
        let tags = self.tags.iter().filter(plain).map(|tag| format!("g:{tag}"));
        let pairs = self.meta.iter().filter(|(key, value)| plain(key) && plain(value));
        tags.chain(pairs.map(|(key, value)| format!("d:{key}\0{value}"))).collect()
    }

    /// Whether it has words to be found by, so that an index must follow it.
    pub(crate) fn is_indexed(&self) -> bool {
        !self.tags.is_empty() || !self.meta.is_empty()
    }

    /// How long a succeeded or cancelled job is kept, given its policy's word.
    pub(crate) fn keep(&self, policy: Keep) -> i64 {
        self.keep_ms.unwrap_or_else(|| policy.as_ms())
    }

    /// Whether the payload, or a part of it, is sealed.
    ///
    /// ```
    /// let mut envelope = legwork::Envelope::new("a.job", "1").unwrap();
    /// assert!(!envelope.is_sealed());
    /// envelope.packed = vec!["lz4".into(), "sealed:k1".into()];
    /// assert!(envelope.is_sealed());
    /// ```
    pub fn is_sealed(&self) -> bool {
        self.packed.iter().any(|word| word.starts_with("sealed:") || word.starts_with("fields:"))
    }

    /// The record: header line, newline, payload.
    ///
    /// ```
    /// let envelope = legwork::Envelope::new("a.job", "[1]").unwrap();
    /// assert_eq!(envelope.encode(), b"{\"n\":\"a.job\"}\n[1]");
    /// ```
    pub fn encode(&self) -> Vec<u8> {
        let header = Header {
            v: FORMAT,
            n: self.name.clone(),
            w: (self.version != 1).then_some(self.version),
            q: (self.queue != "default").then(|| self.queue.clone()),
            p: (self.priority != 5).then_some(self.priority),
            u: self.unique.clone(),
            o: self.unique.as_ref().and_then(|_| Wire::of(self.scope)),
            s: self.serial.clone(),
            g: self.tags.clone(),
            d: self.meta.clone(),
            l: Governed::of(self),
            a: self.max_attempts,
            c: self.max_crashes,
            t: self.timeout_ms,
            k: self.keep_ms,
            x: self.expires_ms,
            m: self.created_ms,
            tr: self.trace.map(Trace::write),
            z: self.packed.clone(),
            sg: self.signature.clone(),
            f: self.flow,
        };
        let mut bytes = serde_json::to_vec(&header).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(self.payload.get().as_bytes());
        bytes
    }

    /// Reads a record.
    ///
    /// ```
    /// use legwork::{Envelope, JobId};
    /// assert!(Envelope::decode(JobId::new(), b"junk").is_err());
    /// ```
    ///
    /// # Errors
    /// The record is not a header line and a JSON payload of a version known here.
    pub fn decode(id: JobId, record: &[u8]) -> Result<Envelope, Error> {
        let broken = |what: &str| Error::corrupt(format!("envelope: {what}"));
        let split = record.iter().position(|b| *b == b'\n').ok_or_else(|| broken("no header line"))?;
        if let Some((name, queue)) = brief(&record[..split]) {
            let payload = serde_json::from_slice(&record[split + 1..])
                .map_err(|e| broken(&format!("the payload is not JSON: {e}")))?;
            return Ok(Envelope::of(id, name, queue, payload));
        }
        let header: Header = serde_json::from_slice(&record[..split])
            .map_err(|e| broken(&format!("the header is not what it must be: {e}")))?;
        if header.v != FORMAT {
            return Err(broken(&format!("format {} is not known here", header.v)));
        }
        let payload = serde_json::from_slice(&record[split + 1..])
            .map_err(|e| broken(&format!("the payload is not JSON: {e}")))?;
        let queue = header.q.unwrap_or_else(|| "default".into());
        crate::check_job_name(&header.n).map_err(|e| broken(&e.to_string()))?;
        crate::check_queue_name(&queue).map_err(|e| broken(&e.to_string()))?;
        Ok(Envelope {
            id,
            name: header.n,
            version: header.w.unwrap_or(1),
            queue,
            priority: header.p.unwrap_or(5).min(9),
            payload,
            // A scope of no key says nothing.
            scope: header.o.filter(|_| header.u.is_some()).map(Wire::scope).unwrap_or_default(),
            unique: header.u,
            serial: header.s,
            tags: header.g,
            meta: header.d,
            cost: header.l.as_ref().map_or(1, Governed::cost),
            limit: header.l.and_then(Governed::key),
            max_attempts: header.a,
            max_crashes: header.c,
            timeout_ms: header.t,
            keep_ms: header.k,
            expires_ms: header.x,
            created_ms: header.m,
            trace: header.tr.as_deref().and_then(Trace::read),
            packed: header.z,
            signature: header.sg,
            flow: header.f,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_header_says_what_any_reader_of_json_finds_in_it() {
        let shown = |header: &str| {
            let envelope = Envelope::decode(JobId::from_bytes([7; 16]), format!("{header}\n[1]").as_bytes());
            format!("{envelope:?}")
        };
        for rest in ["", ",\"q\":\"b-2\"", ",\"q\":\"B\"", ",\"q\":\"\"", ",\"p\":3", ",\"q\":\"a\",\"p\":3"]
        {
            for name in ["a.b", "", "A", "a\\u0062", "é"] {
                let header = format!("{{\"n\":\"{name}\"{rest}}}");
                assert_eq!(shown(&header), shown(&format!(" {header}")), "{header}");
                assert_eq!(shown(&header), shown(&header.replace('{', "{\"v\":1,")), "{header}");
            }
        }
        assert!(brief(b"{\"n\":\"a.b\",\"q\":\"c\"}").is_some());
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            priority in 0u8..=9, version in 1u32..9, keep in proptest::option::of(0i64..1_000_000),
            unique in proptest::option::of("[ -~]{1,40}"), text in ".{0,60}",
            tags in proptest::collection::vec("[^\\pC]{1,9}", 0..3),
            meta in proptest::collection::btree_map("[a-z]{1,4}", ".{0,9}", 0..3)
        ) {
            let payload = serde_json::to_string(&text).unwrap();
            let mut e = Envelope::new("a.b", &payload).unwrap();
            (e.priority, e.version, e.keep_ms, e.unique) = (priority, version, keep, unique);
            (e.tags, e.meta) = (tags, meta);
            let back = Envelope::decode(e.id, &e.encode()).unwrap();
            prop_assert_eq!(format!("{:?}", e), format!("{:?}", back));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Envelope::decode(JobId::new(), &bytes);
        }
    }

    #[test]
    fn a_newer_format_is_refused() {
        let line = Envelope::decode(JobId::new(), b"{\"v\":9,\"n\":\"a\"}\n1").unwrap_err().to_string();
        assert_eq!(line, "envelope: format 9 is not known here");
    }
}
