//! Wake-ups: at once for this process's own writes, by a light poll for other processes'.

use sqlx::SqlitePool;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often other processes are looked for while none is seen.
const POLL: Duration = Duration::from_millis(100);
/// And while one is: who has just written mostly writes again.
const BUSY_POLL: Duration = Duration::from_millis(10);
/// For how long after the last commit of another process.
const BUSY: Duration = Duration::from_secs(2);

/// What is rung when work may have become available.
#[derive(Clone)]
pub(super) struct Bell(Arc<Inner>);

struct Inner {
    wakeups: watch::Sender<u64>,
    polling: AtomicBool,
}

impl Bell {
    pub(super) fn new() -> Bell {
        Bell(Arc::new(Inner { wakeups: watch::Sender::new(0), polling: AtomicBool::new(false) }))
    }

    pub(super) fn ring(&self) {
        self.0.wakeups.send_modify(|n| *n += 1);
    }

    /// A listener. With a pool, other processes' commits are noticed as well, for as long
    /// as anybody listens.
    pub(super) fn listen(&self, pool: Option<SqlitePool>) -> watch::Receiver<u64> {
        let receiver = self.0.wakeups.subscribe();
        if let Some(pool) = pool
            && !self.0.polling.swap(true, Ordering::SeqCst)
        {
            tokio::spawn(poll(Arc::downgrade(&self.0), pool));
        }
        receiver
    }
}

impl Inner {
    /// Whether nobody listens, and the poll may end. Who starts to listen between the two
    /// looks either starts a poll itself or is seen by the second.
    fn idle(&self) -> bool {
        let nobody = || self.wakeups.receiver_count() == 0;
        if !nobody() {
            return false;
        }
        self.polling.store(false, Ordering::SeqCst);
        nobody() || self.polling.swap(true, Ordering::SeqCst)
    }
}

/// `data_version` of a connection changes with every commit of any other, also of this
/// process's own writer: then the wake-up comes twice, which costs a look at the queues.
async fn poll(bell: Weak<Inner>, pool: SqlitePool) {
    let (mut conn, mut seen, mut changed) = (None, None, None::<Instant>);
    loop {
        if conn.is_none() {
            conn = pool.acquire().await.ok();
        }
        let version = match &mut conn {
            Some(c) => sqlx::query_scalar::<_, i64>("PRAGMA data_version").fetch_one(&mut **c).await.ok(),
            None => None,
        };
        let Some(bell) = bell.upgrade() else { return };
        if bell.idle() {
            return;
        }
        match version {
            // Numbers of two connections cannot be compared: after a new one, ring.
            None => (conn, seen) = (None, Some(-1)),
            Some(_) if seen.is_some() && seen != version => {
                bell.wakeups.send_modify(|n| *n += 1);
                (seen, changed) = (version, Some(Instant::now()));
            }
            Some(_) => seen = version,
        }
        drop(bell);
        let busy = changed.is_some_and(|at| at.elapsed() < BUSY);
        tokio::time::sleep(if busy { BUSY_POLL } else { POLL }).await;
    }
}
