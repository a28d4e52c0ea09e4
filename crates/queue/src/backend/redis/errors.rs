//! What Redis said, in the words of this library.

use crate::Error;
use crate::error::Kind;
use redis::{ErrorKind, RedisError};

/// What a server says that is not, or no longer, the one to ask.
const MOVED_ON: [&str; 5] = ["READONLY", "MOVED ", "ASK ", "MASTERDOWN", "CLUSTERDOWN"];

/// Whether the connection must be made anew before the next call: it is dead, its server
/// is no longer the primary, or an answer may still be on its way.
pub(super) fn breaks(error: &RedisError) -> bool {
    error.is_connection_dropped()
        || torn(error)
        || error.is_timeout()
        || error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(error.code(), Some("READONLY" | "MOVED" | "MASTERDOWN" | "CLUSTERDOWN"))
}

/// Whether a server refused because it does not hold the keys, or not now: nothing was done,
/// and another server, or the same one later, does it.
pub(super) fn unserved(error: &RedisError) -> bool {
    misdirected(error) || matches!(error.code(), Some("ASK" | "TRYAGAIN"))
}

/// Whether it is time to look for another server. Redis 6.2 wraps what stopped a script.
pub(super) fn misdirected(error: &RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "MOVED" | "MASTERDOWN" | "CLUSTERDOWN" | "LOADING"))
        || error.detail().is_some_and(|detail| detail.contains("-READONLY "))
}

/// The address of who holds the slot.
pub(super) fn moved(error: &RedisError) -> Option<&str> {
    error.redirect_node().map(|(address, _)| address).filter(|_| error.code() == Some("MOVED"))
}

/// The address of who takes the keys of a slot that is being moved.
pub(super) fn asks(error: &RedisError) -> Option<&str> {
    error.redirect_node().map(|(address, _)| address).filter(|_| error.code() == Some("ASK"))
}

/// Whether what came is no reply of a Redis, or not a whole one.
pub(super) fn torn(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Parse
}

/// Whether a key held something of another type.
pub(super) fn wrong_type(error: &RedisError) -> bool {
    said(error).contains("WRONGTYPE")
}

/// Whether the server has forgotten the script.
pub(super) fn no_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// Code and detail in one line. Redis 6.2 wraps the errors of inner commands, so that the
/// code alone does not tell.
pub(super) fn said(error: &RedisError) -> String {
    let words: Vec<&str> = error.code().into_iter().chain(error.detail()).collect();
    words.join(" ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

/// The error as callers see it; `target` is the host, never a secret.
pub(super) fn told(target: &str, error: RedisError) -> Error {
    let said = said(&error);
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let as_kind = |kind, what: &str| (kind, format!("redis at {target}: {what}: {said}"));
    let refused = |what| as_kind(Kind::Refused, what);
    let (kind, line) = if has(&["OOM "]) {
        refused("out of memory (maxmemory)")
    } else if has(&["MISCONF", "NOREPLICAS"]) {
        as_kind(Kind::Suspended, "does not take writes")
    } else if error.kind() == ErrorKind::AuthenticationFailed || has(&["NOAUTH", "WRONGPASS"]) {
        (Kind::Suspended, format!("redis at {target}: no permission; check user and password: {error}"))
    } else if has(&["Function not found"]) {
        // Whoever loads them need not restart those who wait for them.
        as_kind(Kind::Suspended, "the functions of this version are not loaded; run `legwork migrate`")
    } else if has(&["NOPERM", "can't run this command"]) {
        as_kind(Kind::Suspended, "no permission; check user, password and ACL")
    } else if has(&["unknown command", "Unknown Redis command"]) {
        refused("a command is missing; Redis 6.2 or newer is needed")
    } else if has(&["MOVED ", "ASK ", "CROSSSLOT"]) {
        refused("a node of a cluster, which does not hold the namespace; use redis+cluster://")
    } else if has(&["CLOCK "]) {
        (Kind::Invalid, "clock: a manual clock needs a namespace test-…".to_owned())
    } else if torn(&error) {
        (Kind::Invalid, format!("redis at {target}: what answers there is not a Redis server"))
    } else if has(&["ERR "]) && has(&["user_script"]) && !has(&MOVED_ON) {
        (Kind::Corrupt, format!("redis at {target}: the stored data is not what it must be: {said}"))
    } else if error.to_string().contains("received fatal alert") {
        // Under TLS 1.3 a server says so only after the handshake.
        let wants = "TLS: it wants a certificate that it trusts, cert=FILE&key=FILE";
        (Kind::Refused, format!("redis at {target}: {wants}: {error}"))
    } else if error.is_timeout() {
        (Kind::Unavailable, format!("redis at {target}: no answer in time"))
    } else if error.is_io_error() || error.is_connection_dropped() {
        (Kind::Unavailable, format!("redis at {target}: {error}"))
    } else {
        (
            Kind::Unavailable,
            format!("redis at {target}: {}", if said.is_empty() { error.to_string() } else { said.clone() }),
        )
    };
    Error::with(kind, line, error)
}
