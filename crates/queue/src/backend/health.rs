//! What a checkup finds.

use serde::{Deserialize, Serialize};

/// How much a finding matters.
///
/// ```
/// use legwork::backend::Gravity;
/// assert!(Gravity::Note < Gravity::Warning && Gravity::Warning < Gravity::Danger);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// Good to know.
    Note,
    /// May come to harm.
    Warning,
    /// Loses jobs, or has lost some, or stops the queue.
    Danger,
}

/// Something that a checkup has found.
///
/// ```
/// use legwork::backend::{Finding, Gravity};
/// let finding = Finding::new(Gravity::Note, "clock", "agrees");
/// assert_eq!(finding.about, "clock");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub gravity: Gravity,
    /// What was looked at, in a word.
    pub about: String,
    /// What was found, and what to do, in a line.
    pub line: String,
}

impl Finding {
    /// One.
    ///
    /// ```
    /// use legwork::backend::{Finding, Gravity};
    /// assert_eq!(Finding::new(Gravity::Danger, "disk", "is full").line, "is full");
    /// ```
    pub fn new(gravity: Gravity, about: &str, line: impl Into<String>) -> Finding {
        Finding { gravity, about: about.into(), line: line.into() }
    }
}

/// A broken invariant.
///
/// ```
/// # use legwork::{*, backend::*};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
/// # let jobs = Client::connect("sqlite::memory:").await?;
/// let faults: Vec<Fault> = jobs.backend().mend(false).await?;
/// assert!(faults.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What does not hold.
    pub line: String,
    /// Whether it can be mended, or has been.
    pub mendable: bool,
}
