//! A handler without its types: bytes in, bytes out.

use super::Context;
use super::blocking::Threads;
use crate::backend::Definition;
use crate::middleware::{Run, Unreadable};
use crate::{Envelope, Failure, Job};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

pub(super) type Call<S> = dyn Fn(&Envelope, Context<S>) -> Result<Run<'static>, Unreadable> + Send + Sync;

pub(super) struct Handler<S> {
    pub(super) definition: Definition,
    call: Arc<Call<S>>,
    /// Instead, in the parent of isolated jobs.
    elsewhere: Option<Arc<Call<S>>>,
    /// How many of its jobs make a batch, where it takes several.
    pub(super) batch: Option<usize>,
}

impl<S: Clone + Send + Sync + 'static> Handler<S> {
    pub(super) fn of(definition: Definition, call: Arc<Call<S>>) -> Handler<S> {
        Handler { definition, call, elsewhere: None, batch: None }
    }

    pub(super) fn new<J, F, Fut>(handler: F) -> Handler<S>
    where
        J: Job,
        F: Fn(J, Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<J::Output, Failure>> + Send + 'static,
    {
        let call = move |envelope: &Envelope, cx: Context<S>| {
            let running = handler(decode::<J>(envelope)?, cx);
            Ok(Box::pin(async move { encode::<J>(&running.await?) }) as Run<'static>)
        };
        Handler::of(definition::<J>(), Arc::new(call))
    }

    /// One that blocks, on a thread of its own kind.
    pub(super) fn blocking<J, F>(handler: F, threads: Arc<Threads>) -> Handler<S>
    where
        J: Job,
        F: Fn(J, Context<S>) -> Result<J::Output, Failure> + Send + Sync + 'static,
    {
        let handler = Arc::new(handler);
        let call = move |envelope: &Envelope, cx: Context<S>| {
            let (job, handler, threads) = (decode::<J>(envelope)?, handler.clone(), threads.clone());
            let (span, runtime) = (tracing::Span::current(), tokio::runtime::Handle::current());
            let work = move || {
                let _runtime = runtime.enter();
                span.in_scope(|| encode::<J>(&handler(job, cx)?))
            };
            Ok(Box::pin(async move { threads.run(work).await }) as Run<'static>)
        };
        Handler::of(definition::<J>(), Arc::new(call))
    }

    /// The same in a child process; what a payload is wrong in is found here.
    #[cfg(unix)]
    pub(super) fn isolated<J: Job>(mut self, children: Arc<super::isolated::Children>) -> Handler<S> {
        self.elsewhere = Some(Arc::new(move |envelope: &Envelope, cx: Context<S>| {
            decode::<J>(envelope)?;
            let (children, envelope) = (children.clone(), envelope.clone());
            Ok(Box::pin(async move { children.run(envelope, cx.inner).await }) as Run<'static>)
        }));
        self
    }

    /// As [`Handler::begin`], in this very process.
    #[cfg(unix)]
    pub(super) fn begin_here(&self, envelope: &Envelope, cx: Context<S>) -> Result<Run<'static>, Unreadable> {
        (self.call)(envelope, cx)
    }

    /// Begins an attempt; an error means that the payload is not what the type wants.
    pub(super) fn begin(&self, envelope: &Envelope, cx: Context<S>) -> Result<Run<'static>, Unreadable> {
        (self.elsewhere.as_ref().unwrap_or(&self.call))(envelope, cx)
    }
}

pub(super) fn definition<J: Job>() -> Definition {
    Definition { name: J::NAME.into(), version: J::VERSION, policy: J::policy() }
}

/// The payload as its type, led through every version between its own and the type's.
pub(super) fn decode<J: Job>(envelope: &Envelope) -> Result<J, Unreadable> {
    if envelope.version >= J::VERSION {
        return Ok(serde_json::from_str(envelope.payload.get())?);
    }
    let mut payload: Value = serde_json::from_str(envelope.payload.get())?;
    for version in envelope.version..J::VERSION {
        payload = J::upcast(version, payload).map_err(|why| match why {
            Unreadable::Broken(why) => Unreadable::Broken(format!("from version {version}: {why}")),
            unknown @ Unreadable::Unknown(_) => unknown,
        })?;
    }
    Ok(serde_json::from_value(payload)?)
}

pub(super) fn encode<J: Job>(output: &J::Output) -> Result<Option<Box<RawValue>>, Failure> {
    // Most say nothing: no place on the heap for that.
    let mut few = [0; 4];
    if size_of::<J::Output>() == 0 && serde_json::to_writer(&mut few[..], output).is_ok() && &few == b"null" {
        return Ok(None);
    }
    let json = to_raw_value(output)
        .map_err(|e| Failure::discard(format!("the output of {} cannot be written as JSON: {e}", J::NAME)))?;
    Ok((json.get() != "null").then_some(json))
}
