//! What a handler writes down before it ends, on its way to the backend and back.

use super::{Chain, SEALED, Unreadable};
use crate::backend::{JobView, Note, Record};
use crate::{Error, JobId, Result};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Something that a handler writes down before it ends, as a middleware sees it; shown with
/// [`Middleware::note`](super::Middleware::note).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Noted<'a> {
    /// The job.
    pub id: JobId,
    /// Its name.
    pub name: &'a str,
    /// What it is.
    pub place: Place<'a>,
}

/// What a handler writes down: a part of [`Noted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// How far it is, for people: [`Context::progress`](crate::Context::progress).
    Progress,
    /// The result of the step of this name: [`Context::step`](crate::Context::step).
    Step(&'a str),
    /// Where a long iteration is: [`Context::checkpoint`](crate::Context::checkpoint).
    Cursor,
}

impl Chain {
    /// The innermost first, as results are wrapped.
    pub(crate) fn note<'n>(&self, id: JobId, name: &str, note: &'n Note) -> Result<Cow<'n, Note>> {
        let (place, text) = match note {
            Note::Progress(text) => (Place::Progress, text),
            Note::Step { name, value } => (Place::Step(name), value),
            Note::Cursor(text) => (Place::Cursor, text),
            Note::CancelSeen => return Ok(Cow::Borrowed(note)),
        };
        if self.is_empty() {
            return Ok(Cow::Borrowed(note));
        }
        let mut value =
            RawValue::from_string(text.clone()).map_err(|e| Error::invalid(format!("note: {e}")))?;
        let noted = Noted { id, name, place };
        self.all().iter().rev().try_for_each(|m| m.note(&noted, &mut value))?;
        let text = String::from(Box::<str>::from(value));
        Ok(Cow::Owned(match place {
            Place::Progress => Note::Progress(text),
            Place::Step(name) => Note::Step { name: name.into(), value: text },
            Place::Cursor => Note::Cursor(text),
        }))
    }

    fn open_note(&self, noted: &Noted<'_>, value: &mut Box<RawValue>) -> Result<(), Unreadable> {
        self.all().iter().try_for_each(|m| m.open_note(noted, value))?;
        match value.get().starts_with(SEALED) {
            true => Err(Unreadable::Unknown("sealed, and there is no key here".into())),
            false => Ok(()),
        }
    }

    /// Opens what a handler is to go on from.
    pub(crate) fn open_memory(&self, job: &mut JobView, name: &str) -> Result<(), Unreadable> {
        let noted = |place| Noted { id: job.id, name, place };
        for step in &mut job.steps {
            self.open_note(&noted(Place::Step(&step.name)), &mut step.value)?;
        }
        job.cursor.as_mut().map_or(Ok(()), |cursor| self.open_note(&noted(Place::Cursor), cursor))
    }

    /// Opens for inspection: what does not open stays as it is.
    pub(super) fn show_notes(&self, job: &mut JobView) {
        let Record::Decoded(envelope) = &job.envelope else { return };
        let show = |place, value: &mut Box<RawValue>| {
            let noted = Noted { id: job.id, name: &envelope.name, place };
            let mut opened = value.clone();
            let all = || self.open_note(&noted, &mut opened);
            if let Ok(Ok(())) = catch_unwind(AssertUnwindSafe(all)) {
                *value = opened;
            }
        };
        job.steps.iter_mut().for_each(|step| show(Place::Step(&step.name), &mut step.value));
        job.cursor.iter_mut().for_each(|cursor| show(Place::Cursor, cursor));
        job.progress.iter_mut().for_each(|progress| show(Place::Progress, progress));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middleware::Middleware;

    struct Tag(&'static str);

    impl Middleware for Tag {
        fn note(&self, _: &Noted<'_>, value: &mut Box<RawValue>) -> Result<()> {
            *value = super::super::text(&format!("{}{}", self.0, value.get().trim_matches('"'))).unwrap();
            Ok(())
        }
    }

    #[test]
    fn the_outermost_sees_a_note_last() {
        let chain = Chain::default().and(Tag("outer ")).and(Tag("inner "));
        let note = Note::Step { name: "s".into(), value: "\"x\"".into() };
        let said = chain.note(JobId::new(), "a.job", &note).unwrap().into_owned();
        assert_eq!(said, Note::Step { name: "s".into(), value: "\"outer inner x\"".into() });
        let seen = chain.note(JobId::new(), "a.job", &Note::CancelSeen).unwrap().into_owned();
        assert_eq!(seen, Note::CancelSeen);
    }
}
