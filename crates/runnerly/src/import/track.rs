//! From samples, as the formats deliver them, to totals and streams.

use super::{Format, Imported, LocalClock, MAX_SAMPLES};
use crate::run::{Streams, fill_gaps};
use crate::stats::{climb, splits};
use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, Utc};

/// One sample.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    pub(super) at: Option<DateTime<Utc>>,
    /// Latitude and longitude in degrees.
    pub(super) position: Option<[f64; 2]>,
    pub(super) altitude: Option<f64>,
    /// Metres since the start.
    pub(super) distance: Option<f64>,
    pub(super) hr: Option<f64>,
    /// Steps per minute of one leg.
    pub(super) cadence: Option<f64>,
    /// Whether recording began anew here: the way from the sample before was not recorded.
    pub(super) begins: bool,
}

/// What one file holds. Totals are there if the device counted them itself.
#[derive(Debug, Default)]
pub(super) struct Track {
    pub(super) name: String,
    pub(super) sport: String,
    /// The offset of the wall clock from UTC, in seconds.
    pub(super) offset_s: Option<i64>,
    pub(super) distance_m: Option<f64>,
    pub(super) timer_s: Option<f64>,
    pub(super) elapsed_s: Option<f64>,
    pub(super) gain_m: Option<f64>,
    pub(super) average_hr: Option<f64>,
    pub(super) max_hr: Option<f64>,
    pub(super) laps: Vec<super::Lap>,
    pub(super) samples: Vec<Sample>,
}

impl Track {
    /// Adds a sample, unless there are too many.
    pub(super) fn push(&mut self, sample: Sample) -> Result<(), String> {
        if self.samples.len() == MAX_SAMPLES {
            return Err(format!("has more than {MAX_SAMPLES} samples"));
        }
        self.samples.push(sample);
        Ok(())
    }
}

/// Totals and streams of a track; its id is not set yet.
pub(super) fn assemble(mut track: Track, format: Format) -> Result<Imported, String> {
    order(&mut track.samples)?;
    let samples = &track.samples;
    let times: Vec<_> = samples.iter().filter_map(|sample| sample.at).collect();
    let (Some(start), Some(end)) = (times.first().copied(), times.last().copied()) else {
        return Err("has no sample with a time".to_owned());
    };
    let streams = streams(samples, &times, start);
    streams.validate().map_err(|invalid| format!("does not make sense: {invalid}"))?;
    let between = (end - start).num_milliseconds() as f64 / 1000.0;
    // The timer of a device can run a little longer than from its first to its last sample.
    let elapsed = track.elapsed_s.unwrap_or(between).max(track.timer_s.unwrap_or(0.0));
    let covered = streams.distance.last().copied().unwrap_or(0.0);
    let climbed = streams.altitude.as_ref().map(|altitude| climb::gain(altitude, climb::THRESHOLD_M));
    let measured_hr = samples.iter().filter_map(|sample| sample.hr);
    let (start_local, local_clock) = wall_clock(start, &track);
    Ok(Imported {
        id: 0,
        format,
        start,
        start_local,
        local_clock,
        distance_m: track.distance_m.unwrap_or(covered),
        moving_s: track
            .timer_s
            .map_or_else(|| splits::moving_seconds(&streams), |timer| timer.round() as i64),
        elapsed_s: elapsed.round() as i64,
        gain_m: track.gain_m.or(climbed).unwrap_or(0.0),
        average_hr: track.average_hr.or_else(|| mean(samples, &streams, |sample| sample.hr)),
        max_hr: track.max_hr.or_else(|| measured_hr.reduce(f64::max)),
        average_cadence: mean(samples, &streams, |sample| sample.cadence),
        name: super::title(&track.name),
        sport: track.sport,
        laps: track.laps,
        streams,
    })
}

/// Keeps the samples that have a time and do not step back in it.
fn order(samples: &mut Vec<Sample>) -> Result<(), String> {
    let mut latest: Option<DateTime<Utc>> = None;
    samples.retain(|sample| {
        let forward = sample.at.is_some_and(|at| latest.is_none_or(|latest| at >= latest));
        if forward {
            latest = sample.at;
        }
        forward
    });
    let (Some(first), Some(last)) = (samples.first().and_then(|sample| sample.at), latest) else {
        return Ok(());
    };
    if first.year() < 1980 || last.year() > 2099 {
        return Err(format!("runs from {first} to {last}; allowed is 1980 to 2099"));
    }
    if last - first > TimeDelta::days(366) {
        return Err(format!("runs from {first} to {last}; allowed is a year at most"));
    }
    Ok(())
}

fn streams(samples: &[Sample], times: &[DateTime<Utc>], start: DateTime<Utc>) -> Streams {
    let second = |at: &DateTime<Utc>| ((*at - start).num_milliseconds() as f64 / 1000.0).round() as i64;
    let stream =
        |value: fn(&Sample) -> Option<f64>| fill_gaps(&samples.iter().map(value).collect::<Vec<_>>());
    Streams {
        time: times.iter().map(second).collect(),
        distance: distances(samples),
        altitude: stream(|sample| sample.altitude),
        heartrate: stream(|sample| sample.hr),
        cadence: stream(|sample| sample.cadence),
        latlng: fill_gaps(&samples.iter().map(|sample| sample.position).collect::<Vec<_>>()),
        moving: None,
        grade: None,
    }
}

