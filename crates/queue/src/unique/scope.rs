//! What a backend must know of a unique key: when it is given up, and what a conflict does.

use serde::{Deserialize, Serialize};

/// When a unique key is given up by the job that holds it.
///
/// ```
/// use legwork::backend::Release;
/// assert_eq!(Release::default(), Release::Finished);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// In the step that finishes the job.
    #[default]
    Finished,
    /// In the step that leases the job for the first time; it is never taken again.
    Started,
    /// In every step that leases the job. A job that comes back (for a retry, after a
    /// snooze, from a lost worker) takes it again, or is `cancelled` with the reason
    /// `replaced` where a newer job holds it by then.
    Waiting,
    /// In the step that finishes the job, but not before this many milliseconds after the
    /// enqueue. A cancellation, a purge or an operator's discard gives it up at once.
    After(i64),
}

/// What an enqueue does that finds its unique key held.
///
/// ```
/// use legwork::backend::Conflict;
/// assert_eq!(Conflict::default(), Conflict::Existing);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conflict {
    /// Nothing; it is told the id of the holder.
    #[default]
    Existing,
    /// A holder that still waits becomes the new job, but for its id, its state and its
    /// place; one that runs stays as it is.
    Replace,
    /// As `Replace`, and a holder that has not been due yet, or not been leased yet, is
    /// due when the new job would be.
    Debounce {
        /// The wait of each enqueue, in milliseconds.
        wait_ms: i64,
        /// The longest wait since the first enqueue, in milliseconds.
        at_most_ms: Option<i64>,
    },
}

/// The scope of a unique key, as a backend takes it with the job that wants the key. Users
/// say it with [`Unique`](crate::Unique).
///
/// ```
/// use legwork::backend::{Conflict, Release, Scope};
/// let scope = Scope { release: Release::Started, conflict: Conflict::Replace };
/// assert_ne!(scope, Scope::default());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// When the key is given up.
    pub release: Release,
    /// What an enqueue does that finds it held.
    pub conflict: Conflict,
}

impl Scope {
    pub(crate) fn is_default(&self) -> bool {
        *self == Scope::default()
    }

    /// A few words for people.
    pub(crate) fn words(&self) -> String {
        let release = match self.release {
            Release::Finished => "until finished".into(),
            Release::Started => "until started".into(),
            Release::Waiting => "while it waits".into(),
            Release::After(ms) => format!("until finished, at least {ms} ms"),
        };
        match self.conflict {
            Conflict::Existing => release,
            Conflict::Replace => format!("{release}, replaced by the newest"),
            Conflict::Debounce { wait_ms, at_most_ms: None } => {
                format!("{release}, replaced by the newest and put off {wait_ms} ms again")
            }
            Conflict::Debounce { wait_ms, at_most_ms: Some(most) } => {
                format!("{release}, replaced by the newest and put off {wait_ms} ms again, {most} ms in all")
            }
        }
    }
}

/// What people are shown.
///
/// ```
/// assert_eq!(legwork::backend::Scope::default().to_string(), "until finished");
/// ```
impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words())
    }
}

/// A scope in a header: only what differs from the default. The scripts of Redis read it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Wire {
    /// 1: given up at the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<u8>,
    /// 1: held while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    l: Option<u8>,
    /// Held at least this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    w: Option<i64>,
    /// 1: replaced by the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<u8>,
    /// Replaced, and put off this long again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<i64>,
    /// The longest wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    m: Option<i64>,
}

impl Wire {
    pub(crate) fn of(scope: Scope) -> Option<Wire> {
        let mut wire = Wire::default();
        match scope.release {
            Release::Finished => {}
            Release::Started => wire.s = Some(1),
            Release::Waiting => wire.l = Some(1),
            Release::After(ms) => wire.w = Some(ms),
        }
        match scope.conflict {
            Conflict::Existing => {}
            Conflict::Replace => wire.r = Some(1),
            Conflict::Debounce { wait_ms, at_most_ms } => (wire.d, wire.m) = (Some(wait_ms), at_most_ms),
        }
        (!scope.is_default()).then_some(wire)
    }

    pub(crate) fn scope(self) -> Scope {
        let release = match self {
            Wire { l: Some(1), .. } => Release::Waiting,
            Wire { s: Some(1), .. } => Release::Started,
            Wire { w: Some(ms), .. } => Release::After(ms),
            _ => Release::Finished,
        };
        let conflict = match (self.d, self.r) {
            (Some(wait_ms), _) => Conflict::Debounce { wait_ms, at_most_ms: self.m },
            (None, Some(1)) => Conflict::Replace,
            _ => Conflict::Existing,
        };
        Scope { release, conflict }
    }
}
