//! Which commands a script may call, read from its text: what an account needs, no more.
//!
//! The scripts are written alike, and a test holds them to it: a command is a word of
//! capitals in single quotes; a function begins and ends at the beginning of a line. Only the
//! functions count that can be reached from what stands outside of any.

use std::collections::{BTreeMap, BTreeSet};

/// Words of capitals that are no commands but their options.
const OPTIONS: [&str; 9] = ["BY", "CH", "COUNT", "EX", "LIMIT", "NX", "STORE", "WITHSCORES", "XX"];

/// The commands of a script.
pub(super) fn of(text: &'static str) -> BTreeSet<&'static str> {
    let (mut reached, functions) = parts(text);
    let mut seen = BTreeSet::new();
    let mut at = 0;
    while at < reached.len() {
        for word in words(reached[at]) {
            if functions.contains_key(word) && seen.insert(word) {
                reached.extend(&functions[word]);
            }
        }
        at += 1;
    }
    reached.into_iter().flat_map(quoted).filter(|word| !OPTIONS.contains(word)).collect()
}

/// The lines outside of any function, and those of each function by its name.
fn parts(text: &'static str) -> (Vec<&'static str>, BTreeMap<&'static str, Vec<&'static str>>) {
    let (mut outside, mut functions) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
    let mut within: Option<&str> = None;
    for line in text.lines() {
        let line = line.split("--").next().unwrap_or_default();
        within = within.or_else(|| begins(line));
        match within {
            Some(name) => functions.entry(name).or_default().push(line),
            None => outside.push(line),
        }
        if line == "end" || line.ends_with(" end") && begins(line).is_some() {
            within = None;
        }
    }
    (outside, functions)
}

/// The name of the function that a line begins; that of its table where it has one.
fn begins(line: &str) -> Option<&str> {
    if line.starts_with(' ') {
        return None;
    }
    let (before, after) = line.split_once("function")?;
    let named = if before.contains('=') { before } else { after };
    named.trim_start_matches("local ").split(['(', '.', '=']).next().map(str::trim)
}

/// The words outside of quotes.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split('\'').step_by(2);
    code.flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
}

/// The words of capitals in single quotes.
fn quoted(line: &'static str) -> impl Iterator<Item = &'static str> {
    let capitals = |word: &&str| word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase());
    line.split('\'').skip(1).step_by(2).filter(capitals)
}

/// Whether a command only reads, of those that the scripts call.
pub(super) fn reads(command: &str) -> bool {
    const READS: [&str; 33] = [
        "EXISTS",
        "GET",
        "HEXISTS",
        "HGET",
        "HGETALL",
        "HKEYS",
        "HLEN",
        "HMGET",
        "HSCAN",
        "HSTRLEN",
        "HVALS",
        "LINDEX",
        "LLEN",
        "LPOS",
        "LRANGE",
        "SCARD",
        "SISMEMBER",
        "SMEMBERS",
        "SRANDMEMBER",
        "SSCAN",
        "STRLEN",
        "TIME",
        "TYPE",
        "ZCARD",
        "ZCOUNT",
        "ZMSCORE",
        "ZRANGE",
        "ZRANGEBYLEX",
        "ZRANGEBYSCORE",
        "ZRANK",
        "ZREVRANGE",
        "ZSCAN",
        "ZSCORE",
    ];
    READS.contains(&command)
}

#[cfg(test)]
mod tests {
    use super::super::scripts;
    use super::*;

    #[test]
    fn only_what_is_reached_counts() {
        let text = "local later\n-- call('A')\nlocal function unused()\n  call('DEL')\nend\n\
            local function one() return call('GET', x) end\nlater = function()\n  call('SET', 'EX', 'x')\nend\n\
            work.s = function()\n  one()\nend\nlater(work)\nlocal side = 'RPUSH'\n";
        assert_eq!(Vec::from_iter(of(text)), ["GET", "RPUSH", "SET"]);
    }

    /// What this reads is all that a script can call: every call names its command in quotes,
    /// but for helpers that are given it so, or a function that holds them.
    #[test]
    fn every_call_names_its_command() {
        for script in scripts::all() {
            for line in script.text.lines().filter(|line| !line.trim_start().starts_with("--")) {
                for (at, call) in line.match_indices("call(") {
                    let rest = &line[at + call.len()..];
                    let given = ["verb,", "side,", "cjson.decode,", "refusal)"]
                        .iter()
                        .any(|word| rest.starts_with(word));
                    assert!(given || rest.starts_with('\''), "{}: {line}", script.name);
                }
            }
            let calls = script.calls();
            assert!(
                calls.contains("TIME") || script.name.starts_with("ENQUEUE_B"),
                "{}: {calls:?}",
                script.name
            );
        }
    }

    #[test]
    fn some_scripts_only_read() {
        let reading = |script: &&scripts::Script| script.calls().into_iter().all(reads);
        let names: Vec<_> = scripts::all().filter(reading).map(|script| script.name).collect();
        for name in ["QUEUES", "BLOCKED", "SETTINGS", "VANISHED", "FLOWS", "TERMS"] {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        assert!(
            !names.iter().any(|name| ["ENQUEUE", "LEASE_BRIEF", "VIEW", "PAUSE"].contains(name)),
            "{names:?}"
        );
    }
}
