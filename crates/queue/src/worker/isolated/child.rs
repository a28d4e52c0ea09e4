//! The child's end: runs one job at a time, and asks its parent for the rest.

use super::frames::{self, Answer, Job, Order, Word};
use super::{Asked, PARENT, Relay};
use crate::backend::{Fut, Note, Settled, Token};
use crate::failure::panicked;
use crate::worker::context::Inner;
use crate::worker::handler::Handler;
use crate::worker::hold::Hold;
use crate::worker::lock;
use crate::worker::steps::{Memory, Told};
use crate::{Client, Context, Envelope, Error, Failure, middleware};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Whether this process was started by a worker to run isolated jobs: it is about to run
/// `main` up to [`crate::Worker::start`].
///
/// ```
/// if !legwork::is_child() {
///     println!("this is said once");
/// }
/// ```
pub fn is_child() -> bool {
    // A grandchild inherits the variable, and has another parent.
    let parent = std::os::unix::process::parent_id().to_string();
    std::env::var_os(PARENT).is_some_and(|named| named == *parent)
}

/// The socket, and what is under way on it.
#[derive(Default)]
struct Link {
    out: Mutex<Option<UnixStream>>,
    asked: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    current: Mutex<Option<(Arc<Hold>, CancellationToken)>>,
}

/// Serves jobs until the parent goes away, and the process with it.
pub(crate) async fn serve<S: Clone + Send + Sync + 'static>(
    client: Client,
    state: S,
    handlers: HashMap<String, Handler<S>>,
) -> ! {
    let (link, mut jobs) = match connect() {
        Ok(link) => link,
        Err(e) => {
            eprintln!("legwork: a child without its parent's socket: {e}");
            std::process::exit(70)
        }
    };
    link.say(&Word::Ready);
    while let Some(job) = jobs.recv().await {
        let hold = Arc::new(Hold::default());
        let stopping = CancellationToken::new();
        *lock(&link.current) = Some((hold.clone(), stopping.clone()));
        let said = attempt(&client, &state, &handlers, *job, hold, stopping, &link).await;
        *lock(&link.current) = None;
        link.say(&Word::from(said));
    }
    std::process::exit(0)
}

fn connect() -> std::io::Result<(Arc<Link>, mpsc::UnboundedReceiver<Box<Job>>)> {
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    // Refused where standard input is something else.
    socket.peer_addr()?;
    let link = Arc::new(Link::default());
    *lock(&link.out) = Some(socket.try_clone()?);
    let (jobs, inbox) = mpsc::unbounded_channel();
    let heard = link.clone();
    // A thread of its own: a handler that blocks the runtime still dies with its parent.
    std::thread::Builder::new().name("legwork-child".into()).spawn(move || {
        let why = heard.listen(socket, &jobs);
        tracing::debug!(?why, "the parent is gone");
        std::process::exit(0)
    })?;
    Ok((link, inbox))
}

impl Link {
    fn listen(&self, mut socket: UnixStream, jobs: &mpsc::UnboundedSender<Box<Job>>) -> std::io::Result<()> {
        loop {
            let mut head = [0; 4];
            socket.read_exact(&mut head)?;
            let mut bytes = vec![0; frames::size(head)?];
            socket.read_exact(&mut bytes)?;
            match frames::decode(&bytes)? {
                Order::Run(job) => drop(jobs.send(job)),
                Order::End(why) => {
                    if let Some((hold, _)) = &*lock(&self.current) {
                        hold.end(why);
                    }
                }
                Order::Stop => {
                    if let Some((_, stopping)) = &*lock(&self.current) {
                        stopping.cancel();
                    }
                }
                Order::Answer(number, answer) => {
                    if let Some(waits) = lock(&self.waiting).remove(&number) {
                        let _ = waits.send(answer);
                    }
                }
            }
        }
    }

    /// A frame that cannot be sent is the end: the listener sees it as well.
    fn say(&self, word: &Word) {
        let bytes = frames::encode(word).or_else(|e| {
            let message = format!("its result cannot be sent: {e}");
            frames::encode(&Word::from(Err(Failure::discard(message))))
        });
        if let (Ok(bytes), Some(out)) = (bytes, &mut *lock(&self.out)) {
            let _ = out.write_all(&bytes);
        }
    }

    async fn ask(&self, word: impl FnOnce(u64) -> Word) -> crate::Result<Answer> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting).insert(number, answer);
        self.say(&word(number));
        match answered.await {
            Ok(Answer::Failed(true, line)) => Err(Error::invalid(line)),
            Ok(Answer::Failed(false, line)) => Err(Error::unavailable(line)),
            Ok(answer) => Ok(answer),
            Err(_) => Err(Error::unavailable("the parent is gone")),
        }
    }
}

impl Relay for Link {
    fn note<'a>(&'a self, note: &'a Note) -> Fut<'a, Settled> {
        Box::pin(async move {
            Ok(match self.ask(|number| Word::Note(number, note.clone())).await? {
                Answer::Noted(true) => Settled::Done,
                _ => Settled::Stale,
            })
        })
    }

    fn told(&self) -> Asked<'_> {
        Box::pin(async move {
            match self.ask(Word::Told).await? {
                Answer::Told { steps, cursor } => Ok(Told::of(steps, cursor)),
                Answer::Untold { verdict, message } => Err(Failure { verdict, message }),
                _ => Ok(Told::default()),
            }
        })
    }
}

async fn attempt<S: Clone + Send + Sync + 'static>(
    client: &Client,
    state: &S,
    handlers: &HashMap<String, Handler<S>>,
    job: Job,
    hold: Arc<Hold>,
    stopping: CancellationToken,
    link: &Arc<Link>,
) -> Result<Option<Box<RawValue>>, Failure> {
    let envelope = Envelope::decode(job.id, job.record.as_bytes())?;
    let Some(handler) = handlers.get(&envelope.name) else {
        return Err(Failure::retry(format!("the child process has no handler for {}", envelope.name)));
    };
    let trace = envelope.trace.map(|trace| trace.parent.child());
    let inner = Arc::new(Inner {
        suspect: false,
        client: client.clone(),
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        token: Token(job.token),
        envelope,
        hold,
        stopping: Arc::new(stopping),
        trace,
        memory: Memory::default(),
        relay: Some(link.clone()),
    });
    let cx = Context { state: state.clone(), inner: inner.clone() };
    let begun = std::panic::catch_unwind(AssertUnwindSafe(|| handler.begin_here(&inner.envelope, cx)));
    let mut running = match begun {
        Ok(Ok(running)) => running,
        // The parent has decoded it: the two are different programs.
        Ok(Err(why)) => return Err(Failure::retry(format!("the child process cannot read it: {why}"))),
        Err(panic) => return Err(panicked(&*panic)),
    };
    let caught = std::future::poll_fn(move |cx| {
        match std::panic::catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(panicked(&*panic))),
        }
    });
    let said = middleware::scope(trace, caught).await;
    if said.is_err() {
        inner.store_last().await;
    }
    said
}
