//! What each program answers to what is not allowed: an exit code, one line that names the
//! field, and nothing half done.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::{Done, Program, free_port, until};

const LONG: Duration = Duration::from_secs(60);
const OK: i32 = 0;
const FAILED: i32 = 1;
const USAGE: i32 = 2;
const AWAY: i32 = 3;
/// The password in every address: it must come out nowhere.
const SECRET: &str = "hush4711";
const CREDENTIALS: [&str; 4] = ["--strava-client-id", "1", "--strava-client-secret", SECRET];
/// A PNG's first bytes, and more that is no text.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";
/// A track that ends in its middle.
const CUT: &str = r#"<?xml version="1.0"?><gpx version="1.1" creator="t"><trk><trkseg>
<trkpt lat="48.1" lon="11.5"><time>2026-01-01T00:00:00Z</time></trkpt>"#;

/// A directory with what a careless user might hand over.
struct Room {
    dir: tempfile::TempDir,
}

impl Room {
    fn new() -> Room {
        let room = Room { dir: tempfile::tempdir().expect("a directory") };
        room.file("picture.png", &[PNG, &[7; 8_192]].concat());
        room.file("note.txt", b"hello");
        std::fs::create_dir(room.path("empty")).expect("a directory");
        room
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("a file");
    }

    fn names(&self) -> Vec<OsString> {
        let mut names: Vec<_> = std::fs::read_dir(self.dir.path())
            .expect("the directory can be read")
            .map(|e| e.expect("an entry").file_name())
            .collect();
        names.sort();
        names
    }

    /// A program that starts in this directory and logs as it does for everybody.
    fn program(&self, name: &str) -> Program {
        Program::new(name).within(self.dir.path()).without("RUST_LOG")
    }

    /// A program of Runnerly with a data directory of its own, and credentials unless it
    /// can do without.
    fn runnerly(&self, name: &str) -> Program {
        let program = self.program(name).args(["--data-dir", "data"]);
        if ["runnerly-web", "runnerly-worker"].contains(&name) { program.args(CREDENTIALS) } else { program }
    }
}

/// Runs it and checks the code, the one line with its words, and that no secret is said.
#[track_caller]
fn refuses(program: Program, what: &str, code: i32, words: &[&str]) -> Done {
    let done = program.run(LONG);
    assert_eq!(done.code, Some(code), "{what}: {done:?}");
    let first = done.stderr.lines().next().unwrap_or_default();
    // The usage that clap adds to its own errors is welcome.
    if !first.starts_with("error: ") {
        assert_eq!(done.stderr.lines().count(), 1, "{what}: one line\n{}", done.stderr);
    }
    for word in words {
        assert!(
            done.stderr.to_lowercase().contains(&word.to_lowercase()),
            "{what}: {word:?} is not in {first}"
        );
    }
    let all = format!("{}{}", done.stdout, done.stderr);
    for never in [SECRET, "panicked", "RUST_BACKTRACE", "\u{1b}"] {
        assert!(!all.contains(never), "{what}: {never:?} is in {all}");
    }
    done
}

/// As [`refuses`], and nothing was made.
#[track_caller]
fn refuses_untouched(room: &Room, program: Program, what: &str, code: i32, words: &[&str]) {
    let before = room.names();
    refuses(program, what, code, words);
    assert_eq!(room.names(), before, "{what}: something was left behind");
}

/// A port on which something answers as a web server does.
fn web_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 512];
            let _ = stream.read(&mut asked);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    port
}

