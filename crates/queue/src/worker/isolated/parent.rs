//! The parent's end: starts children, gives each one job at a time, and ends those that
//! must end.

use super::frames::{self, Answer, Job, Order, Word};
use super::{Isolation, PARENT};
use crate::backend::Settled;
use crate::failure::Verdict;
use crate::worker::context::Inner;
use crate::worker::lock;
use crate::{Envelope, Failure};
use serde_json::value::RawValue;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

/// What a child has said before it ended is still heard for so long.
const LAST: Duration = Duration::from_millis(500);
/// Frames on their way from a child.
const INBOX: usize = 64;

/// The children of one worker that have nothing to do, and how new ones are made. They end
/// with this: a child whose socket closes exits, and one that is dropped is killed.
#[derive(Default)]
pub(in crate::worker) struct Children {
    isolation: Mutex<Isolation>,
    idle: Mutex<Vec<Child>>,
}

/// A child process. Dropped, it is killed.
struct Child {
    process: tokio::process::Child,
    words: mpsc::Receiver<Word>,
    out: OwnedWriteHalf,
    jobs: u64,
}

impl Children {
    pub(in crate::worker) fn set(&self, isolation: Isolation) {
        *lock(&self.isolation) = isolation;
    }

    /// Runs one attempt in a child.
    pub(in crate::worker) async fn run(
        &self,
        envelope: Envelope,
        inner: Arc<Inner>,
    ) -> Result<Option<Box<RawValue>>, Failure> {
        let mut child = match self.free() {
            Some(child) => child,
            None => self.start().await.map_err(|e| Failure::retry(format!("no child process: {e}")))?,
        };
        let job = Job {
            id: inner.envelope.id,
            record: String::from_utf8_lossy(&envelope.encode()).into_owned(),
            attempt: inner.attempt,
            max_attempts: inner.max_attempts,
            token: inner.token.0,
        };
        if child.order(&Order::Run(Box::new(job))).await.is_err() {
            // It died while it was idle: this job has not begun.
            return Err(Failure::retry_in(Duration::ZERO, "the child process had ended"));
        }
        let said = child.attend(&inner).await;
        child.jobs += 1;
        if !matches!(&said, Err(failure) if failure.verdict == Verdict::Crash) && !self.worn(&child) {
            lock(&self.idle).push(child);
        }
        said
    }

    /// A child that waits and lives.
    fn free(&self) -> Option<Child> {
        let mut idle = lock(&self.idle);
        while let Some(mut child) = idle.pop() {
            if matches!(child.process.try_wait(), Ok(None)) {
                return Some(child);
            }
        }
        None
    }

    /// Whether a child is to be replaced by a fresh one.
    fn worn(&self, child: &Child) -> bool {
        let isolation = lock(&self.isolation);
        let old = isolation.recycle_after_jobs.is_some_and(|most| child.jobs >= most);
        let large = |most| child.process.id().and_then(resident).is_some_and(|bytes| bytes > most);
        old || isolation.recycle_above_bytes.is_some_and(large)
    }

    async fn start(&self) -> io::Result<Child> {
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;
        let args = lock(&self.isolation).args.clone();
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command
            .args(args.unwrap_or_else(|| std::env::args_os().skip(1).collect()))
            .env(PARENT, std::process::id().to_string())
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is for the parent, which lets jobs finish.
            .process_group(0)
            .kill_on_drop(true);
        let mut process = command.spawn()?;
        let pid = process.id().unwrap_or(0);
        drop(command); // and with it this process's copy of the child's end
        process.stdout.take().into_iter().for_each(|out| drop(tokio::spawn(log(out, pid))));
        process.stderr.take().into_iter().for_each(|out| drop(tokio::spawn(log(out, pid))));
        let (read, out) = UnixStream::from_std(ours)?.into_split();
        let (inbox, words) = mpsc::channel(INBOX);
        tokio::spawn(listen(read, inbox));
        let mut child = Child { process, words, out, jobs: 0 };
        match child.words.recv().await {
            Some(Word::Ready) => Ok(child),
            _ => {
                let status = child.process.wait().await?;
                Err(io::Error::other(format!(
                    "it ended before it was ready: {status}; its output is in the log"
                )))
            }
        }
    }
}

