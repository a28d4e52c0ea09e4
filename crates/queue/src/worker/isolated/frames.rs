//! What parent and child say to each other.

use crate::backend::{Note, StepView};
use crate::failure::Verdict;
use crate::worker::hold::Why;
use crate::{Failure, JobId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io;

/// No frame is larger: four times what a job's steps may hold, and a good payload.
const MAX: usize = 64 << 20;

/// To the child.
#[derive(Serialize, Deserialize)]
pub(super) enum Order {
    Run(Box<Job>),
    /// The handler's token fires.
    End(Why),
    /// The worker stops.
    Stop,
    /// To the question of this number.
    Answer(u64, Answer),
}

/// A job to be run.
#[derive(Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) id: JobId,
    /// The encoded envelope.
    pub(super) record: String,
    pub(super) attempt: u32,
    pub(super) max_attempts: u32,
    pub(super) token: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    /// Whether the lease was still held.
    Noted(bool),
    Told {
        steps: Vec<StepView>,
        cursor: Option<Box<RawValue>>,
    },
    /// What is remembered cannot be opened, and what becomes of the job therefore.
    Untold {
        verdict: Verdict,
        message: String,
    },
    /// Whether what was asked is not allowed, and why; else the backend is away.
    Failed(bool, String),
}

/// From the child.
#[derive(Serialize, Deserialize)]
pub(super) enum Word {
    Ready,
    /// Questions, by number.
    Note(u64, Note),
    Told(u64),
    /// The handler has ended.
    Done(Option<Box<RawValue>>),
    Failed {
        verdict: Verdict,
        message: String,
    },
}

impl From<Result<Option<Box<RawValue>>, Failure>> for Word {
    fn from(said: Result<Option<Box<RawValue>>, Failure>) -> Word {
        match said {
            Ok(result) => Word::Done(result),
            Err(Failure { verdict, message }) => Word::Failed { verdict, message },
        }
    }
}

/// A frame as bytes.
pub(super) fn encode<T: Serialize>(frame: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, frame)?;
    let size = bytes.len() - 4;
    let head = u32::try_from(size).ok().filter(|_| size <= MAX);
    let head = head.ok_or_else(|| io::Error::other(format!("a frame of {size} bytes is too large")))?;
    bytes[..4].copy_from_slice(&head.to_be_bytes());
    Ok(bytes)
}

/// The size that a frame's head says.
pub(super) fn size(head: [u8; 4]) -> io::Result<usize> {
    let size = u32::from_be_bytes(head) as usize;
    if size > MAX {
        return Err(io::Error::other(format!("a frame of {size} bytes is too large")));
    }
    Ok(size)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(bytes)?)
}

/// Frames of any bytes, to either side; see `testing/fuzz.rs`.
#[cfg(feature = "testing")]
pub(crate) fn fuzz(data: &[u8]) -> bool {
    fn same<T: Serialize + DeserializeOwned>(data: &[u8]) -> bool {
        let Ok(one) = decode::<T>(data) else { return false };
        let bytes = encode(&one).expect("it is written");
        let head = bytes[..4].try_into().expect("four bytes");
        assert_eq!(size(head).expect("not too large"), bytes.len() - 4);
        let two: T = decode(&bytes[4..]).expect("what was written is read");
        assert_eq!(encode(&two).expect("it is written"), bytes);
        true
    }
    if let Some(head) = data.first_chunk() {
        assert!(size(*head).is_ok_and(|size| size <= MAX) || u32::from_be_bytes(*head) as usize > MAX);
    }
    same::<Order>(data) | same::<Word>(data)
}
