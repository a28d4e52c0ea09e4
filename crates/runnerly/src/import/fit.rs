//! FIT: binary messages; records are the samples, the session has the totals, the activity the local clock.

use super::Lap;
use super::track::{Sample, Track, range};
use chrono::{DateTime, Utc};
use fitparser::de::{FitDataMessage, FitObject, FitStreamProcessor};
use fitparser::profile::MesgNum;
use fitparser::{FitDataField, Value};
use std::ops::RangeInclusive;

/// The most messages of any sort; a device writes a handful per sample.
const MAX_MESSAGES: usize = 4 * super::MAX_SAMPLES;

pub(super) fn read(bytes: &[u8]) -> Result<Track, String> {
    let mut rest = whole_file(bytes)?;
    let mut processor = FitStreamProcessor::new();
    let mut track = Track::default();
    let (mut messages, mut sessions) = (0, 0);
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let (after, object) = processor.deserialize_next(rest).map_err(|error| broken(at, &error))?;
        rest = after;
        let FitObject::DataMessage(message) = object else {
            continue;
        };
        messages += 1;
        if messages > MAX_MESSAGES {
            return Err(format!("has more than {MAX_MESSAGES} FIT messages"));
        }
        let number = MesgNum::from(message.global_message_number());
        if number == MesgNum::Activity {
            track.offset_s = local_offset(&message);
        }
        // Every message is decoded, because later ones can depend on its time; most are of no further interest.
        let decoded = processor.decode_message(message);
        let wanted = matches!(number, MesgNum::Record | MesgNum::Session | MesgNum::Lap);
        let fields = match decoded {
            Ok(record) if wanted => Fields(record.into_vec()),
            Err(error) if wanted => return Err(broken(at, &error)),
            _ => continue,
        };
        match number {
            MesgNum::Record => track.push(sample(&fields))?,
            MesgNum::Session => {
                sessions += 1;
                session(&mut track, &fields);
            }
            _ => track.laps.extend(lap(&fields)),
        }
    }
    match (sessions, track.samples.len()) {
        (_, 0) => Err("is FIT without a record: not an activity".to_owned()),
        (0 | 1, _) => Ok(track),
        _ => Err(format!("holds {sessions} sessions; only files with one are accepted")),
    }
}

/// The first FIT file in `bytes`, whose header says how long it must be.
fn whole_file(bytes: &[u8]) -> Result<&[u8], String> {
    let header = usize::from(bytes[0]);
    if header != 12 && header != 14 {
        return Err(format!("has a FIT header of {header} bytes; allowed are 12 and 14"));
    }
    let size = bytes.get(4..8).and_then(|size| size.try_into().ok()).map_or(0, u32::from_le_bytes);
    let needed = header + size as usize + 2;
    bytes.get(..needed).ok_or_else(|| format!("is cut off: it has {} bytes of {needed}", bytes.len()))
}

fn broken(at: usize, error: &fitparser::Error) -> String {
    // Not the error's Display: for a wrong checksum it would carry the rest of the file along.
    let what = match error.as_ref() {
        fitparser::ErrorKind::InvalidCrc(..) => "its checksum is wrong",
        fitparser::ErrorKind::MissingDefinitionMessage(..) => "a message lacks its definition",
        fitparser::ErrorKind::MissingDeveloperDefinitionMessage() => "a developer field lacks its definition",
        _ => "a message cannot be decoded",
    };
    format!("is damaged at byte {at}: {what}")
}

struct Fields(Vec<FitDataField>);

impl Fields {
    fn value(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|field| field.name() == name).map(FitDataField::value)
    }

    /// A number; what a sensor reports out of range counts as no reading.
    fn number(&self, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let number: f64 = self.value(name)?.clone().try_into().ok()?;
        range.contains(&number).then_some(number)
    }

    fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Some(Value::String(text)) => text,
            _ => "",
        }
    }

    fn time(&self, name: &str) -> Option<DateTime<Utc>> {
        match self.value(name) {
            Some(Value::Timestamp(at)) => Some(at.with_timezone(&Utc)),
            _ => None,
        }
    }
}

fn sample(fields: &Fields) -> Sample {
    let degrees = |name: &str, range| {
        let semicircles = fields.number(name, -2_147_483_648.0..=2_147_483_647.0)?;
        Some(semicircles * (180.0 / 2_147_483_648.0))
            .filter(|degrees| RangeInclusive::contains(&range, degrees))
    };
    let altitude = fields.number("enhanced_altitude", range::ALTITUDE);
    let whole = fields.number("cadence", range::RATE);
    Sample {
        at: fields.time("timestamp"),
        position: degrees("position_lat", range::LATITUDE)
            .zip(degrees("position_long", range::LONGITUDE))
            .map(|(latitude, longitude)| [latitude, longitude]),
        altitude: altitude.or_else(|| fields.number("altitude", range::ALTITUDE)),
        distance: fields.number("distance", range::DISTANCE),
        hr: fields.number("heart_rate", range::RATE),
        cadence: whole.map(|whole| whole + fields.number("fractional_cadence", 0.0..=1.0).unwrap_or(0.0)),
        begins: false,
    }
}

fn session(track: &mut Track, fields: &Fields) {
    track.sport = sport(fields.text("sport"), fields.text("sub_sport")).to_owned();
    track.distance_m = fields.number("total_distance", range::DISTANCE);
    track.timer_s = fields.number("total_timer_time", range::SECONDS);
    track.elapsed_s = fields.number("total_elapsed_time", range::SECONDS);
    track.gain_m = fields.number("total_ascent", range::ALTITUDE);
    track.average_hr = fields.number("avg_heart_rate", range::RATE);
    track.max_hr = fields.number("max_heart_rate", range::RATE);
}

fn lap(fields: &Fields) -> Option<Lap> {
    let seconds = fields.number("total_timer_time", range::SECONDS)?;
    Some(Lap { seconds, distance_m: fields.number("total_distance", range::DISTANCE) })
}

/// The wall clock's offset, from the raw numbers: decoded, a local time would pass through this machine's time zone.
fn local_offset(message: &FitDataMessage) -> Option<i64> {
    const TIMESTAMP: u8 = 253;
    const LOCAL_TIMESTAMP: u8 = 5;
    let raw = |field: u8| -> Option<i64> { message.fields().get(&field)?.clone().try_into().ok() };
    let offset = raw(LOCAL_TIMESTAMP)?.checked_sub(raw(TIMESTAMP)?)?;
    // Zones lie a multiple of 15 minutes from UTC; some devices write the two times a second apart.
    let quarter = (offset as f64 / 900.0).round() as i64 * 900;
    (offset.abs() <= 14 * 3600 && (offset - quarter).abs() <= 60).then_some(quarter)
}

fn sport(sport: &str, sub_sport: &str) -> &'static str {
    match (sport, sub_sport) {
        ("running", "trail") => "TrailRun",
        ("running", "virtual_activity") => "VirtualRun",
        ("running" | "", _) => "Run",
        ("cycling", _) => "Ride",
        ("walking", _) => "Walk",
        ("hiking", _) => "Hike",
        ("swimming", _) => "Swim",
        _ => "Workout",
    }
}
