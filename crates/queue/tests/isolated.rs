//! Handlers in processes of their own. The child is this very test binary, told to run
//! nothing but `child_process`.
#![cfg(unix)]

use legwork::backend::{Controlled, JobView};
use legwork::{Backoff, Client, Context, Failure, Isolation, Job, JobId, Policy, Running, State, Worker};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize, Clone)]
struct Do {
    what: String,
}

impl Job for Do {
    const NAME: &'static str = "do";
    type Output = u32;
    fn policy() -> Policy {
        let soon = Backoff::fixed(Duration::from_millis(10));
        Policy::default().max_attempts(2u32).backoff(soon).grace(Duration::from_millis(100))
    }
}

/// A neighbour in the worker's own process.
#[derive(Serialize, Deserialize)]
struct Near {}

impl Job for Near {
    const NAME: &'static str = "near";
    type Output = u32;
}

fn job(what: &str) -> Do {
    Do { what: what.into() }
}

async fn handle(job: Do, cx: Context) -> Result<u32, Failure> {
    let pid = std::process::id();
    match job.what.as_str() {
        "abort" => std::process::abort(),
        "exit" => std::process::exit(7),
        "panic" => panic!("at the disco"),
        "fail" => Err("not today")?,
        "block" => {
            cx.progress(0.5, &pid.to_string()).await?;
            loop {
                std::thread::sleep(Duration::from_secs(3_600));
            }
        }
        "listen" => {
            cx.progress(0.5, "here").await?;
            cx.cancelled().cancelled().await;
            cx.check()?;
        }
        "shutdown" => {
            cx.progress(0.5, "here").await?;
            cx.stopping().cancelled().await;
            cx.check()?;
        }
        "remember" => {
            let first: u32 = cx.step("attempt", async || Ok(cx.attempt())).await?;
            let at: Option<u32> = cx.cursor().await?;
            if cx.attempt() == 1 {
                cx.checkpoint(&41).await?;
                cx.checkpoint(&42).await?;
                std::fs::write("/dev/null", "")?;
                Err("once more")?;
            }
            return Ok(first * 100 + at.unwrap_or(0));
        }
        "too much" => {
            cx.step("large", async || Ok("x".repeat(300_000))).await?;
        }
        "print" => {
            for n in 0..2_000 {
                println!("line {n} \u{0}{{\"Done\":1}}");
                eprintln!("and {n}");
            }
        }
        "grow" => std::mem::forget(vec![1u8; 64 << 20]),
        _ => {}
    }
    Ok(pid)
}

async fn near(_: Near, _: Context) -> Result<u32, Failure> {
    Ok(std::process::id())
}

fn worker(jobs: &Client) -> Worker {
    Worker::new(jobs.clone(), ())
        .handle_isolated(handle)
        .handle(near)
        .isolation(children(Isolation::default()))
}

fn children(isolation: Isolation) -> Isolation {
    let args = ["child_process", "--exact", "--nocapture"];
    Isolation { args: Some(args.map(Into::into).to_vec()), ..isolation }
}

/// What the children run. In the tests' own process there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_process() {
    if legwork::is_child() {
        let jobs = Client::connect("sqlite::memory:").await.unwrap();
        worker(&jobs).start().await.unwrap();
        unreachable!("a child does not start");
    }
}

async fn start(isolation: Isolation) -> (Client, Running) {
    let jobs = Client::connect("sqlite::memory:").await.unwrap();
    let running = worker(&jobs).queue("default", 2).isolation(children(isolation)).start().await.unwrap();
    (jobs, running)
}

