//! What is not allowed is refused with a line that says so, before anything is connected
//! to: the URL of these runs leads nowhere.

use crate::run::{command, fed, finish, legwork};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

const NOWHERE: &str = "redis://127.0.0.1:1";
const SOME_ID: &str = "0193a5b0-7c1e-7f00-8000-0a1b2c3d4e00";

/// Arguments, and what the line that refuses them says.
const REFUSED: &[(&[&str], &[&str])] = &[
    (&["enqeue"], &["unrecognized subcommand", "'enqueue'"]),
    (&["queues", "--wat"], &["unexpected argument '--wat'"]),
    (&["enqueue", "send_mail", "not json"], &["payload: not JSON", "column 2"]),
    (&["enqueue", "send_mail", "{\"a\":1,}"], &["payload: not JSON", "column 8"]),
    (&["enqueue", "send_mail", "NaN"], &["payload: not JSON"]),
    (&["enqueue", "send_mail", ""], &["payload: not JSON"]),
    (&["enqueue", "send_mail"], &["<JSON>"]),
    (&["enqueue", "Send Mail", "1"], &["job name: \"Send Mail\"", "a-z 0-9"]),
    (&["enqueue", "a", "1", "--delay", "5"], &["delay: \"5\" has no unit", "5s, 10m"]),
    (&["enqueue", "a", "1", "--delay", "5 parsecs"], &["delay: ", "unknown unit \"parsecs\""]),
    (&["enqueue", "a", "1", "--delay", "-5s"], &["delay: \"-5s\" is negative"]),
    (&["enqueue", "a", "1", "--delay=-5s"], &["delay: \"-5s\" is negative"]),
    (&["enqueue", "a", "1", "--delay", "1000000d"], &["delay: ", "more than ten years"]),
    (&["enqueue", "a", "1", "--delay", "99999999999999999999y"], &["delay: ", "more than ten years"]),
    (&["enqueue", "a", "1", "--queue", ""], &["queue: \"\"", "1 to 64"]),
    (&["enqueue", "a", "1", "--queue", "a b"], &["queue: \"a b\""]),
    (&["enqueue", "a", "1", "--queue", "../x"], &["queue: \"../x\""]),
    (&["enqueue", "a", "1", "--queue", "a{b}"], &["queue: \"a{b}\""]),
    (&["enqueue", "a", "1", "--queue", "🏃"], &["queue: ", "a-z"]),
    (&["enqueue", "a", "1", "--queue", "a\nb"], &["queue: \"a\\nb\""]),
    (&["enqueue", "a", "1", "--queue", "a\u{1b}[31m"], &["queue: \"a\\u{1b}[31m\""]),
    (&["enqueue", "a", "1", "--priority", "10"], &["priority: \"10\"", "from 0 to 9"]),
    (&["enqueue", "a", "1", "--priority", "-1"], &["priority: \"-1\""]),
    (&["enqueue", "a", "1", "--max-attempts", "0"], &["max-attempts: \"0\"", "from 1"]),
    (&["enqueue", "a", "1", "--limit", "site"], &["limit: \"site\" is not NAME/KEY"]),
    (&["enqueue", "a", "1", "--limit", "s/7", "--serial", "k"], &["--serial", "cannot be used with"]),
    (&["enqueue", "a", "1", "--cost", "0"], &["cost: \"0\"", "from 1 to 1000000"]),
    (&["enqueue", "a", "1", "--meta", "athlete"], &["meta: \"athlete\" has no value"]),
    (&["enqueue", "a", "1", "--at", "noon"], &["at: \"noon\"", "RFC 3339"]),
    (&["enqueue", "a", "1", "--id", "7"], &["job id: \"7\" is not a UUID"]),
    (&["jobs", "--limit", "0"], &["limit: \"0\"", "from 1 to 1000"]),
    (&["jobs", "--limit", "-1"], &["limit: \"-1\""]),
    (&["jobs", "--limit", "1001"], &["limit: \"1001\""]),
    (&["jobs", "--limit", "1e6"], &["limit: \"1e6\""]),
    (&["jobs", "--limit", "1", "--limit", "2"], &["--limit"]),
    (&["jobs", "--state", "done"], &["state: \"done\"", "succeeded"]),
    (&["jobs", "--queue", "' OR 1=1 --"], &["queue: "]),
    (&["job", "../../etc/passwd"], &["job id: \"../../etc/passwd\" is not a UUID"]),
    (&["job"], &["<ID>"]),
    (&["retry"], &["<ID>"]),
    (&["cancel", SOME_ID, "x"], &["job id: \"x\""]),
    (&["pause"], &["<QUEUE>"]),
    (&["pause", "A"], &["queue: \"A\""]),
    (&["pause", "q", "--for", "0s"], &["for: "]),
    (&["pause", "q", "--for", "15"], &["for: \"15\" has no unit"]),
    (&["pause", "q", "--until", "2001-01-01T00:00:00Z"], &["until: ", "has passed"]),
    (&["pause", "q", "--until", "tomorrow"], &["until: \"tomorrow\"", "RFC 3339"]),
    (&["pause", "q", "--until", "9999-12-31T00:00:00Z"], &["until: ", "ten years"]),
    (&["completions", "tcsh"], &["'tcsh'", "bash"]),
];