#[test]
fn a_queue_that_is_none_is_refused_by_every_program() {
    let (room, web, nobody) = (Room::new(), web_server(), free_port());
    let urls = [
        (format!("http://me:{SECRET}@x"), USAGE, "http"),
        ("redis://".into(), USAGE, "host"),
        (format!("redis://me:{SECRET}@h:99999"), USAGE, "port"),
        (format!("redis://me:{SECRET}@h/abc"), USAGE, "database"),
        (format!("redis://me%0d%0aFLUSHALL:{SECRET}@h"), USAGE, "control"),
        (format!("redis://me:{SECRET}%00@h"), USAGE, "control"),
        ("redis+unix:///tmp/s%0a".into(), USAGE, "control"),
        (format!("redis://me:{SECRET}@h\r\nFLUSHALL"), USAGE, "control"),
        ("sqlite:".into(), USAGE, "path"),
        ("sqlite:/nowhere/at/all/queue.db".into(), USAGE, "/nowhere/at/all"),
        (format!("redis://me:{SECRET}@127.0.0.1:{nobody}"), AWAY, "refused"),
        (format!("redis://me:{SECRET}@127.0.0.1:{web}"), USAGE, "not a redis server"),
        ("sqlite:picture.png".into(), FAILED, "not a sqlite database"),
        ("sqlite:empty".into(), USAGE, "directory"),
    ];
    for (url, code, word) in &urls {
        for name in ["runnerly", "runnerly-web", "runnerly-worker", "runnerly-scheduler"] {
            let listen: &[&str] =
                if name == "runnerly-scheduler" { &[] } else { &["--listen", "127.0.0.1:0"] };
            let program = room.runnerly(name).args(["--queue", url]).args(listen);
            refuses_untouched(&room, program, &format!("{name} {url}"), *code, &["queue", word]);
        }
        for command in [["sync"].as_slice(), &["import", "note.txt"]] {
            let program = room.runnerly("runnerly").args(["--queue", url]).args(command);
            refuses_untouched(
                &room,
                program,
                &format!("runnerly {command:?} {url}"),
                *code,
                &["queue", word],
            );
        }
    }
    for (url, code, word) in &urls {
        for command in [["queues"].as_slice(), &["jobs"], &["enqueue", "a.b", "{}"]] {
            let program = room.program("legwork").args(["--url", url]).args(command);
            refuses_untouched(&room, program, &format!("legwork {command:?} {url}"), *code, &[word]);
        }
    }
    let program = room.program("legwork").args(["--url", "sqlite:missing.db", "queues"]);
    refuses_untouched(&room, program, "legwork makes no file", AWAY, &["url", "missing.db"]);
    let program = room.program("legwork").args(["queues"]);
    refuses_untouched(&room, program, "legwork without a queue", USAGE, &["--url", "LEGWORK_URL"]);
}

#[test]
fn a_database_that_is_none_is_refused_by_every_program() {
    let (room, nobody) = (Room::new(), free_port());
    let urls = [
        ("nonsense".into(), USAGE, "scheme"),
        (format!("mysql://me:{SECRET}@h/x"), USAGE, "mysql"),
        ("sqlite:".into(), USAGE, "path"),
        (format!("postgres://me:{SECRET}@h:99999/x"), USAGE, "postgresql"),
    ];
    for (url, code, word) in &urls {
        for name in ["runnerly", "runnerly-web", "runnerly-worker"] {
            let program = room.runnerly(name).args(["--listen", "127.0.0.1:0", "--database", url]);
            refuses_untouched(&room, program, &format!("{name} {url}"), *code, &["database", word]);
        }
        for command in [["sync"].as_slice(), &["stats"], &["import", "note.txt"]] {
            let program = room.runnerly("runnerly").args(["--database", url]).args(command);
            refuses_untouched(
                &room,
                program,
                &format!("runnerly {command:?} {url}"),
                *code,
                &["database", word],
            );
        }
    }
    let picture = room.runnerly("runnerly").args(["--database", "sqlite:picture.png", "stats"]);
    refuses(picture, "a picture", FAILED, &["database", "not a database"]);
    let picture = std::fs::read(room.path("picture.png")).expect("the picture");
    assert!(picture.starts_with(PNG), "the picture is still one");
    let away = format!("postgres://me:{SECRET}@127.0.0.1:{nobody}/x");
    let program = room.runnerly("runnerly").args(["--database", &away, "stats"]);
    refuses(program, "no PostgreSQL", AWAY, &["database"]);
}

