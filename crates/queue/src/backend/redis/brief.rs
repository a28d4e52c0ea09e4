//! The brief scripts in front of the full ones; see `lua/brief.lua`.

use super::{Redis, Script};
use crate::Result;
use redis::{Cmd, Value};
use std::sync::atomic::{AtomicU8, Ordering};

/// So many calls go to the full script at once after one that the brief one passed on: what it
/// met is often there for a while.
const PASSED: u8 = 4;

/// A verb with a brief script, and how many of its next calls pass that over.
#[derive(Default)]
pub(super) struct Brief(AtomicU8);

impl Brief {
    /// Runs the brief script, and the full one where that does not do. Both take the same
    /// arguments, which `args` writes.
    pub(super) async fn run(
        &self,
        redis: &Redis,
        (brief, full): (&Script, &Script),
        args: impl Fn(&mut Cmd),
    ) -> Result<Value> {
        let call = |script: &Script| {
            let mut call = redis.script(script);
            args(&mut call);
            call
        };
        let passed = self.0.load(Ordering::Relaxed);
        if passed > 0 {
            self.0.store(passed - 1, Ordering::Relaxed);
        } else {
            let answer = redis.run(brief, &call(brief)).await?;
            if !is_slow(&answer) {
                return Ok(answer);
            }
            self.0.store(PASSED, Ordering::Relaxed);
        }
        redis.run(full, &call(full)).await
    }
}

fn is_slow(answer: &Value) -> bool {
    matches!(answer, Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(word)) if word == b"slow"))
}
