//! TCX: laps with the device's totals, and track points.

use super::Lap;
use super::track::{Sample, Track, number, range, time};
use super::xml::{self, Attributes, Visitor};

pub(super) fn read(text: &str) -> Result<Track, String> {
    let mut tcx = Tcx::default();
    xml::walk(text, &mut tcx)?;
    if tcx.activities == 0 {
        return Err("is TCX without an activity".to_owned());
    }
    let mut track = tcx.track;
    if !track.laps.is_empty() {
        track.timer_s = Some(track.laps.iter().map(|lap| lap.seconds).sum());
        track.distance_m = track.laps.iter().map(|lap| lap.distance_m).sum();
    }
    Ok(track)
}

#[derive(Default)]
struct Tcx {
    track: Track,
    activities: usize,
    lap: Option<(Option<f64>, Option<f64>)>,
    point: Option<Sample>,
    latitude: Option<f64>,
}

impl Visitor for Tcx {
    fn open(&mut self, path: &[String], attributes: &Attributes<'_>) -> Result<(), String> {
        match path.last().map(String::as_str) {
            Some("Activity") => {
                self.activities += 1;
                if self.activities > 1 {
                    return Err("holds more than one activity; export them one by one".to_owned());
                }
                self.track.sport = sport(&attributes.get("Sport")?.unwrap_or_default()).to_owned();
            }
            Some("Lap") if self.activities > 0 => self.lap = Some((None, None)),
            Some("Trackpoint") if self.activities > 0 => self.point = Some(Sample::default()),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, path: &[String], text: &str) -> Result<(), String> {
        let [.., parent, name] = path else {
            return Ok(());
        };
        match name.as_str() {
            "Trackpoint" => {
                return self.point.take().map_or(Ok(()), |point| self.track.push(point));
            }
            "Lap" => return self.end_lap(),
            _ => {}
        }
        let place = || format!("{name} of track point {}", self.track.samples.len() + 1);
        if let Some(point) = self.point.as_mut() {
            match (parent.as_str(), name.as_str()) {
                ("Trackpoint", "Time") => {
                    let (at, offset) = time(&place(), text)?;
                    point.at = Some(at);
                    self.track.offset_s = self.track.offset_s.or(offset);
                }
                ("Position", "LatitudeDegrees") => {
                    self.latitude = Some(number(&place(), text, range::LATITUDE)?)
                }
                ("Position", "LongitudeDegrees") => {
                    let longitude = number(&place(), text, range::LONGITUDE)?;
                    point.position = self.latitude.take().map(|latitude| [latitude, longitude]);
                }
                ("Trackpoint", "AltitudeMeters") => {
                    point.altitude = Some(number(&place(), text, range::ALTITUDE)?)
                }
                ("Trackpoint", "DistanceMeters") => {
                    point.distance = Some(number(&place(), text, range::DISTANCE)?)
                }
                ("HeartRateBpm", "Value") => point.hr = Some(number(&place(), text, range::RATE)?),
                ("Trackpoint", "Cadence") | (_, "RunCadence") => {
                    point.cadence = Some(number(&place(), text, range::RATE)?);
                }
                _ => {}
            }
        } else if let Some((seconds, distance)) = self.lap.as_mut() {
            let place = format!("{name} of lap {}", self.track.laps.len() + 1);
            match (parent.as_str(), name.as_str()) {
                ("Lap", "TotalTimeSeconds") => *seconds = Some(number(&place, text, range::SECONDS)?),
                ("Lap", "DistanceMeters") => *distance = Some(number(&place, text, range::DISTANCE)?),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Tcx {
    fn end_lap(&mut self) -> Result<(), String> {
        if let Some((Some(seconds), distance_m)) = self.lap.take() {
            if self.track.laps.len() == 10_000 {
                return Err("has more than 10000 laps".to_owned());
            }
            self.track.laps.push(Lap { seconds, distance_m });
        }
        Ok(())
    }
}

fn sport(name: &str) -> &'static str {
    match name {
        "Running" | "" => "Run",
        "Biking" => "Ride",
        _ => "Workout",
    }
}