/// Metres since the first sample: what the device counted if it did, else the way along the positions.
fn distances(samples: &[Sample]) -> Vec<f64> {
    let counted: Vec<_> = samples.iter().map(|sample| sample.distance).collect();
    if counted.iter().flatten().any(|metres| *metres > 0.0) {
        let mut last = 0.0;
        return counted
            .into_iter()
            .map(|metres| {
                last = metres.unwrap_or(last);
                last
            })
            .collect();
    }
    let (mut way, mut before) = (0.0, None);
    samples
        .iter()
        .map(|sample| {
            if let Some(position) = sample.position {
                if let (Some(before), false) = (before, sample.begins) {
                    way += haversine(before, position);
                }
                before = Some(position);
            }
            way
        })
        .collect()
}

/// Metres between two points on a sphere with the Earth's mean radius.
fn haversine(from: [f64; 2], to: [f64; 2]) -> f64 {
    const RADIUS: f64 = 6_371_000.0;
    let [from, to] = [from, to].map(|[lat, lng]| [lat.to_radians(), lng.to_radians()]);
    let half = |axis: usize| ((to[axis] - from[axis]) / 2.0).sin().powi(2);
    let chord = half(0) + from[0].cos() * to[0].cos() * half(1);
    2.0 * RADIUS * chord.clamp(0.0, 1.0).sqrt().asin()
}

/// The mean in motion of the readings there are, each weighted by the time since the sample before.
fn mean(samples: &[Sample], streams: &Streams, value: fn(&Sample) -> Option<f64>) -> Option<f64> {
    let moving = splits::moving(streams);
    let measured = (1..samples.len()).filter(|k| moving[*k]);
    splits::weighted_mean(measured.filter_map(|k| Some((value(&samples[k])?, splits::interval(streams, k)))))
}

fn wall_clock(start: DateTime<Utc>, track: &Track) -> (NaiveDateTime, LocalClock) {
    let shifted = |seconds: i64| (start + TimeDelta::seconds(seconds)).naive_utc();
    let position = track.samples.iter().find_map(|sample| sample.position);
    match (track.offset_s, position) {
        (Some(offset), _) => (shifted(offset), LocalClock::File),
        (None, Some([_, lng])) => (shifted((lng / 15.0).round() as i64 * 3600), LocalClock::Longitude),
        (None, None) => (start.naive_utc(), LocalClock::Utc),
    }
}

/// Reads a number that must be finite and within `range`.
pub(super) fn number(field: &str, text: &str, range: std::ops::RangeInclusive<f64>) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(value) if range.contains(&value) => Ok(value),
        Ok(value) => Err(format!("{field} is {value}; allowed is {} to {}", range.start(), range.end())),
        Err(_) => Err(format!("{field} is {:?}; expected a number", super::printable(text))),
    }
}

/// Reads a time, and its offset from UTC if it is written as an offset and not as `Z`. Without either it is UTC.
pub(super) fn time(field: &str, text: &str) -> Result<(DateTime<Utc>, Option<i64>), String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        let offset = (!text.ends_with(['Z', 'z'])).then(|| i64::from(at.offset().local_minus_utc()));
        return Ok((at.with_timezone(&Utc), offset));
    }
    match text.parse::<NaiveDateTime>() {
        Ok(at) => Ok((at.and_utc(), None)),
        Err(_) => {
            let shown = super::printable(text);
            Err(format!("{field} is {shown:?}; expected a time such as 2024-05-01T06:00:00Z"))
        }
    }
}

/// Ranges of readings, as wide as any runner or sensor needs.
pub(super) mod range {
    use std::ops::RangeInclusive;
    pub(in super::super) const LATITUDE: RangeInclusive<f64> = -90.0..=90.0;
    pub(in super::super) const LONGITUDE: RangeInclusive<f64> = -180.0..=180.0;
    pub(in super::super) const ALTITUDE: RangeInclusive<f64> = -12_000.0..=100_000.0;
    pub(in super::super) const DISTANCE: RangeInclusive<f64> = 0.0..=1e8;
    pub(in super::super) const SECONDS: RangeInclusive<f64> = 0.0..=31_622_400.0;
    pub(in super::super) const RATE: RangeInclusive<f64> = 0.0..=1000.0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_degree_of_latitude_and_the_antipode() {
        assert_eq!(haversine([0.0, 0.0], [1.0, 0.0]).round(), 111_195.0);
        assert_eq!(haversine([90.0, 0.0], [-90.0, 17.0]).round(), 20_015_087.0);
        assert_eq!(haversine([12.0, 180.0], [12.0, -180.0]).round(), 0.0);
    }

    #[test]
    fn times_with_and_without_an_offset() {
        let utc = time("time", "2024-05-01T04:00:00Z").unwrap();
        assert_eq!(time("time", "2024-05-01T06:00:00+02:00").unwrap(), (utc.0, Some(7200)));
        assert_eq!(time("time", "2024-05-01T04:00:00").unwrap(), utc);
        assert!(time("time", "noon").is_err());
    }
}
