//! Tags and metadata: what a job can be found by besides its id, name, queue and state.

use super::enqueue::Enqueue;
use crate::{Envelope, Error, Result, Step};

/// At most this many tags, and as many pairs of metadata.
const MOST: usize = 16;

impl<J, T> Enqueue<J, T> {
    /// A word by which the job is found, beside those of its type: 1 to 64 bytes without control
    /// characters, at most 16; anything else fails the `.await`. It is indexed for as long as
    /// the job is kept.
    ///
    /// ```
    /// # use legwork::{*, backend::Filter};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").tag("nightly").await?.id;
    /// let nightly = Filter { tag: Some("nightly".into()), ..Filter::default() };
    /// assert_eq!(jobs.search(&nightly).await?.jobs[0].id, id);
    /// # Ok(()) }
    /// ```
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.edit(|e| add_tag(e, tag.into()))
    }

    /// A key and a value by which the job is found; said twice, the last value stays. A key has
    /// 1 to 64 bytes and no `=`, a value at most 256 bytes, neither a control character, and a
    /// job at most 16 of them; anything else fails the `.await`. It is indexed for as long as
    /// the job is kept.
    ///
    /// ```
    /// # use legwork::{*, backend::Filter};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let jobs = Client::connect("sqlite::memory:").await?;
    /// let id = jobs.enqueue_raw("a.job", "{}").meta("athlete", "7").await?.id;
    /// let seventh = Filter { meta: Some(("athlete".into(), Some("7".into()))), ..Filter::default() };
    /// assert_eq!(jobs.search(&seventh).await?.jobs[0].id, id);
    /// # Ok(()) }
    /// ```
    pub fn meta(self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.edit(|e| {
            e.meta.insert(key.into(), value.into());
        })
    }
}

impl Step {
    /// As [`Enqueue::tag`].
    ///
    /// ```
    /// let step = legwork::Step::raw("a.job", "{}").tag("nightly");
    /// # let _ = step;
    /// ```
    pub fn tag(self, tag: impl Into<String>) -> Step {
        self.edit(|e| add_tag(e, tag.into()))
    }

    /// As [`Enqueue::meta`].
    ///
    /// ```
    /// let step = legwork::Step::raw("a.job", "{}").meta("athlete", "7");
    /// # let _ = step;
    /// ```
    pub fn meta(self, key: impl Into<String>, value: impl Into<String>) -> Step {
        self.edit(|e| {
            e.meta.insert(key.into(), value.into());
        })
    }
}

fn add_tag(envelope: &mut Envelope, tag: String) {
    if !envelope.tags.contains(&tag) {
        envelope.tags.push(tag);
    }
}

/// Checks the tags and the metadata of a job.
pub(super) fn check(envelope: &Envelope) -> Result<()> {
    for (field, count) in [("tags", envelope.tags.len()), ("meta", envelope.meta.len())] {
        if count > MOST {
            return Err(Error::invalid(format!("{field}: {count} are too many; at most {MOST} a job")));
        }
    }
    for tag in &envelope.tags {
        text("tag", tag, 1, 64)?;
    }
    for (key, value) in &envelope.meta {
        text("meta key", key, 1, 64)?;
        if key.contains('=') {
            return Err(Error::invalid(format!("meta key: {key:?} holds a =, which is not allowed")));
        }
        text("meta value", value, 0, 256)?;
    }
    Ok(())
}

fn text(field: &str, text: &str, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&text.len()) && !text.contains(char::is_control) {
        return Ok(());
    }
    let shown: String = text.chars().take(70).collect();
    Err(Error::invalid(format!(
        "{field}: {shown:?} is not allowed; use {least} to {most} bytes without control characters"
    )))
}
