//! Runs from files: GPX, TCX and FIT, recognised by what they contain, whatever they are called.
//!
//! Files are hostile until proven otherwise: their size, depth and number of samples are capped, XML with a document
//! type (and so with entities of its own) is refused, numbers must be finite and in range, and a parser that panics
//! ends in an error. Parsing can take a second of pure computation: call it off the async threads.
//!
//! | file | what it does |
//! |---|---|
//! | `gpx.rs`, `tcx.rs`, `fit.rs` | one format each: bytes to samples |
//! | `xml.rs` | walks XML, for GPX and TCX |
//! | `track.rs` | samples to totals and streams, for all |

mod fit;
mod gpx;
mod tcx;
mod track;
mod xml;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod recorded;

use crate::run::{Activity, Source, Streams};
use chrono::{DateTime, NaiveDateTime, Utc};
use chrono_tz::Tz;

/// The largest file accepted: 32 MiB.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The most samples accepted: almost six days at one per second.
pub const MAX_SAMPLES: usize = 500_000;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// GPS Exchange Format, XML.
    Gpx,
    /// Garmin Training Center, XML.
    Tcx,
    /// Garmin Flexible and Interoperable Data Transfer, binary.
    Fit,
}

/// Where [`Imported::start_local`] comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalClock {
    /// The file says: an offset in its timestamps, or the local timestamp of a FIT file.
    File,
    /// Guessed from the longitude of the start: the nearest whole hour of solar time, often an hour off.
    Longitude,
    /// The file has neither an offset nor a position: UTC.
    Utc,
    /// The time zone that the caller gave to [`Imported::in_zone`].
    Zone,
}

/// One lap, as the device counted it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lap {
    /// Seconds the timer ran.
    pub seconds: f64,
    /// Metres covered, if the file says.
    pub distance_m: Option<f64>,
}

/// A run read from a file.
///
/// Totals are the device's own where the file has them (the session of a FIT file, the laps of a TCX file), else they
/// are computed from the samples; so they can differ from the last sample by a few metres or seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// A negative id derived from the bytes of the file: the same file has the same id.
    pub id: i64,
    /// The format it was read as.
    pub format: Format,
    /// Its title, or the name of the file without its ending.
    pub name: String,
    /// Strava's name of the sport: `Run` where the file does not say, `Workout` where it is not one we know.
    pub sport: String,
    /// The instant of the first sample.
    pub start: DateTime<Utc>,
    /// The wall clock at the start.
    pub start_local: NaiveDateTime,
    /// How `start_local` was found.
    pub local_clock: LocalClock,
    /// Metres covered.
    pub distance_m: f64,
    /// Seconds in motion: the device's timer, or what the samples say.
    pub moving_s: i64,
    /// Seconds from start to end.
    pub elapsed_s: i64,
    /// Metres climbed.
    pub gain_m: f64,
    /// Mean heart rate in beats per minute.
    pub average_hr: Option<f64>,
    /// Highest heart rate in beats per minute.
    pub max_hr: Option<f64>,
    /// Mean cadence in steps per minute of one leg.
    pub average_cadence: Option<f64>,
    /// The laps, if the file has any.
    pub laps: Vec<Lap>,
    /// The samples. A missing reading repeats its neighbour. They are [valid](Streams::validate).
    pub streams: Streams,
}

impl Imported {
    /// The same run with the wall clock of a known time zone, unless the file itself says what the clock showed.
    pub fn in_zone(mut self, zone: Tz) -> Self {
        if self.local_clock != LocalClock::File {
            self.start_local = self.start.with_timezone(&zone).naive_local();
            self.local_clock = LocalClock::Zone;
        }
        self
    }

    /// The activity to store for this athlete, and its streams.
    pub fn into_activity(self, athlete: i64) -> (Activity, Streams) {
        let activity = Activity {
            id: self.id,
            athlete,
            name: self.name,
            sport: self.sport,
            start: self.start,
            start_local: self.start_local,
            timezone: None,
            distance_m: self.distance_m,
            moving_s: self.moving_s,
            elapsed_s: self.elapsed_s,
            gain_m: self.gain_m,
            average_hr: self.average_hr,
            max_hr: self.max_hr,
            average_cadence: self.average_cadence,
            workout_type: None,
            gear: None,
            private: false,
            source: Source::File,
        };
        (activity, self.streams)
    }
}

