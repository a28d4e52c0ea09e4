//! What is particular to SQLite: files, processes, and the lock between them.
#![cfg(feature = "sqlite")]

use legwork::backend::{sqlite::Sqlite, *};
use legwork::{Clock, Envelope, JobId};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

async fn open(url: &str) -> Sqlite {
    Sqlite::connect(url, Clock::Backend).await.expect("opens")
}

/// The one line with which an address is refused.
async fn refused(url: &str) -> String {
    let Err(error) = Sqlite::connect(url, Clock::Backend).await else { panic!("{url} was opened") };
    let line = error.to_string();
    assert!(!line.contains('\n'), "one line: {line}");
    line
}

fn jobs(n: usize) -> Vec<NewJob> {
    let job = |n: usize| {
        let envelope = Envelope::new("a.job", &n.to_string()).unwrap();
        NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: false }
    };
    (0..n).map(job).collect()
}

async fn put(backend: &Sqlite, lane: &str, seq: u64, n: usize) -> Vec<JobId> {
    let batch = EnqueueBatch { lane: lane.into(), seq, jobs: jobs(n), guard: Guard::None, flow: None };
    assert_eq!(backend.enqueue(&batch).await.unwrap().jobs(), vec![Enqueued::Created; n]);
    batch.jobs.iter().map(|j| j.envelope.id).collect()
}

async fn lease(backend: &Sqlite, max: usize) -> Vec<Batch> {
    let queues = vec![("default".into(), max)];
    let request = LeaseRequest { worker: "w".into(), queues, most: 1_000, alone: false, ttl_ms: 60_000 };
    backend.lease(&request).await.unwrap().batches
}

/// Leases and settles until nothing is left; the ids in the order of their leases.
async fn drain(backend: &Sqlite) -> Vec<JobId> {
    let mut ids = Vec::new();
    loop {
        let outcome = Outcome::Succeeded { result: None, keep_ms: 0 };
        let settle = |token, id| Settle { token, id, outcome: outcome.clone(), keyed: false };
        let items: Vec<_> = lease(backend, 20)
            .await
            .iter()
            .flat_map(|b| b.jobs.iter().map(|j| settle(b.token, j.id)).collect::<Vec<_>>())
            .collect();
        if items.is_empty() {
            return ids;
        }
        assert_eq!(backend.settle(&items).await.unwrap(), vec![Settled::Done; items.len()]);
        ids.extend(items.iter().map(|i| i.id));
    }
}

/// Starts one of the ignored tests below in a process of its own, with its piped output.
fn process(role: &str, url: &str) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([role, "--exact", "--ignored", "--nocapture", "--quiet"])
        .env("LEGWORK_TEST_URL", url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let lines = out.lines().map_while(Result::ok);
    let words = lines.filter_map(|l| l.split_once("> ").map(|(_, word)| word.to_string()));
    (child, words)
}

/// The role of a process that enqueues for ever and says what was answered.
#[tokio::test]
#[ignore = "a role that another test starts in a process of its own"]
async fn role_enqueue() {
    let Ok(url) = std::env::var("LEGWORK_TEST_URL") else {
        return;
    };
    let backend = open(&url).await;
    let lane = JobId::new().to_string();
    for seq in 1.. {
        for id in put(&backend, &lane, seq, 7).await {
            println!("> {id}");
        }
    }
}

/// The role of a process that enqueues 300 jobs, one a call, and drains what it finds.
#[tokio::test]
#[ignore = "a role that another test starts in a process of its own"]
async fn role_work() {
    let Ok(url) = std::env::var("LEGWORK_TEST_URL") else {
        return;
    };
    let backend = open(&url).await;
    let lane = JobId::new().to_string();
    let mut longest = Duration::ZERO;
    for seq in 1..=300 {
        let started = Instant::now();
        put(&backend, &lane, seq, 1).await;
        longest = longest.max(started.elapsed());
    }
    println!("> longest {}", longest.as_millis());
    for id in drain(&backend).await {
        println!("> {id}");
    }
}

