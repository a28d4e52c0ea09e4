//! One connection that callers share: each writes its commands itself, where the socket takes
//! them at once, and a task reads the replies and hands them out in order.

use super::reply::{Reader, torn};
use futures_util::task::AtomicWaker;
use redis::{Cmd, ErrorKind, Pipeline, RedisConnectionInfo, RedisError, Value, cmd, pipe};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A byte stream, whatever carries it.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// No call waits longer for its answer.
const RESPONSE: Duration = Duration::from_secs(5);
/// Room for what is read at a time; a larger reply gets more.
const CHUNK: usize = 64 << 10;

type Answer = Result<Vec<Value>, RedisError>;

/// The connection; it is closed with its last clone.
#[derive(Clone)]
pub(super) struct Socket(Arc<Callers>);

struct Callers(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Of the task that reads, for what callers could not write.
    reader: AtomicWaker,
}

struct State {
    /// None once it is broken, or nobody calls any more.
    wire: Option<Box<dyn Wire>>,
    /// Written by callers and not yet taken by the socket, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
    replies: Reader,
    waiting: VecDeque<Call>,
    /// Why it is broken, where no call has been told.
    over: Option<RedisError>,
}

/// A call whose replies have not all come.
struct Call {
    missing: usize,
    /// So many of the next ones are not for the caller.
    skip: usize,
    replies: Vec<Value>,
    caller: oneshot::Sender<Answer>,
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.0.lock().wire = None;
        self.0.reader.wake();
    }
}

impl Socket {
    /// Logs in on a connection that has just been opened.
    pub(super) async fn new(
        login: &RedisConnectionInfo,
        wire: impl Wire + 'static,
    ) -> Result<Socket, RedisError> {
        let state = State {
            wire: Some(Box::new(wire)),
            out: Vec::new(),
            sent: 0,
            input: Vec::new(),
            replies: Reader::default(),
            waiting: VecDeque::new(),
            over: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), reader: AtomicWaker::new() });
        let reading = shared.clone();
        tokio::spawn(std::future::poll_fn(move |cx| reading.attend(cx)));
        let socket = Socket(Arc::new(Callers(shared)));
        socket.log_in(login).await?;
        Ok(socket)
    }

    async fn log_in(&self, login: &RedisConnectionInfo) -> Result<(), RedisError> {
        if let Some(password) = login.password() {
            let mut auth = cmd("AUTH");
            if let Some(user) = login.username() {
                auth.arg(user);
            }
            if let Value::ServerError(error) = self.send(auth.arg(password)).await? {
                let error = RedisError::from(error).to_string();
                return Err((ErrorKind::AuthenticationFailed, "the server does not know them", error).into());
            }
        }
        if login.db() != 0
            && let Value::ServerError(error) = self.send(cmd("SELECT").arg(login.db())).await?
        {
            return Err(error.into());
        }
        // For people who look at a server's clients; old servers, and some accounts, refuse it.
        let mut who = pipe();
        for (what, is) in [("LIB-NAME", env!("CARGO_PKG_NAME")), ("LIB-VER", env!("CARGO_PKG_VERSION"))] {
            who.cmd("CLIENT").arg("SETINFO").arg(what).arg(is);
        }
        self.send_all(&who, 0, 2).await.map(drop)
    }

    /// Sends a command; what the server refuses is its answer.
    pub(super) async fn send(&self, cmd: &Cmd) -> Result<Value, RedisError> {
        let answer = self.call(|out| cmd.write_packed_command(out), 0, 1).await?;
        answer.into_iter().next().ok_or_else(|| torn("an answer is missing"))
    }

    /// Sends commands with nothing between them; of their answers `skip` are left out, and `count`
    /// are wanted.
    pub(super) async fn send_all(&self, all: &Pipeline, skip: usize, count: usize) -> Answer {
        let write = |out: &mut Vec<u8>| all.cmd_iter().for_each(|cmd| cmd.write_packed_command(out));
        self.call(write, skip, count).await
    }

    async fn call(&self, write: impl FnOnce(&mut Vec<u8>), skip: usize, count: usize) -> Answer {
        let (caller, answered) = oneshot::channel();
        let call = Call { missing: count, skip, replies: Vec::with_capacity(count.min(16)), caller };
        if !self.0.0.begin(write, call) {
            self.0.0.reader.wake();
        }
        match timeout(RESPONSE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a call in, whole: one that is given up later has been sent all the same, and its
    /// replies are counted off. Whether all of it is on its way.
    fn begin(&self, write: impl FnOnce(&mut Vec<u8>), call: Call) -> bool {
        let mut state = self.lock();
        if state.wire.is_none() {
            let broken = || io::Error::from(io::ErrorKind::BrokenPipe).into();
            let _ = call.caller.send(Err(state.over.take().unwrap_or_else(broken)));
            return true;
        }
        write(&mut state.out);
        state.waiting.push_back(call);
        // Whoever has to wait for the socket is not waited for here: the reader goes on with it.
        matches!(state.flush(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())))
    }

    /// Reads, hands out and writes until the socket has no more; ends with the connection.
    fn attend(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.reader.register(cx.waker());
        let mut done = Vec::new();
        let mut state = self.lock();
        let Poll::Ready(error) = state.turn(cx, &mut done) else {
            drop(state);
            done.into_iter().for_each(Call::answer);
            return Poll::Pending;
        };
        let waiting = std::mem::take(&mut state.waiting);
        (state.wire, state.over) = (None, Some(error));
        // The first has got what cannot be understood; the others have got nothing.
        let mut error = if waiting.is_empty() { None } else { state.over.take() };
        drop(state);
        done.into_iter().for_each(Call::answer);
        for call in waiting {
            let lost = || io::Error::from(io::ErrorKind::ConnectionReset).into();
            let _ = call.caller.send(Err(error.take().unwrap_or_else(lost)));
        }
        Poll::Ready(())
    }
}

