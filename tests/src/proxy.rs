//! A proxy on loopback that stands between a program and its server and spoils their talk:
//! slow, in slices, cut before or within a reply, silent, reset.
//!
//! A [`Spell`] lies on everything until another is cast; a [`Cut`] hits one connection, once.
//! All chance comes from one seed, and every action is logged with its time.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Notify, watch};

/// What lies on every connection, old and new, for as long as it is cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spell {
    /// Nothing: bytes pass.
    None,
    /// Every piece, in both directions, waits this long and up to as much again by chance.
    Slow(Duration),
    /// Pieces of so many bytes, with a wait after each: a slicer, or a narrow link.
    Sliced(usize, Duration),
    /// Requests are swallowed; connecting works.
    DeafServer,
    /// Requests pass, replies are swallowed.
    DeafClient,
    /// Connects, reads, answers nothing and never closes: both directions are swallowed.
    HalfOpen,
    /// What is connected is cut, and new connections are closed at once.
    Down,
}

/// What happens to one connection, once. All but [`Cut::Reset`] wait for the next request of
/// any connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// So many bytes of the request are forwarded, then both ends are closed.
    MidRequest(usize),
    /// The request is forwarded and answered; the reply is lost and both ends are closed.
    LostReply,
    /// So many bytes of the reply pass, then both ends are closed.
    MidReply(usize),
    /// The request is forwarded; from then on the connection is open and silent.
    HalfOpen,
    /// Some connection is reset at once (RST, not FIN), whatever it is doing.
    Reset,
}

/// What the proxy did, and when (since it was started), to which connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Time since the start.
    pub at: Duration,
    /// Which connection; 0 for all.
    pub connection: u64,
    /// What was done.
    pub what: String,
}

/// A proxy that runs until it is dropped.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    listener: tokio::task::JoinHandle<()>,
}

#[derive(Clone)]
enum Upstream {
    Tcp(String),
    Unix(PathBuf),
}

struct Shared {
    upstream: Upstream,
    started: Instant,
    spell: watch::Sender<Spell>,
    armed: Mutex<VecDeque<Cut>>,
    chance: Mutex<StdRng>,
    log: Mutex<Vec<Action>>,
    open: Mutex<BTreeMap<u64, Arc<Connection>>>,
}

#[derive(Default)]
struct Connection {
    number: u64,
    /// What is to happen to its next reply.
    cut: Mutex<Option<Cut>>,
    silent: AtomicBool,
    reset: Notify,
}

/// How a direction ended.
enum End {
    Closed,
    Reset,
}

impl Proxy {
    /// Listens on a free port of loopback before a server at `redis://host:port` or
    /// `redis+unix:///path`.
    ///
    /// # Errors
    /// The port cannot be had, or the address is none.
    pub async fn start(server: &str, seed: u64) -> io::Result<Proxy> {
        let bare = server.split('?').next().unwrap_or_default();
        let upstream = if let Some(path) = bare.strip_prefix("redis+unix://") {
            Upstream::Unix(path.into())
        } else if let Some(host) = bare.strip_prefix("redis://") {
            Upstream::Tcp(host.trim_end_matches('/').into())
        } else {
            return Err(io::Error::other(format!("{server}: neither redis:// nor redis+unix://")));
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            upstream,
            started: Instant::now(),
            spell: watch::Sender::new(Spell::None),
            armed: Mutex::default(),
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
            log: Mutex::default(),
            open: Mutex::default(),
        });
        let listener = tokio::spawn(accept(listener, shared.clone()));
        Ok(Proxy { port, shared, listener })
    }

    /// Where clients connect to.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Lays a spell on everything; [`Spell::None`] heals.
    pub fn cast(&self, spell: Spell) {
        self.shared.note(0, format!("{spell:?}"));
        self.shared.spell.send_replace(spell);
    }

    /// Arms a cut; several wait for their turn, one request each.
    pub fn cut(&self, cut: Cut) {
        if cut != Cut::Reset {
            return lock(&self.shared.armed).push_back(cut);
        }
        let open = lock(&self.shared.open);
        if !open.is_empty() {
            let nth = self.shared.below(open.len());
            open.values().nth(nth).inspect(|connection| connection.reset.notify_one());
        }
    }

    /// A cut by chance, with a length by chance.
    pub fn cut_somehow(&self) -> Cut {
        let length = self.shared.below(200);
        let cut = match self.shared.below(8) {
            0..3 => Cut::LostReply,
            3..5 => Cut::MidReply(1 + length),
            5 => Cut::MidRequest(1 + length),
            6 => Cut::HalfOpen,
            _ => Cut::Reset,
        };
        self.cut(cut);
        cut
    }

    /// How many cuts are armed and have not hit yet.
    pub fn armed(&self) -> usize {
        lock(&self.shared.armed).len()
    }

    /// Everything done so far, in order.
    pub fn log(&self) -> Vec<Action> {
        lock(&self.shared.log).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
        self.shared.spell.send_replace(Spell::Down);
    }
}

