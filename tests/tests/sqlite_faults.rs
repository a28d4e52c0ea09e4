//! One SQLite file under processes that are killed, disks that are full, files that are deleted,
//! replaced and damaged. What was answered stands in a ledger outside the system.

use legwork::backend::sqlite::Sqlite;
use legwork::backend::{Backend, Due, EnqueueBatch, Guard, NewJob};
use legwork::{Clock, Envelope, JobId, State};
use sqlx::{Connection, SqliteConnection};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::shim::{Disk, Full};
use tests::sqlite::{IN_FLIGHT, enqueued};
use tests::{Process, Program, until};

const SOON: Duration = Duration::from_secs(60);

/// A file of its own, and the ledger of those who use it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("queue.db")
    }

    fn beside(&self, end: &str) -> PathBuf {
        PathBuf::from(format!("{}{end}", self.path().display()))
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    async fn open(&self) -> Sqlite {
        Sqlite::connect(&self.url(), Clock::Backend).await.expect("it opens")
    }

    fn churn(&self, rounds: Option<usize>) -> Process {
        let (url, ledger) = (self.url(), self.0.path().join("ledger").display().to_string());
        let args = ["churn".into(), url, ledger].into_iter().chain(rounds.map(|n| n.to_string()));
        Program::new("probe").args(args).start()
    }

    /// The words of the ledger, each with its ids and how often each.
    fn ledger(&self) -> BTreeMap<String, BTreeMap<JobId, usize>> {
        let text = std::fs::read_to_string(self.0.path().join("ledger")).unwrap_or_default();
        let mut words = BTreeMap::<_, BTreeMap<_, _>>::new();
        // The last line of a killed process may be cut short.
        for (word, id) in text.lines().filter_map(|line| line.split_once(' ')) {
            let Ok(id) = id.parse() else { continue };
            *words.entry(word.into()).or_default().entry(id).or_default() += 1;
        }
        words
    }
}

/// How often more than once, in all.
fn repeats(all: Option<&BTreeMap<JobId, usize>>) -> usize {
    all.into_iter().flat_map(BTreeMap::values).map(|n| n - 1).sum()
}

fn jobs(count: usize, size: usize) -> Vec<NewJob> {
    let text = format!("\"{}\"", "x".repeat(size));
    let job = |_| {
        let envelope = Envelope::new("a.job", &text).expect("a job");
        NewJob { record: envelope.encode(), envelope, due: Due::Now, chosen: false }
    };
    (0..count).map(job).collect()
}

/// Enqueues so many jobs of a size; their ids.
async fn put(backend: &Sqlite, count: usize, size: usize) -> legwork::Result<Vec<JobId>> {
    let jobs = jobs(count, size);
    let ids = jobs.iter().map(|job| job.envelope.id).collect();
    let batch = EnqueueBatch { lane: JobId::new().to_string(), seq: 1, jobs, guard: Guard::None, flow: None };
    backend.enqueue(&batch).await.map(|_| ids)
}