impl Child {
    async fn order(&mut self, order: &Order) -> io::Result<()> {
        self.out.write_all(&frames::encode(order)?).await
    }

    /// Answers a child until its handler has ended. Whoever drops this kills the child.
    async fn attend(&mut self, inner: &Inner) -> Result<Option<Box<RawValue>>, Failure> {
        let (mut ended, mut stopped) = (false, false);
        loop {
            let word = tokio::select! {
                word = self.words.recv() => word,
                status = self.process.wait() => self.last_word(status).await?,
                () = inner.hold.ended().cancelled(), if !ended => {
                    ended = true;
                    if let Some(why) = inner.hold.why() {
                        let _ = self.order(&Order::End(why)).await;
                    }
                    continue;
                }
                () = inner.stopping.cancelled(), if !stopped => {
                    stopped = true;
                    let _ = self.order(&Order::Stop).await;
                    continue;
                }
            };
            let answer = match word {
                Some(Word::Done(result)) => return Ok(result),
                Some(Word::Failed { verdict, message }) => return Err(Failure { verdict, message }),
                Some(Word::Note(number, note)) => {
                    let patience = inner.client.options().patience;
                    let noted = inner.note(&note, patience).await;
                    Order::Answer(number, answer(noted.map(|s| Answer::Noted(s == Settled::Done))))
                }
                Some(Word::Told(number)) => {
                    let told = match inner.remembered().await {
                        Ok(Some(job)) => Answer::Told { steps: job.steps, cursor: job.cursor },
                        Ok(None) => Answer::Told { steps: Vec::new(), cursor: None },
                        Err(Failure { verdict, message }) => Answer::Untold { verdict, message },
                    };
                    Order::Answer(number, told)
                }
                Some(Word::Ready) => continue,
                None => return Err(crashed(&self.process.wait().await)),
            };
            // A child that does not hear any more has ended, or is about to.
            let _ = self.order(&answer).await;
        }
    }

    /// The child has ended: what it said last, if it did.
    async fn last_word(&mut self, status: io::Result<ExitStatus>) -> Result<Option<Word>, Failure> {
        while let Ok(Some(word)) = tokio::time::timeout(LAST, self.words.recv()).await {
            if matches!(word, Word::Done(_) | Word::Failed { .. }) {
                return Ok(Some(word));
            }
        }
        Err(crashed(&status))
    }
}

fn answer(asked: crate::Result<Answer>) -> Answer {
    asked.unwrap_or_else(|e| Answer::Failed(e.is_invalid(), e.to_string()))
}

fn crashed(status: &io::Result<ExitStatus>) -> Failure {
    let how = match status {
        Ok(status) => status.to_string(),
        Err(e) => e.to_string(),
    };
    Failure { verdict: Verdict::Crash, message: format!("its process ended: {how}") }
}

/// Hands on what a child says, until it ends or nobody listens.
async fn listen(mut from: OwnedReadHalf, inbox: mpsc::Sender<Word>) {
    let mut next = async || -> io::Result<Word> {
        let mut head = [0; 4];
        from.read_exact(&mut head).await?;
        let mut bytes = vec![0; frames::size(head)?];
        from.read_exact(&mut bytes).await?;
        frames::decode(&bytes)
    };
    while let Ok(word) = next().await {
        if inbox.send(word).await.is_err() {
            return;
        }
    }
}

/// What a child prints goes to this process's log.
async fn log(mut from: impl AsyncRead + Unpin, pid: u32) {
    let mut bytes = vec![0; 8_192];
    while let Ok(size @ 1..) = from.read(&mut bytes).await {
        for line in String::from_utf8_lossy(&bytes[..size]).lines() {
            tracing::info!(target: "legwork::child", pid, "{line}");
        }
    }
}

/// The resident memory of a process in bytes, where the system tells.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1_024)
}