async fn seen(jobs: &Client, id: JobId, what: &str, good: impl Fn(&JobView) -> bool) -> JobView {
    let started = Instant::now();
    loop {
        let job = jobs.job(id).await.unwrap().expect("the job is there");
        if good(&job) {
            return job;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "not {what}: {job:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn ended(jobs: &Client, id: JobId) -> JobView {
    seen(jobs, id, "ended", |job| job.state.is_final()).await
}

async fn run(jobs: &Client, what: &str) -> u32 {
    let id = jobs.enqueue(job(what)).await.unwrap().id;
    jobs.wait::<Do>(id).await.unwrap()
}

fn lives(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("State:") && !status.contains("State:\tZ")
}

async fn gone(pid: u32) {
    let started = Instant::now();
    while lives(pid) {
        assert!(started.elapsed() < Duration::from_secs(20), "process {pid} lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_runs_in_another_process_which_is_used_again() {
    let (jobs, worker) = start(Isolation::default()).await;
    let first = run(&jobs, "").await;
    assert_ne!(first, std::process::id());
    assert_eq!(run(&jobs, "print").await, first, "what is printed gets in nobody's way");
    assert_eq!(run(&jobs, "").await, first);
    let id = jobs.enqueue(job("fail")).await.unwrap().id;
    let failed = ended(&jobs, id).await;
    assert_eq!((failed.reason.as_deref(), failed.errors[1].error.as_str()), (Some("exhausted"), "not today"));
    let id = jobs.enqueue(job("panic")).await.unwrap().id;
    assert_eq!(ended(&jobs, id).await.errors[0].error, "panicked: at the disco");
    assert_eq!(run(&jobs, "").await, first, "neither harms the process");
    worker.stop().await;
    gone(first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_is_charged_to_its_job_and_to_nobody_else() {
    let (jobs, worker) = start(Isolation::default()).await;
    let neighbour = jobs.enqueue(job("listen")).await.unwrap().id;
    seen(&jobs, neighbour, "running", |job| job.progress.is_some()).await;
    for (what, how) in [("abort", "signal: 6"), ("exit", "exit status: 7")] {
        let id = jobs.enqueue(job(what)).await.unwrap().id;
        let crashed = ended(&jobs, id).await;
        assert_eq!((crashed.state, crashed.reason.as_deref()), (State::Discarded, Some("crashed")));
        assert_eq!((crashed.attempts, crashed.crashes), (0, 3));
        let line = &crashed.errors[0].error;
        assert!(line.starts_with("its process ended: ") && line.contains(how), "{line}");
    }
    let near = jobs.enqueue(Near {}).await.unwrap().id;
    assert_eq!(jobs.wait::<Near>(near).await.unwrap(), std::process::id());
    let view = jobs.job(neighbour).await.unwrap().unwrap();
    assert_eq!((view.state, view.crashes, view.suspect), (State::Leased, 0, false));
    jobs.cancel(neighbour).await.unwrap();
    assert_eq!(ended(&jobs, neighbour).await.state, State::Cancelled);
    run(&jobs, "").await;
    worker.stop().await;
    assert_eq!(jobs.backend().audit().await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_blocks_is_killed_when_its_time_is_over() {
    let (jobs, worker) = start(Isolation::default()).await;
    let id = jobs.enqueue(job("block")).timeout(Duration::from_secs(2)).max_attempts(1).await.unwrap().id;
    let view = seen(&jobs, id, "running", |job| job.progress.is_some()).await;
    let pid: serde_json::Value = serde_json::from_str(view.progress.unwrap().get()).unwrap();
    let pid: u32 = pid["note"].as_str().unwrap().parse().unwrap();
    assert!(lives(pid));
    let view = ended(&jobs, id).await;
    assert_eq!((view.state, view.errors[0].error.as_str()), (State::Discarded, "timed out after 2s"));
    gone(pid).await;
    assert_ne!(run(&jobs, "").await, pid);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_blocks_is_killed_when_it_is_called_off() {
    let (jobs, worker) = start(Isolation::default()).await;
    let id = jobs.enqueue(job("block")).await.unwrap().id;
    seen(&jobs, id, "running", |job| job.progress.is_some()).await;
    assert_eq!(jobs.cancel(id).await.unwrap(), Controlled::Requested);
    let asked = Instant::now();
    assert_eq!(ended(&jobs, id).await.state, State::Cancelled);
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_reaches_the_child() {
    let (jobs, worker) = start(Isolation::default()).await;
    let id = jobs.enqueue(job("shutdown")).await.unwrap().id;
    seen(&jobs, id, "running", |job| job.progress.is_some()).await;
    worker.stop().await;
    let back = jobs.job(id).await.unwrap().unwrap();
    assert_eq!((back.state, back.attempts, back.crashes), (State::Available, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steps_and_cursors_pass_through_the_parent() {
    let (jobs, worker) = start(Isolation::default()).await;
    assert_eq!(run(&jobs, "remember").await, 142);
    let id = jobs.enqueue(job("too much")).await.unwrap().id;
    let view = ended(&jobs, id).await;
    assert_eq!(view.state, State::Discarded);
    assert!(view.errors[0].error.starts_with("steps: 300"), "{:?}", view.errors);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_are_replaced_when_they_are_worn() {
    let (jobs, worker) = start(Isolation { recycle_after_jobs: Some(2), ..Isolation::default() }).await;
    let mut pids = Vec::new();
    for _ in 0..4 {
        pids.push(run(&jobs, "").await);
    }
    assert!(pids[0] == pids[1] && pids[1] != pids[2] && pids[2] == pids[3], "{pids:?}");
    worker.stop().await;
    let (jobs, worker) =
        start(Isolation { recycle_above_bytes: Some(60 << 20), ..Isolation::default() }).await;
    let (small, large, next) = (run(&jobs, "").await, run(&jobs, "grow").await, run(&jobs, "").await);
    assert!(small == large && large != next, "{small} {large} {next}");
    gone(large).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_payload_needs_no_process() {
    let (jobs, worker) = start(Isolation { args: None, ..Isolation::default() }).await;
    let id = jobs.enqueue_raw("do", r#"{"wha":1}"#).await.unwrap().id;
    assert_eq!(ended(&jobs, id).await.reason.as_deref(), Some("undecodable"));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_cannot_start_is_told_in_a_line() {
    let jobs = Client::connect("sqlite::memory:").await.unwrap();
    let args = vec!["--no-such-option".into()];
    let wrong = Isolation { args: Some(args), ..Isolation::default() };
    let worker = worker(&jobs).isolation(wrong).start().await.unwrap();
    let id = jobs.enqueue(job("")).max_attempts(1).await.unwrap().id;
    let line = ended(&jobs, id).await.errors[0].error.clone();
    assert!(line.starts_with("no child process: it ended before it was ready: exit status:"), "{line}");
    worker.stop().await;
}

/// Killed without a word, the parent takes its children with it: also one that blocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_dies_with_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("a.db").display());
    let mut parent = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["parent_process", "--exact", "--nocapture"])
        .env("PARENT_OF", &url)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let jobs = Client::connect(&url).await.unwrap();
    let id = jobs.enqueue(job("block")).await.unwrap().id;
    let view = seen(&jobs, id, "running", |job| job.progress.is_some()).await;
    let pid: serde_json::Value = serde_json::from_str(view.progress.unwrap().get()).unwrap();
    let pid: u32 = pid["note"].as_str().unwrap().parse().unwrap();
    assert!(lives(pid) && pid != parent.id());
    parent.kill().unwrap();
    parent.wait().unwrap();
    gone(pid).await;
}

/// The process that the test above kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parent_process() {
    let Some(url) = std::env::var_os("PARENT_OF").map(PathBuf::from) else { return };
    let jobs = Client::connect(&url.display().to_string()).await.unwrap();
    worker(&jobs).run_until(std::future::pending()).await.unwrap();
}
