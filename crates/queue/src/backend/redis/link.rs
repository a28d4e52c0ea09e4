//! The connection for commands: one socket that all callers share, made anew after it broke.
//!
//! A call whose answer was lost is in doubt and never repeated here: callers may, because
//! every verb can be repeated. A call that a server refused because it does not hold the
//! shard, or not yet, was not carried out, and is sent again to the one that does.

use super::config::Config;
use super::errors;
use super::node::Node;
use super::route::Route;
use super::socket::Socket;
use crate::{Error, Result};
use redis::{Cmd, Pipeline, RedisError, Value, pipe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const BACKOFF: [u64; 6] = [0, 10, 50, 100, 250, 500];
/// How long a call that nobody serves is sent again. Short against a lease: a sweep must
/// hear of an outage, and not wait for its end and then blame whoever could not renew.
const SETTLING: Duration = Duration::from_secs(1);
const FIRST: Duration = Duration::from_millis(10);
const LAST: Duration = Duration::from_millis(200);
/// Whoever gives a call up after so long has seen a connection that may be dead: half-open,
/// it would swallow every later call as well until the time-out of each.
const DOUBTFUL: Duration = Duration::from_millis(250);

/// A connection with its own reconnect, to whoever holds one shard.
pub(super) struct Link {
    route: Arc<Route>,
    state: Mutex<State>,
    /// Whether this server has ever said what can be understood.
    understood: AtomicBool,
    /// The connection that calls were given up on, by its number.
    doubted: AtomicU64,
}

/// A call in flight: dropped without an answer after a while, its connection is not used again.
struct InFlight<'a> {
    doubted: &'a AtomicU64,
    number: u64,
    since: Instant,
    answered: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.answered && self.since.elapsed() >= DOUBTFUL {
            self.doubted.fetch_max(self.number, Ordering::Relaxed);
        }
    }
}

#[derive(Default)]
struct State {
    open: Option<(Socket, Node)>,
    /// Rises with every connection, so that a late failure of an old one breaks no new one.
    number: u64,
    failures: usize,
    last_try: Option<Instant>,
    /// Who holds the shard, in the words of who did.
    named: Option<Node>,
    /// Where keys of the shard are being moved to.
    aside: Option<(Socket, Node)>,
}

impl Link {
    /// A link to whoever holds the keys with this hash tag. It connects with the first call.
    pub(super) fn new(config: &Config, tag: &str) -> Link {
        let route = Arc::new(Route::new(config, tag));
        Link {
            route,
            state: Mutex::default(),
            understood: AtomicBool::new(false),
            doubted: AtomicU64::new(0),
        }
    }

    pub(super) fn target(&self) -> &str {
        self.route.target()
    }

    pub(super) fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The server in use, in words.
    pub(super) async fn server(&self) -> Option<String> {
        self.state.lock().await.open.as_ref().map(|(_, node)| node.to_string())
    }

