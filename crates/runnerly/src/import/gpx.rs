//! GPX: positions with a time; heart rate and cadence in one of several vendors' extensions.

use super::track::{Sample, Track, number, range, time};
use super::xml::{self, Attributes, Visitor};

pub(super) fn read(text: &str) -> Result<Track, String> {
    let mut gpx = Gpx::default();
    xml::walk(text, &mut gpx)?;
    if gpx.track.samples.is_empty() {
        return Err("is GPX without a track point".to_owned());
    }
    gpx.track.sport = sport(&gpx.kind).to_owned();
    Ok(gpx.track)
}

#[derive(Default)]
struct Gpx {
    track: Track,
    kind: String,
    point: Option<Sample>,
    begins: bool,
}

impl Visitor for Gpx {
    fn open(&mut self, path: &[String], attributes: &Attributes<'_>) -> Result<(), String> {
        match path.last().map(String::as_str) {
            Some("trkseg") => self.begins = true,
            Some("trkpt") => {
                let point = self.track.samples.len() + 1;
                let coordinate = |name: &str, range| match attributes.get(name)? {
                    Some(text) => number(&format!("{name} of track point {point}"), &text, range),
                    None => Err(format!("track point {point} has no {name}")),
                };
                let position = [coordinate("lat", range::LATITUDE)?, coordinate("lon", range::LONGITUDE)?];
                let begins = std::mem::take(&mut self.begins);
                self.point = Some(Sample { position: Some(position), begins, ..Sample::default() });
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, path: &[String], text: &str) -> Result<(), String> {
        let [.., parent, name] = path else {
            return Ok(());
        };
        match (parent.as_str(), name.as_str()) {
            ("trk", "name") if self.track.name.is_empty() => self.track.name = text.to_owned(),
            ("trk", "type") if self.kind.is_empty() => self.kind = text.to_owned(),
            (_, "trkpt") => {
                return self.point.take().map_or(Ok(()), |point| self.track.push(point));
            }
            (parent, name) => {
                if let Some(point) = self.point.as_mut() {
                    let place = format!("{name} of track point {}", self.track.samples.len() + 1);
                    return reading(point, &mut self.track.offset_s, parent, name, text, &place);
                }
            }
        }
        Ok(())
    }
}

fn reading(
    point: &mut Sample,
    offset_s: &mut Option<i64>,
    parent: &str,
    name: &str,
    text: &str,
    place: &str,
) -> Result<(), String> {
    match (parent, name) {
        ("trkpt", "time") => {
            let (at, offset) = time(place, text)?;
            point.at = Some(at);
            *offset_s = offset_s.or(offset);
        }
        ("trkpt", "ele") => point.altitude = Some(number(place, text, range::ALTITUDE)?),
        (_, "hr" | "heartrate") if !text.is_empty() => point.hr = Some(number(place, text, range::RATE)?),
        (_, "cad" | "cadence") if !text.is_empty() => point.cadence = Some(number(place, text, range::RATE)?),
        _ => {}
    }
    Ok(())
}

/// Strava's sport for a GPX track type; some programs write Strava's old number.
fn sport(kind: &str) -> &'static str {
    match kind.to_ascii_lowercase().as_str() {
        "" | "run" | "running" | "9" => "Run",
        "trail_running" | "trailrun" | "trail running" => "TrailRun",
        "treadmill_running" | "virtual_running" | "virtualrun" => "VirtualRun",
        "cycling" | "biking" | "ride" | "1" => "Ride",
        "walking" | "walk" | "10" => "Walk",
        "hiking" | "hike" | "4" => "Hike",
        _ => "Workout",
    }
}