#[test]
fn refused_with_a_line_that_says_why() {
    for (args, parts) in REFUSED {
        let ran = legwork(&[&["--url", NOWHERE], *args].concat());
        let line = ran.bad(2);
        for part in *parts {
            assert!(line.contains(part), "{args:?}: {line}");
        }
        assert!(ran.out.is_empty() && !line.contains(char::is_control), "{ran:?}");
    }
}

#[test]
fn a_pause_has_one_end() {
    let soon = (chrono::Utc::now() + chrono::Duration::hours(1)).to_rfc3339();
    let ran = legwork(&["--url", NOWHERE, "pause", "q", "--for", "5m", "--until", &soon]);
    assert!(ran.bad(2).contains("'--for <TIME>' cannot be used with '--until"), "{ran:?}");
}

#[test]
fn refused_with_an_object_where_json_is_wanted() {
    for (args, parts) in REFUSED {
        let ran = legwork(&[&["--url", NOWHERE, "--json"], *args].concat());
        let (code, message) = ran.error(2);
        assert!(["usage", "invalid"].contains(&code.as_str()), "{ran:?}");
        for part in *parts {
            assert!(message.contains(part), "{args:?}: {message}");
        }
    }
    let longest = "q".repeat(65);
    let (_, message) = legwork(&["enqueue", "a", "1", "--queue", &longest, "--json"]).error(2);
    assert!(message.contains("1 to 64"), "{message}");
}

#[test]
fn no_command_is_answered_with_help() {
    let none: [&str; 0] = [];
    for args in [&none[..], &["--url", NOWHERE]] {
        let ran = legwork(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
        assert!(ran.err.contains("Usage: legwork") && ran.err.contains("no command given"), "{ran:?}");
    }
    assert_eq!(legwork(&["--json"]).error(2).0, "usage");
}

#[test]
fn a_url_must_be_given() {
    for args in [&["queues"][..], &["--url", "", "queues"]] {
        let ran = legwork(args);
        let line = ran.bad(2);
        assert!(line.contains("--url") && line.contains("LEGWORK_URL"), "{line}");
    }
    let mut empty = command(&["stats"]);
    empty.env("LEGWORK_URL", "");
    assert!(finish(empty).bad(2).contains("LEGWORK_URL"));
    assert_eq!(legwork(&["enqueue", "a", "-"]).code, 2);
}

#[test]
fn arguments_that_are_not_utf8_are_refused() {
    let wrong = OsStr::from_bytes(b"a\xffb");
    let text = |t| OsStr::new(t);
    let all: [&[&OsStr]; 6] = [
        &[wrong],
        &[text("--url"), wrong, text("queues")],
        &[text("jobs"), text("--queue"), wrong],
        &[text("job"), wrong],
        &[text("enqueue"), wrong, text("1")],
        &[text("enqueue"), text("a"), wrong],
    ];
    for args in all {
        legwork(args).bad(2);
    }
    let mut odd = command(&["queues"]);
    odd.env("LEGWORK_URL", wrong);
    finish(odd).bad(2);
}

#[test]
fn a_payload_on_stdin_is_bounded() {
    let args = ["--url", NOWHERE, "enqueue", "a", "-"];
    let all: [Box<dyn Read + Send>; 3] = [
        Box::new(std::io::repeat(b'1').take(17 << 20)),
        Box::new(std::io::repeat(b'1')),
        Box::new(std::io::repeat(b' ')),
    ];
    for bytes in all {
        let ran = fed(&args, bytes);
        assert!(ran.bad(2).starts_with("payload: too large, at most 262144 bytes"), "{ran:?}");
    }
    let json = [&args[..], &["--json"]].concat();
    assert_eq!(fed(&json, std::io::repeat(b'[')).error(2).0, "too_large");
    let ran = fed(&args, &b"\"\xff\""[..]);
    assert!(ran.bad(2).starts_with("payload: not UTF-8 after 1 byte"), "{ran:?}");
    assert!(fed(&args, &b""[..]).bad(2).starts_with("payload: not JSON"));
}

#[test]
fn a_large_payload_as_an_argument_is_bounded() {
    // An argument holds at most 128 KiB on Linux, so the limit is met through stdin; one
    // just below what the system takes must still be read.
    let payload = format!("\"{}", "x".repeat(120_000));
    let ran = legwork(&["--url", NOWHERE, "enqueue", "a", &payload]);
    assert!(ran.bad(2).contains("payload: not JSON"), "{ran:?}");
}

#[test]
fn a_secret_is_never_repeated() {
    let url = "redis://operator:s3cret@127.0.0.1:1";
    for args in [
        &["--url", url, "queues"][..],
        &[url],
        &["queues", url],
        &["job", url],
        &["--url", "redis://:s3cret@h:99999", "queues"],
    ] {
        for json in [&[][..], &["--json"]] {
            let ran = legwork(&[args, json].concat());
            assert!(ran.code > 1 && !format!("{ran:?}").contains("s3cret"), "{ran:?}");
        }
    }
    let mut help = command(&["--help"]);
    help.env("LEGWORK_URL", url);
    let ran = finish(help);
    assert!(ran.good().contains("LEGWORK_URL") && !ran.out.contains("s3cret"), "{ran:?}");
}
