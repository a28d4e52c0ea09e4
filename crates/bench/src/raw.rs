//! What Redis can do: a bare client that writes the same bytes into the same layout (ids in
//! a list, records in one hash, a lease for each batch), with no handler behind it.
//!
//! A batch is moved natively (`SORT … STORE`, no id passes through Lua), read by one HMGET,
//! and settled by plain commands without a look at the lease: less than any queue that
//! fences can do. One write settles a batch, reads the next and leases the one after.

use anyhow::{Result, bail};
use std::io::{Read, Write};
use std::net::TcpStream;

/// What becomes of finished jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    /// The record stays where it is, and its id in a list of the finished, at most 10,000.
    Records,
    /// And a result beside it.
    Results,
}

const KEEP: i64 = 10_000;
/// As much as a result of the measured handler takes.
const RESULT: &[u8] = b"\"done, and this is my word\"";

const LEASE: &str = "local n = redis.call('SORT', KEYS[1], 'BY', 'nosort', 'LIMIT', 0, ARGV[1], 'STORE', KEYS[2]) \
    if n > 0 then redis.call('LTRIM', KEYS[1], n, -1) redis.call('ZADD', KEYS[3], ARGV[2], KEYS[2]) end return n";

/// A connection that writes what it is told and reads what it must.
pub(crate) struct Raw {
    stream: TcpStream,
    out: Vec<u8>,
    buf: Vec<u8>,
    at: usize,
}