/// Why a file was refused: one line that names the file and what was wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct ImportError {
    /// The name of the file, made safe to print.
    pub file: String,
    /// What was wrong, and what is allowed.
    pub reason: String,
}

/// Reads a run from the content of a file; `name` serves for the title and for errors.
///
/// ```
/// let gpx = br#"<gpx><trk><trkseg>
///     <trkpt lat="50.0" lon="8.0"><time>2024-05-01T06:00:00+02:00</time></trkpt>
///     <trkpt lat="50.001" lon="8.0"><time>2024-05-01T06:00:30+02:00</time></trkpt>
/// </trkseg></trk></gpx>"#;
/// let run = runnerly::import::parse("easy.gpx", gpx).unwrap();
/// assert_eq!((run.name.as_str(), run.moving_s, run.distance_m.round()), ("easy", 30, 111.0));
/// assert_eq!(run.start_local.to_string(), "2024-05-01 06:00:00");
///
/// let error = runnerly::import::parse("me.png", b"\x89PNG\r\n").unwrap_err();
/// assert_eq!(error.to_string(), "me.png: is not a GPX, TCX or FIT file");
/// ```
///
/// # Errors
/// Anything that is not a complete, sane file of one of the formats.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Imported, ImportError> {
    let parsed = std::panic::catch_unwind(|| read(name, bytes));
    parsed
        .unwrap_or_else(|_| Err("is damaged in a way that its parser did not expect".to_owned()))
        .map_err(|reason| ImportError { file: printable(name), reason })
}

fn read(name: &str, bytes: &[u8]) -> Result<Imported, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("has {} bytes; allowed are {MAX_BYTES} (32 MiB)", bytes.len()));
    }
    let (format, track) = match format(bytes)? {
        (Format::Gpx, text) => (Format::Gpx, gpx::read(text)?),
        (Format::Tcx, text) => (Format::Tcx, tcx::read(text)?),
        (Format::Fit, _) => (Format::Fit, fit::read(bytes)?),
    };
    let mut imported = track::assemble(track, format)?;
    imported.id = id(bytes);
    if imported.name.is_empty() {
        let stem = name.rsplit(['/', '\\']).next().unwrap_or(name);
        imported.name = title(stem.rsplit_once('.').map_or(stem, |(stem, _)| stem));
    }
    Ok(imported)
}

/// The format, and for XML the text.
fn format(bytes: &[u8]) -> Result<(Format, &str), String> {
    match bytes {
        [] => return Err("is empty".to_owned()),
        [0x1f, 0x8b, ..] => return Err("is compressed with gzip; unpack it first".to_owned()),
        [b'P', b'K', 3, 4, ..] => return Err("is a ZIP archive; unpack it first".to_owned()),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            return Err("is UTF-16; XML must be UTF-8".to_owned());
        }
        _ => {}
    }
    if bytes.get(8..12) == Some(b".FIT") {
        return Ok((Format::Fit, ""));
    }
    let body = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if !body.starts_with(b"<") {
        return Err("is not a GPX, TCX or FIT file".to_owned());
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        format!("is not UTF-8 at byte {}", bytes.len() - body.len() + error.valid_up_to())
    })?;
    match xml::root(text)?.as_str() {
        "gpx" => Ok((Format::Gpx, text)),
        "TrainingCenterDatabase" => Ok((Format::Tcx, text)),
        other => Err(format!("is XML, but its root <{}> is neither GPX nor TCX", printable(other))),
    }
}

/// A negative id that fits a double exactly, from the FNV-1a hash of the content.
fn id(bytes: &[u8]) -> i64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    -(((hash ^ (hash >> 52)) & ((1 << 52) - 1)) as i64) - 1
}

/// Text from a file on one line of bounded length.
fn printable(text: &str) -> String {
    let shown: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
    if shown.is_empty() { "file".to_owned() } else { shown }
}

/// A title: on one line, of bounded length, maybe empty.
fn title(text: &str) -> String {
    let line: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    line.trim().to_owned()
}
