//! The brief scripts in front of the full ones; see `lua/brief.lua`.

use super::{Redis, Script};
use crate::Result;
use redis::{Cmd, Value};
use std::sync::atomic::{AtomicU8, Ordering};

/// At most so many calls go to the full script at once after one that the brief one passed on.
const MOST: u8 = 64;

/// A verb with a brief script, and how many of its next calls pass that over: what it met is
/// often there for a while, so that each time in a row doubles them.
#[derive(Default)]
pub(super) struct Brief {
    left: AtomicU8,
    last: AtomicU8,
}

impl Brief {
    /// Runs the brief script, and the full one where that does not do. Both take the same
    /// arguments, which `args` writes.
    pub(super) async fn run(
        &self,
        redis: &Redis,
        (brief, full): (&Script, &Script),
        args: impl Fn(&mut Cmd),
    ) -> Result<Value> {
        let call = async |script: &Script| {
            let mut call = redis.script(script);
            args(&mut call);
            redis.run(script, &call).await
        };
        self.either(call(brief), call(full)).await
    }

    /// As [`Brief::run`], for what is more than a script.
    pub(super) async fn either(
        &self,
        brief: impl Future<Output = Result<Value>>,
        full: impl Future<Output = Result<Value>>,
    ) -> Result<Value> {
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
        } else {
            let answer = brief.await?;
            if !is_slow(&answer) {
                self.last.store(0, Ordering::Relaxed);
                return Ok(answer);
            }
            let next = (self.last.load(Ordering::Relaxed) * 2).clamp(2, MOST);
            self.last.store(next, Ordering::Relaxed);
            self.left.store(next, Ordering::Relaxed);
        }
        full.await
    }
}

/// What a brief script says that does not do.
pub(super) fn slow() -> Value {
    Value::Array(vec![Value::BulkString(b"slow".to_vec())])
}

fn is_slow(answer: &Value) -> bool {
    matches!(answer, Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(word)) if word == b"slow"))
}