impl Raw {
    pub(crate) fn connect(port: u16) -> Result<Raw> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        Ok(Raw { stream, out: Vec::new(), buf: Vec::new(), at: 0 })
    }

    /// Begins a command of `count` words, the first one given.
    fn begin(&mut self, count: usize, name: &str) {
        self.out.extend_from_slice(format!("*{count}\r\n").as_bytes());
        self.word(name.as_bytes());
    }

    fn word(&mut self, word: &[u8]) {
        let mut digits = [0; 20];
        let (mut n, mut at) = (word.len(), 20);
        loop {
            at -= 1;
            digits[at] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                break;
            }
        }
        self.out.push(b'$');
        self.out.extend_from_slice(&digits[at..]);
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(word);
        self.out.extend_from_slice(b"\r\n");
    }

    fn command(&mut self, words: &[&str]) {
        self.begin(words.len(), words[0]);
        words[1..].iter().for_each(|word| self.word(word.as_bytes()));
    }

    fn send(&mut self) -> Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        if self.at == self.buf.len() {
            self.buf.clear();
            self.at = 0;
        }
        let (old, room) = (self.buf.len(), 64 * 1024);
        self.buf.resize(old + room, 0);
        let n = self.stream.read(&mut self.buf[old..])?;
        self.buf.truncate(old + n);
        if n == 0 {
            bail!("redis-server has closed the connection");
        }
        Ok(())
    }

    /// The first letter of a reply and the number or text behind it.
    fn head(&mut self) -> Result<(u8, String)> {
        loop {
            if let Some(n) = self.buf[self.at..].iter().position(|b| *b == b'\n') {
                let line = &self.buf[self.at..self.at + n - 1];
                let (kind, text) = (line[0], String::from_utf8_lossy(&line[1..]).into_owned());
                self.at += n + 1;
                if kind == b'-' {
                    bail!("redis: {text}");
                }
                return Ok((kind, text));
            }
            self.fill()?;
        }
    }

    /// The bytes of a bulk string, whose length is known.
    fn bytes(&mut self, length: usize) -> Result<&[u8]> {
        while self.buf.len() - self.at < length + 2 {
            self.fill()?;
        }
        self.at += length + 2;
        Ok(&self.buf[self.at - length - 2..self.at - 2])
    }

    /// Reads one reply and hands every bulk string in it to `each`; the number of them, or the
    /// number that the reply is.
    fn reply(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<i64> {
        let (kind, text) = self.head()?;
        match kind {
            b'+' => Ok(0),
            b':' => Ok(text.parse()?),
            b'$' => match text.parse::<i64>()? {
                -1 => Ok(0),
                length => {
                    each(self.bytes(length as usize)?);
                    Ok(1)
                }
            },
            b'*' => {
                let mut count = 0;
                for _ in 0..text.parse::<i64>()? {
                    count += self.reply(each)?;
                }
                Ok(count)
            }
            other => bail!("redis: an answer that begins with {other}"),
        }
    }

    /// Sends one command and returns the text of its answer.
    pub(crate) fn ask(&mut self, words: &[&str]) -> Result<String> {
        self.command(words);
        self.send()?;
        let mut text = String::new();
        self.reply(&mut |bytes| text.push_str(&String::from_utf8_lossy(bytes)))?;
        Ok(text)
    }

    /// Sends one command and returns the number that its answer is.
    pub(crate) fn count(&mut self, words: &[&str]) -> Result<i64> {
        self.command(words);
        self.send()?;
        self.reply(&mut |_| ())
    }

    /// Enqueues jobs in one write: records into the hash, ids at the end of the list.
    pub(crate) fn enqueue(&mut self, jobs: &[(Id, Vec<u8>)]) -> Result<()> {
        self.begin(2 + 2 * jobs.len(), "HSET");
        self.word(b"jobs");
        for (id, record) in jobs {
            self.word(id);
            self.word(record);
        }
        self.begin(2 + jobs.len(), "RPUSH");
        self.word(b"q");
        jobs.iter().for_each(|(id, _)| self.word(id));
        self.send()?;
        self.reply(&mut |_| ())?;
        self.reply(&mut |_| ()).map(drop)
    }

    /// Waits for an id, moves it into a list of leased ones and reads its record.
    pub(crate) fn take_one(&mut self) -> Result<Vec<u8>> {
        self.command(&["BLMOVE", "q", "leased", "LEFT", "RIGHT", "5"]);
        self.send()?;
        let mut id = Vec::new();
        self.reply(&mut |bytes| id = bytes.to_vec())?;
        self.begin(3, "HMGET");
        self.word(b"jobs");
        self.word(&id);
        self.send()?;
        let mut record = Vec::new();
        self.reply(&mut |bytes| record = bytes.to_vec())?;
        Ok(record)
    }

    /// Leases and settles batches until nothing is left; how many jobs that were.
    pub(crate) fn drain(&mut self, lane: usize, batch: usize, kept: Kept) -> Result<usize> {
        let sha = self.ask(&["SCRIPT", "LOAD", LEASE])?;
        let (mut read, mut leased): (Held, Held) = Default::default();
        let (mut done, mut turn) = (0, 0);
        loop {
            turn += 1;
            let name = format!("b:{lane}:{turn}");
            let settling = std::mem::replace(&mut read, std::mem::take(&mut leased));
            let mut skip = self.settle(&settling, kept);
            if !read.ids.is_empty() {
                self.begin(2 + read.ids.len(), "HMGET");
                self.word(b"jobs");
                read.ids.iter().for_each(|id| self.word(id));
            }
            self.command(&["EVALSHA", &sha, "3", "q", &name, "leases", &batch.to_string(), "1"]);
            self.command(&["LRANGE", &name, "0", "-1"]);
            self.send()?;
            done += settling.ids.len();
            while skip > 0 {
                self.reply(&mut |_| ())?;
                skip -= 1;
            }
            if !read.ids.is_empty() {
                let came = self.reply(&mut |record| _ = std::hint::black_box(record.len()))?;
                if came as usize != read.ids.len() {
                    bail!("{} records read, {came} came", read.ids.len());
                }
            }
            self.reply(&mut |_| ())?;
            leased.name = name;
            let ids = &mut leased.ids;
            self.reply(&mut |id| ids.extend(<Id>::try_from(id)))?;
            if leased.ids.is_empty() && read.ids.is_empty() {
                return Ok(done);
            }
        }
    }

    /// Writes what ends a batch; how many replies will come.
    fn settle(&mut self, batch: &Held, kept: Kept) -> usize {
        if batch.ids.is_empty() {
            return 0;
        }
        self.command(&["UNLINK", &batch.name]);
        self.command(&["ZREM", "leases", &batch.name]);
        if kept == Kept::Nothing {
            self.forget("jobs", &batch.ids);
            return 3;
        }
        self.begin(2 + batch.ids.len(), "RPUSH");
        self.word(b"finished");
        batch.ids.iter().for_each(|id| self.word(id));
        self.command(&["LTRIM", "finished", &(-KEEP).to_string(), "-1"]);
        // As many as come go: which ones makes no difference to what it costs.
        self.forget("jobs", &batch.ids);
        if kept == Kept::Records {
            return 5;
        }
        self.begin(2 + 2 * batch.ids.len(), "HSET");
        self.word(b"results");
        for id in &batch.ids {
            self.word(id);
            self.word(RESULT);
        }
        self.forget("results", &batch.ids);
        7
    }

    fn forget(&mut self, hash: &str, ids: &[Id]) {
        self.begin(2 + ids.len(), "HDEL");
        self.word(hash.as_bytes());
        ids.iter().for_each(|id| self.word(id));
    }
}

/// As it stands in the list.
pub(crate) type Id = [u8; 16];

#[derive(Default)]
struct Held {
    name: String,
    ids: Vec<Id>,
}
