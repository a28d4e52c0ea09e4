//! Replies of RESP2 as they come, piece by piece, into the driver's own type.

use redis::{ErrorKind, RedisError, Value};

/// The longest text of a reply, as servers have it: 512 MiB.
const LONGEST: i64 = 512 << 20;
/// As deep as arrays of any command lie in each other, with room to spare.
const DEEPEST: usize = 32;
/// A length that is only announced gets no more room than this.
const ROOM: usize = 4_096;

/// What has come of a reply whose end has not.
#[derive(Default)]
pub(super) struct Reader {
    /// Arrays that are open, the innermost last, each with how many items are missing.
    open: Vec<(Vec<Value>, usize)>,
}

impl Reader {
    /// The next whole reply; takes from the front of `bytes` what it has understood. None
    /// until more has come.
    ///
    /// # Errors
    /// What comes is no reply, and nothing behind it can be understood.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Value>, RedisError> {
        loop {
            let Some(item) = self.item(bytes)? else { return Ok(None) };
            let Some(mut whole) = item else { continue };
            loop {
                let Some((items, missing)) = self.open.last_mut() else { return Ok(Some(whole)) };
                items.push(whole);
                *missing -= 1;
                if *missing > 0 {
                    break;
                }
                let Some((items, _)) = self.open.pop() else { return Ok(None) };
                whole = Value::Array(items);
            }
        }
    }

    /// One line, or one text; `Some(None)` where it has opened an array.
    fn item(&mut self, bytes: &mut &[u8]) -> Result<Option<Option<Value>>, RedisError> {
        let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
            return match bytes.len() {
                0..=65_536 => Ok(None),
                _ => Err(torn("a line without an end")),
            };
        };
        let (line, rest) = (&bytes[..end], &bytes[end + 2..]);
        let value = match line.first() {
            Some(b'$') => match length(line)? {
                None => Value::Nil,
                Some(length) => {
                    if rest.len() < length + 2 {
                        return Ok(None);
                    }
                    if &rest[length..length + 2] != b"\r\n" {
                        return Err(torn("a text is longer than it says"));
                    }
                    *bytes = &rest[length + 2..];
                    return Ok(Some(Some(Value::BulkString(rest[..length].to_vec()))));
                }
            },
            Some(b'*') => match length(line)? {
                None => Value::Nil,
                Some(0) => Value::Array(Vec::new()),
                Some(_) if self.open.len() >= DEEPEST => return Err(torn("arrays lie too deep")),
                Some(items) => {
                    self.open.push((Vec::with_capacity(items.min(ROOM)), items));
                    *bytes = rest;
                    return Ok(Some(None));
                }
            },
            Some(b':') => Value::Int(number(line)?),
            // Rare, and of many forms: the driver knows them.
            Some(b'+' | b'-') => redis::parse_redis_value(&bytes[..end + 2])?,
            _ => return Err(torn("an unknown kind of reply")),
        };
        *bytes = rest;
        Ok(Some(Some(value)))
    }
}

pub(super) fn torn(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Parse, what))
}

fn number(line: &[u8]) -> Result<i64, RedisError> {
    let text = std::str::from_utf8(&line[1..]).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| torn("a number that is none"))
}

/// A length; none for what is absent.
fn length(line: &[u8]) -> Result<Option<usize>, RedisError> {
    match number(line)? {
        -1 => Ok(None),
        length @ 0..=LONGEST => Ok(Some(length as usize)),
        _ => Err(torn("a length that cannot be")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All replies of a stream that comes in pieces of so many bytes.
    fn read(stream: &[u8], piece: usize) -> Result<Vec<Value>, RedisError> {
        let (mut reader, mut all, mut held) = (Reader::default(), Vec::new(), Vec::new());
        for piece in stream.chunks(piece) {
            held.extend_from_slice(piece);
            let mut rest = &held[..];
            while let Some(value) = reader.next(&mut rest)? {
                all.push(value);
            }
            held = rest.to_vec();
        }
        assert!(held.is_empty() && reader.open.is_empty(), "something is left of {stream:?}");
        Ok(all)
    }

    #[test]
    fn replies_are_what_the_driver_reads_however_they_are_cut() {
        let stream =
            b"+OK\r\n-MOVED 7 127.0.0.1:7000\r\n:-42\r\n$5\r\na\r\nb\0\r\n$-1\r\n$0\r\n\r\n*-1\r\n*0\r\n\
            *3\r\n*2\r\n:1\r\n$1\r\nx\r\n*1\r\n*0\r\n-ERR no\r\n+PONG\r\n";
        let whole = read(stream, stream.len()).unwrap();
        assert_eq!(whole.len(), 10);
        let parser = |from: usize, to: usize| redis::parse_redis_value(&stream[from..to]).unwrap();
        assert_eq!((&whole[0], &whole[1]), (&parser(0, 5), &parser(5, 31)));
        let nested = stream.windows(2).position(|pair| pair == b"*3").unwrap();
        assert_eq!(whole[8], parser(nested, stream.len() - 7));
        for piece in 1..stream.len() {
            assert_eq!(read(stream, piece).unwrap(), whole, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_reply_is_an_error_and_takes_no_room() {
        let deep = "*1\r\n".repeat(DEEPEST + 1);
        let long = "x".repeat(70_000);
        for stream in
            ["HTTP/1.1 400\r\n", "$-2\r\n", "$x\r\n", "*9999999999999\r\n", "$1\r\nabc\r\n", &deep, &long]
        {
            let error = read(stream.as_bytes(), 1 << 20).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Parse, "{}", &stream[..stream.len().min(20)]);
        }
        let (mut reader, mut bytes) = (Reader::default(), &b"*536870912\r\n:1\r\n"[..]);
        assert!(reader.next(&mut bytes).unwrap().is_none() && reader.open[0].0.capacity() <= ROOM);
    }
}