#[test]
fn a_data_directory_that_is_a_file_is_refused() {
    let room = Room::new();
    for name in ["runnerly", "runnerly-web", "runnerly-worker", "runnerly-scheduler"] {
        let program = room.program(name).env("RUNNERLY_DATA_DIR", "note.txt");
        let program = if name == "runnerly" || name == "runnerly-scheduler" {
            program
        } else {
            program.args(CREDENTIALS)
        };
        let program =
            if name == "runnerly-scheduler" { program } else { program.args(["--listen", "127.0.0.1:0"]) };
        refuses_untouched(&room, program, name, USAGE, &["data directory", "note.txt"]);
    }
    for command in [["sync"].as_slice(), &["stats"], &["import", "note.txt"]] {
        let program = room.program("runnerly").args(["--data-dir", "note.txt"]).args(command);
        refuses_untouched(&room, program, &format!("{command:?}"), USAGE, &["data directory", "note.txt"]);
    }
    let program = room.program("strava-sim").args(["--listen", "127.0.0.1:0", "--data-dir", "note.txt"]);
    refuses_untouched(&room, program, "strava-sim", FAILED, &["data_dir", "note.txt"]);
}

#[test]
fn a_taken_port_and_an_address_that_is_none() {
    let room = Room::new();
    let taken = format!("127.0.0.1:{}", web_server());
    for name in ["runnerly", "runnerly-web", "runnerly-worker", "strava-sim"] {
        let program = || match name {
            "strava-sim" => room.program(name).args(["--data-dir", "data"]),
            name => room.runnerly(name),
        };
        refuses_untouched(&room, program().args(["--listen", &taken]), name, FAILED, &["listen", &taken]);
        for nonsense in ["nonsense", "127.0.0.1", "127.0.0.1:99999", ""] {
            let program = program().args(["--listen", nonsense]);
            refuses_untouched(&room, program, &format!("{name} {nonsense:?}"), USAGE, &["--listen"]);
        }
    }
    let program = room.program("strava-sim").args(["--data-dir", "data", "--listen", "0.0.0.0:0"]);
    refuses_untouched(&room, program, "the world", USAGE, &["--listen", "loopback"]);
}