#[tokio::test]
async fn several_processes_share_a_file_and_never_see_its_lock() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/a.db", dir.path().display());
    // The file does not exist yet: they also create it and its schema together.
    let processes: Vec<_> = (0..4).map(|_| process("role_work", &url)).collect();
    let (mut ids, mut longest) = (Vec::new(), Vec::new());
    for (mut child, words) in processes {
        for word in words {
            match word.strip_prefix("longest ") {
                Some(ms) => longest.push(ms.parse::<u64>().unwrap()),
                None => ids.push(word),
            }
        }
        assert!(child.wait().unwrap().success(), "no call failed");
    }
    println!("the longest enqueue took {longest:?} ms");
    let backend = open(&url).await;
    ids.extend(drain(&backend).await.iter().map(JobId::to_string));
    assert_eq!(ids.len(), 1_200, "every job ran");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1_200, "every job ran once");
    assert_eq!(backend.audit().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_answered_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/a.db", dir.path().display());
    let mut answered = Vec::new();
    for round in 0..5 {
        let (mut child, mut words) = process("role_enqueue", &url);
        answered.extend(words.by_ref().take(100 + 33 * round));
        child.kill().unwrap();
        answered.extend(words);
        child.wait().unwrap();
    }
    let backend = open(&url).await;
    assert_eq!(backend.audit().await.unwrap(), Vec::<String>::new());
    for id in &answered {
        let id = id.parse().expect("an id");
        assert!(backend.get(id, false).await.unwrap().is_some(), "{id} was answered, and is gone");
    }
    let stored = drain(&backend).await.len();
    assert_eq!(stored % 7, 0, "a call is taken in whole or not at all");
    assert!(stored >= answered.len());
}

#[tokio::test]
async fn another_process_wakes_this_one() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/a.db", dir.path().display());
    let backend = open(&url).await;
    let mut wakeups = backend.wakeups();
    wakeups.borrow_and_update();
    let (mut child, mut words) = process("role_enqueue", &url);
    words.next();
    let woken = tokio::time::timeout(Duration::from_secs(10), wakeups.changed()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    woken.expect("a wake-up").unwrap();
    drop(backend);
    let ended = async { while wakeups.changed().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("ends with its backend");
}

#[tokio::test]
async fn every_memory_is_its_own() {
    let (one, two) = (open("sqlite::memory:").await, open("sqlite::memory:").await);
    let id = put(&one, "l", 1, 1).await[0];
    assert!(one.get(id, false).await.unwrap().is_some() && two.get(id, false).await.unwrap().is_none());
    assert_eq!(one.describe(), "sqlite::memory:");
}

#[tokio::test]
async fn a_new_file_is_its_owners_only_and_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("with space % ? é.db");
    let path = path.to_str().unwrap().replace('?', "");
    let id = put(&open(&format!("sqlite:{path}")).await, "l", 1, 1).await[0];
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = open(&format!("sqlite://{path}")).await;
    assert!(again.get(id, false).await.unwrap().is_some());
    assert!(again.describe().contains("with space"));
}

/// Looks at a file with the `sqlite3` of this machine, or with Python's; false where there is neither.
#[cfg(unix)]
fn looked_at(path: &std::path::Path) -> bool {
    let sql = "SELECT count(*) FROM jobs";
    let python =
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])";
    for (program, args) in [("sqlite3", vec![]), ("python3", vec!["-c", python])] {
        let Ok(out) = Command::new(program).args(args).arg(path).arg(sql).output() else { continue };
        assert_eq!(String::from_utf8_lossy(&out.stdout), "1\n", "{program}: {out:?}");
        return true;
    }
    false
}

