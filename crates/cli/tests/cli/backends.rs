//! URLs that lead nowhere, to something else, or to a Redis server.

use crate::run::{Ran, legwork};
use legwork::testing::server::TestServer;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

fn queues(url: &str) -> Ran {
    legwork(&["--url", url, "queues"])
}

/// A port of the loopback on which nothing listens.
fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// A listener that answers every connection in its own way.
fn listen(answer: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its port").port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    port
}

#[test]
fn nobody_there_is_unreachable() {
    let port = dead_port();
    let url = format!("redis://operator:s3cret@127.0.0.1:{port}/0");
    let ran = queues(&url);
    assert!(!ran.bad(3).contains("s3cret"), "{ran:?}");
    let (code, message) = legwork(&["--json", "--url", &url, "enqueue", "a", "1"]).error(3);
    assert_eq!(code, "unavailable");
    assert!(message.contains(&port.to_string()) && !message.contains("s3cret"), "{message}");
    queues("redis+unix:///nowhere/redis.sock").bad(3);
    queues("redis://no-such-host.invalid:6379").bad(3);
}

#[test]
fn something_else_there_is_named() {
    let http = listen(|mut stream| {
        let mut asked = [0; 512];
        let _ = stream.read(&mut asked);
        let _ =
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    });
    let started = Instant::now();
    let ran = queues(&format!("redis://:s3cret@127.0.0.1:{http}"));
    assert!(ran.bad(2).contains("not a Redis server"), "{ran:?}");
    assert!(!ran.err.contains("s3cret") && started.elapsed() < Duration::from_secs(20), "{ran:?}");
}

#[test]
fn silence_there_does_not_hang() {
    let silent = listen(std::mem::forget);
    queues(&format!("redis://127.0.0.1:{silent}")).bad(3);
}

#[test]
fn a_bad_url_is_named() {
    let all = [
        ("http://h", "http"),
        ("nonsense", "url: "),
        ("redis://", "host"),
        ("redis:///", "host"),
        ("redis://h:99999", "port"),
        ("redis://h:0", "port"),
        ("redis://h/-1", "-1"),
        ("redis://h/abc", "abc"),
        ("redis://us%0d%0aer@h", "url: "),
        ("redis://h/0%0d%0a", "url: "),
        ("sqlite:", "path"),
        ("sqlite:/no/such/directory/a.db", "/no/such/directory"),
    ];
    for (url, part) in all {
        let ran = queues(url);
        assert!(ran.bad(2).contains(part), "{url}: {ran:?}");
    }
}

#[test]
fn a_missing_file_is_not_made_by_looking() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("typo.db");
    for command in [&["queues"][..], &["stats"], &["resume", "q"], &["purge", "q", "--yes"]] {
        let ran = legwork(&[&["--url", &format!("sqlite:{}", path.display())], command].concat());
        assert!(ran.bad(3).contains(&path.display().to_string()), "{ran:?}");
        assert!(!path.exists());
    }
    let ran = queues(&format!("sqlite:{}", dir.path().display()));
    assert!(ran.bad(2).contains("directory"), "{ran:?}");
}

#[test]
fn a_file_of_something_else_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("picture.db");
    std::fs::write(&path, [&b"\x89PNG\r\n\x1a\n"[..], &[7; 8_192]].concat()).expect("written");
    let ran = queues(&format!("sqlite:{}", path.display()));
    assert!(!ran.bad(1).is_empty(), "{ran:?}");
    assert_eq!(std::fs::read(&path).map(|b| b.len()).ok(), Some(8_200), "the file is left as it was");
}

#[test]
fn every_command_works_on_redis() {
    let Some(server) = TestServer::start_tcp() else {
        return;
    };
    server.command(&["CONFIG", "SET", "requirepass", "s3cret"]).expect("the server answers");
    let url = server.url().replacen("://", "://:s3cret@", 1);
    let cli = |args: &[&str]| {
        let ran = legwork(&[&["--url", &url], args].concat());
        assert!(!format!("{ran:?}").contains("s3cret"), "{ran:?}");
        ran
    };
    let receipt =
        legwork(&["--url", &url, "--json", "enqueue", "a.job", "{\"n\":1}", "--delay", "1h"]).json();
    let id = receipt["id"].as_str().expect("an id");
    assert!(cli(&["job", id]).good().contains("not due for 59m"));
    assert_eq!(cli(&["retry", id, "--json"]).json()[0]["state"], "available");
    assert_eq!(cli(&["jobs", "--json"]).json()[0]["payload"]["n"], 1);
    assert_eq!(cli(&["pause", "default", "--json"]).json()["paused"], true);
    assert_eq!(cli(&["queues", "--json"]).json()[0]["why"], "paused");
    assert_eq!(cli(&["resume", "default", "--json"]).json()["was_paused"], true);
    assert_eq!(cli(&["stats", "--json"]).json()["counts"]["available"], 1);
    assert!(cli(&["stats"]).good().contains("redis"));
    assert_eq!(cli(&["purge", "default", "--yes", "--json"]).json()["removed"], 1);
    cli(&["job", id]).bad(1);
    cli(&["workers"]).good();
    cli(&["schedules"]).good();
    cli(&["limit", "set", "site", "--concurrency", "2"]).good();
    cli(&["limit", "queue", "default", "site"]).good();
    cli(&["queue", "set", "default", "--max-waiting", "9"]).good();
    cli(&["enqueue", "a.job", "1", "--limit", "site/7", "--tag", "t", "--unique", "k", "--debounce", "1h"])
        .good();
    assert_eq!(cli(&["limits", "--json"]).json()["rules"].as_array().map(Vec::len), Some(1));
    assert_eq!(cli(&["jobs", "--tag", "t", "--json"]).json().as_array().map(Vec::len), Some(1));
    assert_eq!(cli(&["cancel", "--tag", "t", "--yes", "--json"]).json()["done"], 1);
    cli(&["subscribe", "race.*", "b.job"]).good();
    assert_eq!(cli(&["publish", "race.42", "1", "--json"]).json()["jobs"].as_array().map(Vec::len), Some(1));
    cli(&["flows"]).good();
    cli(&["versions"]).good();
    cli(&["errors"]).good();
    cli(&["worker", "quiet", "--all"]).bad(1);
    let other = format!("{url}?ns=other");
    let ran = legwork(&["--url", &other, "--json", "enqueue", "a.job", "1"]).json();
    cli(&["job", ran["id"].as_str().expect("an id")]).bad(1);
    let wrong = legwork(&["--url", &server.url(), "queues"]);
    assert!(wrong.code == 1 || wrong.code == 3, "{wrong:?}");
    wrong.bad(wrong.code);
}