    fn begun(&self, number: u64) -> InFlight<'_> {
        InFlight { doubted: &self.doubted, number, since: Instant::now(), answered: false }
    }

    pub(super) fn told(&self, error: RedisError) -> Error {
        // It is a Redis: this reply was torn on its way, and the call is as much in doubt as one
        // without any.
        if errors::torn(&error) && self.understood.load(Ordering::Relaxed) {
            return Error::unavailable(format!("redis at {}: a reply was cut off", self.target()));
        }
        errors::told(self.target(), error)
    }

    /// Sends one command and waits for its answer.
    pub(super) async fn send(&self, cmd: &Cmd) -> Result<Result<Value, RedisError>> {
        let (connection, number) = self.connection().await?;
        let mut call = self.begun(number);
        let answer = one(&connection, cmd).await;
        call.answered = true;
        let answer = match answer {
            Err(error) => Box::pin(self.failed(cmd, number, error)).await?,
            answer => answer,
        };
        match answer {
            Err(error) if errors::torn(&error) => Err(self.told(error)),
            answer => {
                self.understood.store(true, Ordering::Relaxed);
                Ok(answer)
            }
        }
    }

    /// Sends commands over one connection with nothing between them; none is sent again. An error
    /// of one is its answer, but for what says that another server is to be asked.
    pub(super) async fn together<const N: usize>(
        &self,
        all: [&Cmd; N],
    ) -> Result<[Result<Value, RedisError>; N]> {
        let mut piece = pipe();
        for cmd in all {
            piece.add_command(cmd.clone());
        }
        let answers = self.piece(&piece, N).await?;
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            if self.route.moves() && errors::unserved(error) {
                return Err(self.nobody(error));
            }
        }
        answers
            .try_into()
            .map_err(|_| Error::corrupt(format!("redis at {}: answers are missing", self.target())))
    }

    /// As [`Link::together`], so many commands, whatever they are answered.
    pub(super) async fn piece(
        &self,
        piece: &Pipeline,
        count: usize,
    ) -> Result<Vec<Result<Value, RedisError>>> {
        let (connection, number) = self.connection().await?;
        let mut call = self.begun(number);
        let answer = connection.send_all(piece, 0, count).await;
        call.answered = true;
        let values = match answer {
            Ok(values) => values,
            Err(error) => {
                self.leave(number, &error).await;
                return Err(self.told(error));
            }
        };
        let split = |value| match value {
            Value::ServerError(error) => Err(RedisError::from(error)),
            value => Ok(value),
        };
        let answers: Vec<_> = values.into_iter().map(split).collect();
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            if errors::breaks(error) || self.route.moves() && errors::unserved(error) {
                self.leave(number, error).await;
            }
        }
        Ok(answers)
    }

    /// As [`Link::send`], with what Redis refused as an error.
    pub(super) async fn ask(&self, cmd: &Cmd) -> Result<Value> {
        self.send(cmd).await?.map_err(|e| self.told(e))
    }

    /// Goes on after an error: sends again where that is known to be safe and of use.
    async fn failed(
        &self,
        cmd: &Cmd,
        mut number: u64,
        mut error: RedisError,
    ) -> Result<Result<Value, RedisError>> {
        let (began, mut pause) = (Instant::now(), Duration::ZERO);
        loop {
            let moves = self.route.moves();
            if errors::breaks(&error) || moves && errors::misdirected(&error) {
                self.leave(number, &error).await;
            }
            if !(moves && errors::unserved(&error)) {
                return Ok(Err(error));
            }
            if let Some(address) = errors::asks(&error)
                && let Some(answer) = self.aside(cmd, address).await
            {
                match answer {
                    Err(e) if errors::unserved(&e) => error = e,
                    answer => return Ok(answer),
                }
            }
            // Whoever has only moved is there at once; who is elected, filled or loaded is not.
            if pause.is_zero() && errors::moved(&error).is_some() {
                pause = FIRST;
            } else {
                pause = (pause * 2).clamp(FIRST, LAST);
                if began.elapsed() + pause > SETTLING {
                    return Err(self.nobody(&error));
                }
                tokio::time::sleep(pause).await;
            }
            let (connection, next) = self.connection().await?;
            match one(&connection, cmd).await {
                Ok(value) => return Ok(Ok(value)),
                Err(e) => (error, number) = (e, next),
            }
        }
    }

    fn nobody(&self, error: &RedisError) -> Error {
        Error::unavailable(format!(
            "redis at {}: nobody serves it now: {}",
            self.target(),
            errors::said(error)
        ))
    }

    /// Drops the connection with this number, if it is still the one in use.
    async fn leave(&self, number: u64, error: &RedisError) {
        let mut state = self.state.lock().await;
        if state.number == number
            && let Some((_, node)) = state.open.take()
        {
            let named = errors::moved(error).filter(|_| self.route.moves());
            state.named = named.and_then(|address| Node::told(address, &node));
            self.route.left(node);
        }
    }

    /// Sends a command where its keys are being moved to; none if nobody can be reached there.
    async fn aside(&self, cmd: &Cmd, address: &str) -> Option<Result<Value, RedisError>> {
        let mut state = self.state.lock().await;
        let node = Node::told(address, &state.open.as_ref()?.1)?;
        if state.aside.as_ref().is_none_or(|(_, known)| *known != node) {
            state.aside = Some((self.route.connect(&node).await.ok()?, node));
        }
        let connection = state.aside.as_ref()?.0.clone();
        drop(state);
        let mut both = pipe();
        both.cmd("ASKING").add_command(cmd.clone());
        let answer = match connection.send_all(&both, 1, 1).await {
            Ok(mut values) => match values.pop() {
                Some(Value::ServerError(error)) => Err(error.into()),
                value => Ok(value.unwrap_or(Value::Nil)),
            },
            Err(error) => Err(error),
        };
        if answer.is_err() {
            self.state.lock().await.aside = None;
        }
        Some(answer)
    }

    async fn connection(&self) -> Result<(Socket, u64)> {
        let came = Instant::now();
        let mut state = self.state.lock().await;
        // Calls that still wait on a doubted connection have it to themselves: one that is only
        // slow answers them all the same.
        if state.number <= self.doubted.load(Ordering::Relaxed) {
            state.open = None;
        }
        if let Some((open, _)) = &state.open {
            return Ok((open.clone(), state.number));
        }
        // Callers that waited here while another tried share what that one learned.
        if state.failures > 0 && state.last_try.is_some_and(|at| at > came) {
            return Err(Error::unavailable(format!("redis at {}: cannot be reached", self.target())));
        }
        let pause = Duration::from_millis(BACKOFF[state.failures.min(BACKOFF.len() - 1)]);
        if let Some(at) = state.last_try {
            tokio::time::sleep_until((at + pause).into()).await;
        }
        let named = state.named.take();
        let made = self.route.open(named).await;
        state.last_try = Some(Instant::now());
        match made {
            Ok(found) => {
                (state.number, state.failures) = (state.number + 1, 0);
                let connection = found.0.clone();
                state.open = Some(found);
                Ok((connection, state.number))
            }
            Err(error) => {
                state.failures += 1;
                Err(error)
            }
        }
    }
}

async fn one(connection: &Socket, cmd: &Cmd) -> Result<Value, RedisError> {
    match connection.send(cmd).await {
        Ok(Value::ServerError(error)) => Err(error.into()),
        answer => answer,
    }
}
