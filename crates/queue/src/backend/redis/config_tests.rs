//! URLs, good and bad.

use super::*;

#[test]
fn good_urls() {
    for (text, target, namespace, db) in [
        ("redis://localhost", "localhost:6379", "legwork", 0),
        ("redis://u:p%40ss@h:1234/3?ns=test-a", "h:1234", "test-a", 3),
        ("redis://[::1]:7000", "[::1]:7000", "legwork", 0),
        ("redis+unix:///tmp/s?ns=x&db=2", "/tmp/s", "x", 2),
        ("unix:///tmp/s", "/tmp/s", "legwork", 0),
        ("redis+sentinel://a,b:1,[::1]/main/4?ns=x", "main, by sentinels a:26379, b:1, [::1]:26379", "x", 4),
        ("valkey+sentinel://a/main", "main, by sentinels a:26379", "legwork", 0),
        ("redis+cluster://u:p@a:7000,b", "cluster a:7000, b:6379", "legwork", 0),
        ("redis+cluster://a/0?ns=x", "cluster a:6379", "x", 0),
    ] {
        let config = parse(text).unwrap();
        assert_eq!((config.target.as_str(), config.namespace.as_str()), (target, namespace), "{text}");
        assert_eq!(config.login.db(), db, "{text}");
    }
    assert_eq!(parse("redis+cluster://h?shards=64&ns=x").unwrap().shards, Some(64));
    assert_eq!(parse("redis://h").unwrap().shards, None);
}

#[test]
fn logins_are_read_and_not_shown() {
    for text in [
        "redis://m%40e:hu%2Fsh@h",
        "redis+unix:///tmp/s?user=m@e&pass=hu/sh",
        "redis+sentinel://m%40e:hu%2Fsh@a,b/main?sentinel_user=s&sentinel_pass=hush",
        "redis+cluster://m%40e:hu%2Fsh@a,b",
    ] {
        let config = parse(text).unwrap();
        assert_eq!(
            (config.login.username(), config.login.password()),
            (Some("m@e"), Some("hu/sh")),
            "{text}"
        );
        assert!(!format!("{config:?}{}", config.target).contains("hu"), "{text}");
        if let Place::Sentinels { login, .. } = config.place {
            assert_eq!((login.username(), login.password()), (Some("s"), Some("hush")));
        }
    }
}

#[test]
fn bad_urls_name_the_part() {
    for (text, part) in [
        ("http://h", "scheme"),
        ("redis+tls://h", "scheme"),
        ("rediss+unix:///s", "scheme"),
        ("redis:", "host"),
        ("redis://", "host"),
        ("redis://h:99999", "port"),
        ("redis://h:x", "port"),
        ("redis://h:0", "port"),
        ("redis://a,b", "several hosts"),
        ("redis://h/-1", "database"),
        ("redis://h/abc", "database"),
        ("redis://h\r\nFLUSHALL", "control"),
        ("redis://me%0d%0a@h", "control"),
        ("redis://me:hush%00@h", "control"),
        ("redis+unix:///tmp/s%1F", "control"),
        ("redis://h?ns=A b", "ns"),
        ("redis://h?nz=a", "nz"),
        ("redis://h?ca=/tmp/ca.pem", "ca"),
        ("redis://h?shards=0", "shards"),
        ("redis+cluster://h?shards=65", "shards"),
        ("redis+unix://", "socket"),
        ("redis+unix:/:hunter2@/s", "a socket has no host or user"),
        ("redis+unix://me:hunter2@/s", "empty host"),
        ("redis+unix://tmp/s", "a socket has no host or user"),
        ("redis+sentinel://a:26379", "name of a primary"),
        ("redis+sentinel://a:26379/ma%20in", "name of a primary"),
        ("redis+sentinel://a,,b/main", "host"),
        ("redis+sentinel://a:0/main", "port"),
        ("redis+sentinel://a/main/x", "database"),
        ("redis+cluster://", "host"),
        ("redis+cluster://a,b:99999", "port"),
        ("redis+cluster://a/3", "database"),
        ("redis+cluster://a?sentinel_user=x", "sentinel_user"),
    ] {
        bad(text, part);
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn tls_is_named_where_it_is_missing() {
    bad("rediss://h", "TLS");
}

#[cfg(feature = "tls")]
#[test]
fn certificates_are_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    let empty = empty.display();
    for (text, part) in [
        ("rediss://h?ca=/nowhere/ca.pem".to_owned(), "ca: /nowhere/ca.pem"),
        (format!("rediss://h?ca={empty}"), "holds no certificate"),
        (format!("rediss+cluster://h?ca={empty}"), "holds no certificate"),
        ("rediss://h?cert=/nowhere/me.pem".to_owned(), "cert and key"),
        ("rediss+sentinel://h/m?cert=/nowhere/me.pem&key=/nowhere/me.key".to_owned(), "/nowhere/me.key"),
        ("rediss://h?insecure=1".to_owned(), "insecure"),
    ] {
        bad(&text, part);
    }
}

fn bad(text: &str, part: &str) {
    let line = parse(text).unwrap_err();
    assert!(line.is_invalid(), "{text}");
    let line = line.to_string();
    assert!(line.starts_with("url: ") && line.contains(part) && !line.contains('\n'), "{text}: {line}");
}
