//! A handler without its types: bytes in, bytes out.

use super::Context;
use crate::backend::Definition;
use crate::{Failure, Job};
use serde_json::value::RawValue;
use std::pin::Pin;
use std::sync::Arc;

/// What an attempt yields: the result as JSON, or none where it is `()`.
pub(super) type Attempt = Pin<Box<dyn Future<Output = Result<Option<String>, Failure>> + Send>>;

type Call<S> = dyn Fn(&RawValue, Context<S>) -> Result<Attempt, serde_json::Error> + Send + Sync;

pub(super) struct Handler<S> {
    pub(super) definition: Definition,
    call: Arc<Call<S>>,
}

impl<S: Clone + Send + Sync + 'static> Handler<S> {
    pub(super) fn new<J, F, Fut>(handler: F) -> Handler<S>
    where
        J: Job,
        F: Fn(J, Context<S>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<J::Output, Failure>> + Send + 'static,
    {
        let call = move |payload: &RawValue, cx: Context<S>| {
            let job: J = serde_json::from_str(payload.get())?;
            let running = handler(job, cx);
            Ok(Box::pin(async move { encode::<J>(&running.await?) }) as Attempt)
        };
        let definition = Definition { name: J::NAME.into(), version: J::VERSION, policy: J::policy() };
        Handler { definition, call: Arc::new(call) }
    }

    /// Begins an attempt; an error means that the payload is not what the type wants.
    pub(super) fn begin(&self, payload: &RawValue, cx: Context<S>) -> Result<Attempt, serde_json::Error> {
        (self.call)(payload, cx)
    }
}

fn encode<J: Job>(output: &J::Output) -> Result<Option<String>, Failure> {
    let text = serde_json::to_string(output)
        .map_err(|e| Failure::discard(format!("the output of {} cannot be written as JSON: {e}", J::NAME)))?;
    Ok((text != "null").then_some(text))
}
