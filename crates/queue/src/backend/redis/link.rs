//! The connection for commands: one socket that all callers share, made anew after it broke.

use super::config::Config;
use super::errors;
use crate::{Error, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const CONNECT: Duration = Duration::from_secs(2);
const HANDSHAKE: Duration = Duration::from_secs(5);
const RESPONSE: Duration = Duration::from_secs(5);
const BACKOFF: [u64; 6] = [0, 10, 50, 100, 250, 500];

/// A connection with its own reconnect. A call that fails is in doubt and never repeated
/// here: callers may, because every verb can be repeated.
pub(super) struct Link {
    client: Client,
    target: String,
    state: Mutex<State>,
    /// Whether this server has ever said what can be understood.
    understood: AtomicBool,
}

#[derive(Default)]
struct State {
    open: Option<MultiplexedConnection>,
    /// Rises with every connection, so that a late failure of an old one breaks no new one.
    number: u64,
    failures: usize,
    last_try: Option<Instant>,
}

impl Link {
    pub(super) fn new(config: &Config) -> Result<Link> {
        let client = Client::open(config.info.clone()).map_err(|e| errors::told(&config.target, e))?;
        Ok(Link {
            client,
            target: config.target.clone(),
            state: Mutex::default(),
            understood: AtomicBool::new(false),
        })
    }

    pub(super) fn target(&self) -> &str {
        &self.target
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn told(&self, error: RedisError) -> Error {
        // It is a Redis: this reply was torn on its way, and the call is as much in doubt as one
        // without any.
        if errors::torn(&error) && self.understood.load(Ordering::Relaxed) {
            return Error::unavailable(format!("redis at {}: a reply was cut off", self.target));
        }
        errors::told(&self.target, error)
    }

    /// Sends one command and waits for its answer.
    pub(super) async fn send(&self, cmd: &Cmd) -> Result<Result<Value, RedisError>> {
        let (mut connection, number) = self.connection().await?;
        let answer = match connection.send_packed_command(cmd).await {
            Ok(Value::ServerError(error)) => Err(error.into()),
            answer => answer,
        };
        if let Err(error) = &answer
            && errors::breaks(error)
        {
            let mut state = self.state.lock().await;
            if state.number == number {
                state.open = None;
            }
        }
        match answer {
            Err(error) if errors::torn(&error) => Err(self.told(error)),
            answer => {
                self.understood.store(true, Ordering::Relaxed);
                Ok(answer)
            }
        }
    }

    /// As [`Link::send`], with what Redis refused as an error.
    pub(super) async fn ask(&self, cmd: &Cmd) -> Result<Value> {
        self.send(cmd).await?.map_err(|e| self.told(e))
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64)> {
        let came = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(open) = &state.open {
            return Ok((open.clone(), state.number));
        }
        // Callers that waited here while another tried share what that one learned.
        if state.failures > 0 && state.last_try.is_some_and(|at| at > came) {
            return Err(Error::unavailable(format!("redis at {}: cannot be reached", self.target)));
        }
        let pause = Duration::from_millis(BACKOFF[state.failures.min(BACKOFF.len() - 1)]);
        if let Some(at) = state.last_try {
            tokio::time::sleep_until((at + pause).into()).await;
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(RESPONSE))
            .set_pipeline_buffer_size(1024);
        let made = self.client.get_multiplexed_async_connection_with_config(&config);
        let made = tokio::time::timeout(HANDSHAKE, made).await;
        state.last_try = Some(Instant::now());
        match made {
            Ok(Ok(open)) => {
                (state.number, state.failures) = (state.number + 1, 0);
                state.open = Some(open.clone());
                Ok((open, state.number))
            }
            Ok(Err(error)) => {
                state.failures += 1;
                Err(self.told(error))
            }
            Err(_) => {
                state.failures += 1;
                Err(Error::unavailable(format!("redis at {}: no answer in time", self.target)))
            }
        }
    }
}