impl Shared {
    fn note(&self, connection: u64, what: impl Into<String>) {
        let action = Action { at: self.started.elapsed(), connection, what: what.into() };
        lock(&self.log).push(action);
    }

    fn below(&self, end: usize) -> usize {
        lock(&self.chance).random_range(0..end.max(1))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    for number in 1.. {
        let Ok((client, _)) = listener.accept().await else { return };
        let shared = shared.clone();
        tokio::spawn(async move {
            // As a link without a proxy: what is written goes at once.
            let _ = client.set_nodelay(true);
            let server: io::Result<(Reads, Writes)> = match &shared.upstream {
                Upstream::Tcp(at) => TcpStream::connect(at).await.and_then(|stream| {
                    stream.set_nodelay(true)?;
                    let (read, write) = stream.into_split();
                    Ok((Box::new(read) as Reads, Box::new(write) as Writes))
                }),
                Upstream::Unix(at) => UnixStream::connect(at).await.map(|stream| {
                    let (read, write) = stream.into_split();
                    (Box::new(read) as Reads, Box::new(write) as Writes)
                }),
            };
            let Ok((read, write)) = server else { return };
            let connection = Arc::new(Connection { number, ..Connection::default() });
            lock(&shared.open).insert(number, connection.clone());
            serve(&shared, &connection, client, read, write).await;
            lock(&shared.open).remove(&number);
        });
    }
}

type Reads = Box<dyn AsyncRead + Send + Unpin>;
type Writes = Box<dyn AsyncWrite + Send + Unpin>;

/// Both directions of one connection, until either ends; then both do.
async fn serve(shared: &Shared, own: &Connection, mut client: TcpStream, mut from: Reads, mut to: Writes) {
    let end = {
        let (mut read, mut write) = client.split();
        let mut spell = shared.spell.subscribe();
        tokio::select! {
            end = up(shared, own, &mut read, &mut to) => end,
            end = down(shared, own, &mut from, &mut write) => end,
            _ = spell.wait_for(|spell| *spell == Spell::Down) => End::Reset,
            () = own.reset.notified() => {
                shared.note(own.number, "Reset");
                End::Reset
            }
        }
    };
    if matches!(end, End::Reset) {
        let _ = client.set_zero_linger();
    }
}

/// Requests.
async fn up(
    shared: &Shared,
    own: &Connection,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> End {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = match from.read(&mut buffer).await {
            Ok(n) if n > 0 => n,
            _ => return End::Closed,
        };
        let spell = *shared.spell.borrow();
        if own.silent.load(Ordering::SeqCst) || matches!(spell, Spell::DeafServer | Spell::HalfOpen) {
            continue;
        }
        let cut = lock(&shared.armed).pop_front();
        if let Some(cut) = cut {
            shared.note(own.number, format!("{cut:?}"));
        }
        if let Some(Cut::MidRequest(bytes)) = cut {
            let _ = pass(shared, spell, to, &buffer[..n.min(bytes)]).await;
            return End::Closed;
        }
        // Told before the request is passed on, or the reply could be faster.
        if let Some(cut) = cut {
            *lock(&own.cut) = Some(cut);
        }
        if pass(shared, spell, to, &buffer[..n]).await.is_err() {
            return End::Closed;
        }
    }
}

/// Replies.
async fn down(
    shared: &Shared,
    own: &Connection,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> End {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = match from.read(&mut buffer).await {
            Ok(n) if n > 0 => n,
            _ => return End::Closed,
        };
        let spell = *shared.spell.borrow();
        let cut = *lock(&own.cut);
        match cut {
            Some(Cut::LostReply) => return End::Closed,
            Some(Cut::MidReply(bytes)) => {
                let _ = pass(shared, spell, to, &buffer[..n.min(bytes)]).await;
                return End::Closed;
            }
            Some(Cut::HalfOpen) => own.silent.store(true, Ordering::SeqCst),
            _ => {}
        }
        if own.silent.load(Ordering::SeqCst) || matches!(spell, Spell::DeafClient | Spell::HalfOpen) {
            continue;
        }
        if pass(shared, spell, to, &buffer[..n]).await.is_err() {
            return End::Closed;
        }
    }
}

async fn pass(
    shared: &Shared,
    spell: Spell,
    to: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> io::Result<()> {
    match spell {
        Spell::Slow(wait) => {
            let more = Duration::from_micros(shared.below(wait.as_micros() as usize) as u64);
            tokio::time::sleep(wait + more).await;
            to.write_all(bytes).await
        }
        Spell::Sliced(size, wait) => {
            for slice in bytes.chunks(size.max(1)) {
                to.write_all(slice).await?;
                // A sleep of nothing is one of a millisecond: a link of 1 KB/s, not one in pieces.
                match wait.is_zero() {
                    true => tokio::task::yield_now().await,
                    false => tokio::time::sleep(wait).await,
                }
            }
            Ok(())
        }
        _ => to.write_all(bytes).await,
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