#[test]
fn a_file_that_is_no_run_is_refused_in_one_line() {
    let room = Room::new();
    let files: [(&str, &[u8], &str); 6] = [
        ("nothing.gpx", b"", "is empty"),
        ("open.gpx", b"<gpx", "cut off"),
        ("cut.gpx", CUT.as_bytes(), "cut off"),
        ("picture.gpx", PNG, "not a GPX"),
        ("crossed.gpx", b"<gpx><trk></gpx></trk>", "crossed.gpx"),
        ("bomb.gpx", br#"<!DOCTYPE a [<!ENTITY b "c">]><gpx>&b;</gpx>"#, "bomb.gpx"),
    ];
    for (name, bytes, why) in files {
        room.file(name, bytes);
        let done = refuses(room.runnerly("runnerly").args(["import", name]), name, FAILED, &[name, why]);
        assert_eq!(done.stdout, "", "{name}");
    }
    let both = room.runnerly("runnerly").args(["import", "nothing.gpx", "cut.gpx"]).run(LONG);
    assert_eq!((both.code, both.stderr.lines().count()), (Some(FAILED), 2), "a line for each: {both:?}");
    let json = room.runnerly("runnerly").args(["import", "--json", "nothing.gpx"]).run(LONG);
    assert_eq!(json.json()["file"], "nothing.gpx");
    let stats = room.runnerly("runnerly").args(["stats", "--json"]).run(LONG);
    assert_eq!(stats.json()["activities"], 0, "nothing of them was kept");
}

#[test]
fn a_file_that_cannot_be_read_is_refused_before_anything_is_opened() {
    let room = Room::new();
    for (name, why) in [("missing.gpx", "no such file"), ("empty", "not a file")] {
        let program = room.runnerly("runnerly").args(["import", name]);
        refuses_untouched(&room, program, name, USAGE, &["FILE", name, why]);
    }
    refuses_untouched(&room, room.runnerly("runnerly").args(["import"]), "no file", USAGE, &["FILE"]);
}

#[test]
fn cron_expressions_and_zones_that_are_none() {
    let room = Room::new();
    let times = [
        ("0 0 30 2 *", "never fires"),
        ("* * * *", "4 fields"),
        ("61 * * * *", "minute"),
        ("", "0 fields"),
        ("@every 0s", "too short"),
        ("@fortnightly", "@fortnightly"),
    ];
    for (text, why) in times {
        for flag in ["--sync", "--stats"] {
            let program = room.runnerly("runnerly-scheduler").args([flag, text]);
            refuses_untouched(&room, program, &format!("{flag} {text:?}"), USAGE, &[why]);
        }
    }
    let program = room.runnerly("runnerly-scheduler").args(["--zone", "Nope/Nowhere"]);
    refuses_untouched(&room, program, "a zone", USAGE, &["time zone", "Nope/Nowhere", "Europe/Berlin"]);
}

#[test]
fn credentials_and_keys_given_by_half() {
    let room = Room::new();
    let short = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MA==";
    for name in ["runnerly", "runnerly-web", "runnerly-worker"] {
        let program = || room.program(name).args(["--data-dir", "data", "--listen", "127.0.0.1:0"]);
        let id = program().args(["--strava-client-id", "1"]);
        refuses_untouched(&room, id, name, USAGE, &["--strava-client-secret"]);
        let secret = program().env("RUNNERLY_STRAVA_CLIENT_SECRET", SECRET);
        refuses_untouched(&room, secret, name, USAGE, &["--strava-client-id"]);
        for (key, why) in [(short, "too short"), (SECRET, "RUNNERLY_KEY")] {
            let program = program().args(CREDENTIALS).env("RUNNERLY_KEY", key);
            let done = program.run(LONG);
            assert!(!done.stderr.contains(key), "{name}: the key is said: {done:?}");
            let program = || room.runnerly(name).args(["--listen", "127.0.0.1:0"]).env("RUNNERLY_KEY", key);
            refuses_untouched(&room, program(), name, USAGE, &["RUNNERLY_KEY", "32 bytes", why]);
        }
    }
    for name in ["runnerly-web", "runnerly-worker"] {
        let program = room.program(name).args(["--data-dir", "data", "--listen", "127.0.0.1:0"]);
        refuses_untouched(&room, program, name, USAGE, &["--strava-client-id", "--strava-client-secret"]);
    }
    let oauth = format!("http://me:{SECRET}@x/");
    for (flag, url) in [("--strava-api", "nope"), ("--strava-oauth", oauth.as_str())] {
        let program = room.runnerly("runnerly-worker").args([flag, url]);
        refuses_untouched(&room, program, flag, USAGE, &["strava", "base"]);
    }
    let public = format!("https://me:{SECRET}@x");
    for url in ["ftp://x", public.as_str()] {
        let program = room.runnerly("runnerly-web").args(["--listen", "127.0.0.1:0", "--public-url", url]);
        refuses_untouched(&room, program, "a public url", USAGE, &["public url"]);
    }
}

#[test]
fn recordings_that_are_none() {
    let room = Room::new();
    for dir in ["empty", "missing", "note.txt"] {
        for command in [[].as_slice(), &["sync"]] {
            let program = room.runnerly("runnerly").args(["--recordings", dir]).args(command);
            let program =
                if command.is_empty() { program.args(["--listen", "127.0.0.1:0"]) } else { program };
            refuses_untouched(&room, program, dir, USAGE, &["--recordings", dir]);
        }
    }
    let program = room.runnerly("runnerly").args(CREDENTIALS).args(["--recordings", "empty", "sync"]);
    refuses_untouched(&room, program, "recordings of the real one", USAGE, &["--recordings", "simulated"]);
    let sim = || room.program("strava-sim").args(["--listen", "127.0.0.1:0", "--data-dir", "data"]);
    refuses_untouched(&room, sim().args(["--recordings", "missing"]), "strava-sim", USAGE, &["--recordings"]);
    refuses(sim().args(["--recordings", "empty"]), "strava-sim", FAILED, &["recordings", "empty"]);
}

#[test]
fn flags_and_figures_that_are_none() {
    let room = Room::new();
    for name in ["runnerly", "runnerly-web", "runnerly-worker", "runnerly-scheduler", "strava-sim", "legwork"]
    {
        refuses_untouched(&room, room.program(name).args(["--nonsense"]), name, USAGE, &["--nonsense"]);
        refuses_untouched(&room, room.program(name).args(["nonsense"]), name, USAGE, &["nonsense"]);
    }
    let worker = || room.runnerly("runnerly-worker");
    for flag in ["--concurrency", "--strava-concurrency"] {
        for figure in ["0", "70000", "x", "-1"] {
            let program = worker().args([format!("{flag}={figure}")]);
            refuses_untouched(&room, program, &format!("{flag} {figure}"), USAGE, &[flag]);
        }
    }
    let nobody = room.runnerly("runnerly").args(["stats", "--athlete", "x"]);
    refuses_untouched(&room, nobody, "an athlete that is no number", USAGE, &["--athlete"]);
}

#[test]
fn an_athlete_whom_nobody_knows() {
    let room = Room::new();
    let stats = || room.runnerly("runnerly").args(["stats"]);
    refuses(stats(), "nobody yet", FAILED, &["no athlete"]);
    refuses(stats().args(["--athlete", "7"]), "nobody yet", FAILED, &["7", "no athlete"]);
    room.file("cut.gpx", CUT.as_bytes());
    refuses(
        room.runnerly("runnerly").args(["import", "cut.gpx"]),
        "makes a local athlete",
        FAILED,
        &["cut.gpx"],
    );
    refuses(stats().args(["--athlete", "7"]), "another one", FAILED, &["--athlete", "7", "known are 0"]);
    let sync = room.runnerly("runnerly").args(["sync", "--athlete", "7"]);
    refuses(sync, "sync of nobody", USAGE, &["--athlete", "7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_command_line_enqueues_is_checked_against_live_workers() {
    let room = Room::new();
    let mut worker = room.runnerly("runnerly-worker").start();
    worker.line("is up", LONG).await;
    let queue = format!("sqlite:{}", room.path("data").join("queue.db").display());
    let enqueue =
        |name: &str, payload: &str| room.program("legwork").args(["--url", &queue, "enqueue", name, payload]);
    until("the worker has told what it handles", LONG, || async {
        let workers = room.program("legwork").args(["--url", &queue, "workers", "--json"]).run(LONG);
        workers.stdout.contains("athlete.sync").then_some(())
    })
    .await;
    for (payload, word) in [("not json", "payload"), ("", "payload"), ("{\"athlete\":", "payload")] {
        refuses(enqueue("athlete.sync", payload), payload, USAGE, &[word, "JSON"]);
    }
    refuses(enqueue("no.such", "{}"), "an unknown name", USAGE, &["no.such", "athlete.sync", "--force"]);
    refuses(enqueue("Not A Name", "{}"), "no name", USAGE, &["name"]);
    assert_eq!(count(&room, &queue), 0, "nothing was enqueued");
    let forced = enqueue("no.such", "{}").args(["--force"]).run(LONG);
    assert_eq!(forced.code, Some(OK), "{forced:?}");
    assert_eq!(count(&room, &queue), 1);
}

fn count(room: &Room, queue: &str) -> usize {
    let jobs = room.program("legwork").args(["--url", queue, "jobs", "--json"]).run(LONG).json();
    let listed = jobs.as_array().or_else(|| jobs["jobs"].as_array());
    listed.unwrap_or_else(|| panic!("a list of jobs: {jobs}")).len()
}

/// Whatever was refused, the same directory serves afterwards.
#[test]
fn a_refusal_is_no_obstacle_later() {
    let room = Room::new();
    refuses(room.runnerly("runnerly").args(["--queue", "http://x", "sync"]), "refused", USAGE, &["queue"]);
    let done = room.runnerly("runnerly").args(["sync", "--wait", "--json"]).run(Duration::from_secs(120));
    assert_eq!(done.code, Some(OK), "{done:?}");
    assert!(done.json()["inserted"].as_u64().is_some_and(|n| n > 0), "{done:?}");
    assert!(Path::new(&room.path("data")).is_dir());
}