async fn audited(backend: &Sqlite) {
    assert_eq!(backend.audit().await.expect("audited"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_never_see_the_lock() {
    let place = Place::new();
    // The file is not there yet: they make it together.
    let mut all: Vec<_> = (0..8).map(|_| place.churn(Some(60))).collect();
    for process in &mut all {
        let status = process.wait(SOON);
        assert!(status.success(), "a call has failed: {}", process.output());
        eprintln!("{}", process.output().lines().last().unwrap_or_default());
    }
    let ledger = place.ledger();
    let each: usize = (0..60).map(enqueued).sum();
    assert_eq!(ledger["A"].len(), 8 * each, "every enqueue was answered");
    assert_eq!(repeats(ledger.get("S")), 0, "nothing ran twice");
    assert!(!ledger.contains_key("X"), "nothing was too late");
    audited(&place.open().await).await;
}

/// The kills in the tests; `just sqlite-kills 100` is the same with more.
fn kills() -> usize {
    std::env::var("LEGWORK_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_and_repeat_no_more_than_was_in_flight() {
    let (place, kills) = (Place::new(), kills());
    let mut all: Vec<_> = (0..4).map(|_| place.churn(None)).collect();
    for kill in 0..kills {
        let before = place.ledger().get("D").map_or(0, BTreeMap::len);
        let more = async || (place.ledger().get("D")?.len() > before + 5 + kill % 7).then_some(());
        until("work is done", SOON, more).await;
        all[kill % 4].kill();
        all[kill % 4] = place.churn(None);
    }
    all.iter_mut().for_each(Process::kill);
    let backend = place.open().await;
    let came: Vec<JobId> = place.ledger()["A"].keys().copied().collect();
    let mut last = place.churn(None);
    // The leases of the killed run out, and what they held runs again.
    let mut left = came.clone();
    let finished = async || {
        assert!(last.alive(), "a call has failed: {}", last.output());
        while let Some(id) = left.last() {
            let job = backend.get(*id, false).await.expect("read");
            let job = job.unwrap_or_else(|| panic!("{id} came in, and is lost"));
            if job.state != State::Succeeded {
                return None;
            }
            left.pop();
        }
        Some(())
    };
    until("every job that came in is done", SOON, finished).await;
    last.kill();
    let ledger = place.ledger();
    let (done, starts) = (&ledger["D"], &ledger["S"]);
    assert_eq!(repeats(Some(done)), 0, "settled twice");
    let again = repeats(Some(starts));
    // Besides them four were killed at the end, and the last.
    assert!(again <= (kills + 5) * IN_FLIGHT, "{again} starts too many after {kills} kills");
    audited(&backend).await;
    eprintln!("{kills} kills: {} jobs came in, {} done, {again} begun again", came.len(), done.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_at_any_write_refuses_and_recovers() {
    let Some(disk) = Full::new() else { return };
    let place = Place::new();
    let program = Program::new("probe").args(["fill", &place.url(), "200"]);
    let program = disk.env().iter().fold(program, |program, (name, value)| program.env(name, value));
    let mut process = program.start();
    assert!(process.wait(SOON).success(), "{}", process.output());
    let line = process.line("full at", SOON).await;
    eprintln!("{line}");
    let stopped: u32 = line.split(' ').nth(2).and_then(|n| n.parse().ok()).expect("a number");
    assert!(stopped >= 150, "most places were reached: {line}");
    audited(&place.open().await).await;
}

#[tokio::test]
async fn a_deleted_log_is_noticed_and_loses_nothing_to_a_clean_stop() {
    // Also where nothing has been written yet since it was opened.
    for (end, count) in [("-wal", 10), ("-shm", 10), ("-wal", 0), ("-shm", 0)] {
        let place = Place::new();
        let backend = place.open().await;
        let ids = if count > 0 { put(&backend, count, 10).await.expect("taken in") } else { Vec::new() };
        std::fs::remove_file(place.beside(end)).expect("removed");
        let line = put(&backend, 1, 10).await.expect_err("refused").to_string();
        assert!(line.contains("queue.db: its -wal or -shm file was deleted or replaced"), "{line}");
        backend.promote(1).await.expect_err("refused, whatever it is");
        drop(backend);
        // The last connection writes back what the log holds; nobody may open the file before.
        until("all its connections are closed", SOON, async || (!open_here(&place.path())).then_some(()))
            .await;
        let again = place.open().await;
        for id in &ids {
            assert!(again.get(*id, false).await.expect("read").is_some(), "{end}: {id} is lost");
        }
        put(&again, 1, 10).await.expect("taken in");
        audited(&again).await;
    }
}

/// Whether this process has the file, or one beside it, open.
fn open_here(path: &Path) -> bool {
    let all = std::fs::read_dir("/proc/self/fd").expect("a list").flatten();
    let path = path.display().to_string();
    let mut named = all.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    named.any(|name| name.display().to_string().starts_with(&path))
}

#[tokio::test]
async fn a_replaced_file_is_noticed_and_not_written_to() {
    let (place, other) = (Place::new(), Place::new());
    let backend = place.open().await;
    put(&backend, 3, 10).await.expect("taken in");
    let theirs = other.open().await;
    put(&theirs, 2, 10).await.expect("taken in");
    emptied(&other.path()).await;
    std::fs::rename(other.path(), place.path()).expect("replaced");
    // What is open is the file that has no name any more, and its log.
    let read = || [place.path(), place.beside("-wal")].map(|path| std::fs::read(path).expect("read"));
    let before = read();
    assert!(!before[1].is_empty(), "what was taken in is in the log");
    let line = put(&backend, 1, 10).await.expect_err("refused").to_string();
    assert!(line.contains("queue.db: the file was moved away or replaced while it was open"), "{line}");
    assert!(read() == before, "nothing was written");
}

/// Everything is in the file itself.
async fn emptied(path: &Path) {
    let url = format!("sqlite:{}", path.display());
    let mut bare = SqliteConnection::connect(&url).await.expect("it opens");
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut bare).await.expect("emptied");
    bare.close().await.expect("closed");
}

#[tokio::test]
async fn a_disk_that_takes_no_writes_is_refused() {
    let Some(disk) = Disk::mount(8) else { return };
    let path = disk.path().join("queue.db");
    let url = format!("sqlite:{}", path.display());
    let mut made = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.expect("made");
    sqlx::query("CREATE TABLE legwork (version)").execute(&mut made).await.expect("written");
    made.close().await.expect("closed");
    disk.read_only();
    let Err(error) = Sqlite::connect(&url, Clock::Backend).await else { panic!("it was opened") };
    let line = error.to_string();
    assert!(error.is_refused() && line.contains("queue.db: the file cannot be opened for writing"), "{line}");
}

#[tokio::test]
async fn a_damaged_page_is_told_of_whichever_it_is() {
    let place = Place::new();
    let backend = place.open().await;
    put(&backend, 300, 200).await.expect("taken in");
    drop(backend);
    emptied(&place.path()).await;
    let whole = std::fs::read(place.path()).expect("read");
    for (number, _) in whole.chunks(4096).enumerate().skip(1) {
        let hurt = Place::new();
        let mut bytes = whole.clone();
        bytes[number * 4096..][..64].iter_mut().for_each(|byte| *byte ^= 0xff);
        std::fs::write(hurt.path(), bytes).expect("written");
        let told = match Sqlite::connect(&hurt.url(), Clock::Backend).await {
            Err(e) => e.to_string(),
            Ok(backend) => match backend.audit().await {
                Err(e) => e.to_string(),
                Ok(lines) => lines.join("; "),
            },
        };
        let one = told.contains("damaged") || told.contains("the file: ");
        assert!(one, "page {} is damaged, and it says {told:?}", number + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_never_pause_do_not_let_the_log_grow_for_ever() {
    let place = Place::new();
    let backend = place.open().await;
    put(&backend, 1, 10).await.expect("taken in");
    let (written, mut seen) = tokio::sync::watch::channel(Some(()));
    let url = place.url();
    // Two that look in turns, each until something more has been written: the log is never free.
    let readers = tokio::spawn(async move {
        let mut both = Vec::new();
        for _ in 0..2 {
            both.push(SqliteConnection::connect(&url).await.expect("it opens"));
        }
        for turn in 0.. {
            let look = "BEGIN; SELECT count(*) FROM queues";
            sqlx::query(look).fetch_all(&mut both[turn % 2]).await.expect("read");
            if turn > 0 {
                sqlx::query("COMMIT").execute(&mut both[(turn + 1) % 2]).await.expect("ended");
            }
            let _ = tokio::time::timeout(Duration::from_millis(200), seen.changed()).await;
            if seen.borrow().is_none() {
                return;
            }
        }
    });
    let log = || std::fs::metadata(place.beside("-wal")).map_or(0, |meta| meta.len() >> 20);
    let mut most = 0;
    for _ in 0..40 {
        put(&backend, 50, 64_000).await.expect("taken in");
        most = most.max(log());
        written.send_replace(Some(()));
    }
    assert!(most >= 64, "the log was never free, and has grown to {most} MB only");
    let short = async || {
        put(&backend, 1, 10).await.expect("taken in");
        written.send_replace(Some(()));
        (log() < 64).then_some(())
    };
    until("the log is short again", SOON, short).await;
    written.send_replace(None);
    readers.await.expect("no panic");
    assert!(most < 64 + 40, "the log has grown to {most} MB");
    eprintln!("the log has grown to {most} MB");
}