#[cfg(unix)]
#[tokio::test]
async fn opening_a_file_again_keeps_others_from_deleting_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let url = format!("sqlite:{}", path.display());
    let one = open(&url).await;
    put(&one, "l", 1, 1).await;
    // As a heartbeat does: it must not cost this process its locks.
    let two = open(&url).await;
    if !looked_at(&path) {
        println!("skipped: neither sqlite3 nor python3 is here");
        return;
    }
    assert!(dir.path().join("a.db-wal").exists() && dir.path().join("a.db-shm").exists());
    put(&one, "l", 2, 1).await;
    put(&two, "m", 1, 1).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_to_no_file_yet_makes_it() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let dir = tempfile::tempdir().unwrap();
    symlink("real.db", dir.path().join("link.db")).unwrap();
    let backend = open(&format!("sqlite:{}/link.db", dir.path().display())).await;
    put(&backend, "l", 1, 1).await;
    let mode = std::fs::metadata(dir.path().join("real.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(dir.path().join("real.db-wal").exists());
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("sqlite:{}/{name}", dir.path().display());
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".repeat(300);
    std::fs::write(dir.path().join("a.png"), &png).unwrap();
    let line = refused(&at("a.png")).await;
    assert!(line.ends_with("a.png: the file is not a SQLite database"), "{line}");
    assert_eq!(std::fs::read(dir.path().join("a.png")).unwrap(), png, "nothing was changed");

    let line = refused(&at("none/a.db")).await;
    assert!(line.contains("none/a.db: there is no directory") && line.ends_with("none"), "{line}");
    let line = refused(&at("")).await;
    assert!(line.contains("this is a directory"), "{line}");

    let other = sqlite(&dir.path().join("other.db"), "CREATE TABLE songs (title TEXT)").await;
    let line = refused(&other).await;
    assert!(line.contains("other.db: this SQLite database belongs to another application"), "{line}");
}

/// Runs statements on a file with a bare connection; the file's address.
async fn sqlite(path: &std::path::Path, sql: &'static str) -> String {
    use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    format!("sqlite:{}", path.display())
}

#[tokio::test]
async fn a_newer_schema_is_refused_also_while_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let backend = open(&format!("sqlite:{}", path.display())).await;
    put(&backend, "l", 1, 1).await;
    let url = sqlite(&path, "UPDATE legwork SET version = 99").await;
    let line = refused(&url).await;
    assert!(line.contains("a.db: the schema's version 99 is newer than this program knows"), "{line}");
    let line = backend.promote(1).await.unwrap_err().to_string();
    assert!(line.contains("version 99 is newer"), "{line}");
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [made, path] = ["made.db", "a.db"].map(|name| dir.path().join(name));
    drop(open(&format!("sqlite:{}", made.display())).await);
    sqlite(&made, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    // A file of its own: of one that is still being closed SQLite takes the descriptor that writes.
    std::fs::copy(&made, &path).unwrap();
    let url = format!("sqlite:{}", path.display());
    let mut rights = std::fs::metadata(&path).unwrap().permissions();
    rights.set_readonly(true);
    std::fs::set_permissions(&path, rights).unwrap();
    if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
        println!("skipped: this user may write to read-only files");
        return;
    }
    let line = refused(&url).await;
    assert!(line.contains("a.db: the file cannot be opened for writing"), "{line}");
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    let url = format!("sqlite:{}", path.display());
    let backend = open(&url).await;
    put(&backend, "l", 1, 500).await;
    drop(backend);
    sqlite(&path, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let mut bytes = std::fs::read(&path).unwrap();
    for page in bytes.chunks_mut(4096).skip(2) {
        page[..200].fill(0xa5);
    }
    std::fs::write(&path, bytes).unwrap();
    match Sqlite::connect(&url, Clock::Backend).await {
        Err(e) => assert!(e.to_string().contains("damaged"), "{e}"),
        Ok(backend) => {
            let audit = backend.audit().await;
            assert!(audit.map_or_else(|e| e.to_string().contains("damaged"), |lines| !lines.is_empty()));
            let queues = vec![("default".into(), 5)];
            let request =
                LeaseRequest { worker: "w".into(), queues, most: 1_000, alone: false, ttl_ms: 1_000 };
            let line = backend.lease(&request).await.unwrap_err().to_string();
            assert!(line.contains("a.db: the database file is damaged"), "{line}");
        }
    }
}