impl Call {
    fn answer(self) {
        // Nobody is there any more where it was given up.
        let _ = self.caller.send(Ok(self.replies));
    }
}

impl State {
    /// Writes what there is to write.
    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(wire) = &mut self.wire else { return Poll::Ready(Ok(())) };
        while self.sent < self.out.len() {
            match ready!(Pin::new(&mut *wire).poll_write(cx, &self.out[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.sent += n,
            }
        }
        self.sent = 0;
        self.out.clear();
        if self.out.capacity() > 16 * CHUNK {
            self.out = Vec::new();
        }
        Pin::new(wire).poll_flush(cx)
    }

    /// Ready with why the connection is over.
    fn turn(&mut self, cx: &mut Context<'_>, done: &mut Vec<Call>) -> Poll<RedisError> {
        loop {
            if let Poll::Ready(Err(error)) = self.flush(cx) {
                return Poll::Ready(error.into());
            }
            let Some(wire) = &mut self.wire else {
                return Poll::Ready(io::Error::from(io::ErrorKind::NotConnected).into());
            };
            self.input.reserve(CHUNK);
            match ready!(tokio_util::io::poll_read_buf(Pin::new(wire), cx, &mut self.input)) {
                Ok(0) => return Poll::Ready(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => {}
                Err(error) => return Poll::Ready(error.into()),
            }
            if let Err(error) = self.understand(done) {
                return Poll::Ready(error);
            }
        }
    }

    /// Hands what has come to whom it is for, in order.
    fn understand(&mut self, done: &mut Vec<Call>) -> Result<(), RedisError> {
        let mut rest = &self.input[..];
        while let Some(value) = self.replies.next(&mut rest)? {
            let Some(call) = self.waiting.front_mut() else {
                // It says so, and closes, where it has too many clients, or wants TLS.
                let Value::ServerError(error) = value else { return Err(torn("a reply to nobody")) };
                return Err(error.into());
            };
            if call.skip > 0 {
                call.skip -= 1;
                continue;
            }
            call.replies.push(value);
            call.missing -= 1;
            if call.missing == 0 {
                done.extend(self.waiting.pop_front());
            }
        }
        let used = self.input.len() - rest.len();
        self.input.drain(..used);
        if self.input.is_empty() && self.input.capacity() > 16 * CHUNK {
            self.input = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::redis::decode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    /// A server that answers `ECHO x` with x, and stops for good at `ECHO stop`.
    async fn serve(mut wire: DuplexStream, last: &[u8]) -> bool {
        let (mut reader, mut held) = (Reader::default(), Vec::new());
        loop {
            if wire.read_buf(&mut held).await.unwrap_or(0) == 0 {
                return true;
            }
            let mut rest = &held[..];
            while let Some(call) = reader.next(&mut rest).unwrap() {
                let words: Vec<_> =
                    decode::list(call).unwrap().into_iter().map(|w| decode::text(w).unwrap()).collect();
                match words.last().map(String::as_str) {
                    Some("stop") => {
                        wire.write_all(last).await.unwrap();
                        return false;
                    }
                    _ if words[0] == "CLIENT" => wire.write_all(b"-ERR unknown\r\n").await.unwrap(),
                    said => {
                        let said = said.unwrap_or_default();
                        wire.write_all(format!("${}\r\n{said}\r\n", said.len()).as_bytes()).await.unwrap();
                    }
                }
            }
            held = rest.to_vec();
        }
    }

    /// A socket whose wire takes so many bytes at a time.
    async fn open(room: usize, last: &'static [u8]) -> (Socket, tokio::task::JoinHandle<bool>) {
        let (near, far) = tokio::io::duplex(room);
        let server = tokio::spawn(serve(far, last));
        (Socket::new(&RedisConnectionInfo::default(), near).await.unwrap(), server)
    }

    async fn echo(socket: &Socket, text: &str) -> Result<String, RedisError> {
        socket.send(cmd("ECHO").arg(text)).await.map(|value| decode::text(value).unwrap())
    }

    #[tokio::test]
    async fn everyone_gets_the_answer_to_his_own_call_over_a_narrow_wire() {
        for room in [1, 7, 64, 1 << 16] {
            let (socket, server) = open(room, b"").await;
            let one = |n: usize| {
                let (socket, text) = (socket.clone(), format!("{n} {}", "x".repeat(n * 7)));
                async move { assert_eq!(echo(&socket, &text).await.unwrap(), text) }
            };
            futures_util::future::join_all((0..50).map(one)).await;
            drop(socket);
            assert!(server.await.unwrap(), "it is closed with its last clone");
        }
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_takes_its_answer_with_it() {
        let (socket, _server) = open(8, b"").await;
        for n in 0..20 {
            let (gone, text) = (cmd("ECHO").arg("given up").to_owned(), n.to_string());
            tokio::select! { biased; _ = socket.send(&gone) => panic!("not at once"), () = std::future::ready(()) => {} }
            assert_eq!(echo(&socket, &text).await.unwrap(), text);
        }
    }

    #[tokio::test]
    async fn what_is_torn_is_told_to_whom_it_was_for_and_the_others_are_told_that_it_is_over() {
        let (socket, _server) = open(1 << 16, b"?!\r\n").await;
        let (first, second) = tokio::join!(echo(&socket, "stop"), echo(&socket, "on"));
        assert_eq!(first.unwrap_err().kind(), ErrorKind::Parse);
        assert!(second.unwrap_err().is_connection_dropped());
        assert!(echo(&socket, "on").await.unwrap_err().is_connection_dropped());
    }

    #[tokio::test]
    async fn a_server_that_ends_is_noticed() {
        let (socket, _server) = open(1 << 16, b"").await;
        assert!(echo(&socket, "stop").await.unwrap_err().is_connection_dropped());
    }
}
