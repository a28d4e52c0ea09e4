//! The samples recorded during an activity, one value per sample and stream.

use super::Invalid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The samples of one activity. Sample `k` of every stream belongs to the same moment; samples are not evenly spaced.
///
/// ```
/// let json = serde_json::json!({"time": {"data": [0, 10]}, "distance": {"data": [0, 31.5]}});
/// let streams = runnerly::run::Streams::from_strava(&json).unwrap();
/// assert_eq!(streams.distance, [0.0, 31.5]);
/// assert!(streams.heartrate.is_none());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Streams {
    /// Seconds since the start.
    pub time: Vec<i64>,
    /// Metres covered since the start.
    pub distance: Vec<f64>,
    /// Metres above sea level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub altitude: Option<Vec<f64>>,
    /// Beats per minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartrate: Option<Vec<f64>>,
    /// Whether the runner moved in the interval that ends at this sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moving: Option<Vec<bool>>,
    /// Steps per minute of one leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cadence: Option<Vec<f64>>,
    /// Slope in percent, smoothed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grade: Option<Vec<f64>>,
    /// Latitude and longitude in degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latlng: Option<Vec<[f64; 2]>>,
}

/// The longest recording accepted: a year.
const MAX_SECONDS: i64 = 366 * 86_400;

impl Streams {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Reads Strava's streams, keyed by type: `{"time": {"data": [0, 1]}, "distance": {"data": [0.0, 2.7]}, …}`.
    ///
    /// Unknown streams are ignored. A null within an optional stream repeats its neighbour.
    ///
    /// # Errors
    /// `time` or `distance` missing, a value of the wrong type, or what [`Streams::validate`] refuses.
    pub fn from_strava(json: &Value) -> Result<Self, Invalid> {
        let time = data(json, "time")?.ok_or_else(|| Invalid::new("time", "the stream is missing"))?;
        let distance =
            data(json, "distance")?.ok_or_else(|| Invalid::new("distance", "the stream is missing"))?;
        let streams = Self {
            time: required("time", time)?.into_iter().map(|second| second.round() as i64).collect(),
            distance: required("distance", distance)?,
            altitude: optional(json, "altitude", Value::as_f64)?,
            heartrate: optional(json, "heartrate", Value::as_f64)?,
            moving: optional(json, "moving", Value::as_bool)?,
            cadence: optional(json, "cadence", Value::as_f64)?,
            grade: optional(json, "grade_smooth", Value::as_f64)?,
            latlng: optional(json, "latlng", point)?,
        };
        streams.validate()?;
        Ok(streams)
    }

    /// Checks what the statistics rely on.
    ///
    /// Repeated timestamps and a distance that steps back do occur in recordings and are allowed.
    ///
    /// # Errors
    /// A stream whose length differs from that of `time`, a number that is not finite, a distance below zero, or a
    /// time outside one year.
    pub fn validate(&self) -> Result<(), Invalid> {
        self.validate_lengths()?;
        if let Some(k) = self.time.iter().position(|t| !(0..=MAX_SECONDS).contains(t)) {
            let reason = format!("is {}; allowed is 0 to {MAX_SECONDS} seconds", self.time[k]);
            return Err(Invalid::new(format!("time[{k}]"), reason));
        }
        if let Some(k) = self.distance.iter().position(|d| !(0.0..=1e9).contains(d)) {
            let reason = format!("is {}; allowed is 0 to 1e9 metres", self.distance[k]);
            return Err(Invalid::new(format!("distance[{k}]"), reason));
        }
        for (name, stream) in self.optional_numbers() {
            if let Some(k) = stream.iter().position(|value| !value.is_finite()) {
                return Err(Invalid::new(format!("{name}[{k}]"), "is not a finite number"));
            }
        }
        let points = self.latlng.iter().flatten();
        match points.enumerate().find(|(_, [lat, lng])| !lat.is_finite() || !lng.is_finite()) {
            Some((k, _)) => Err(Invalid::new(format!("latlng[{k}]"), "is not a pair of finite numbers")),
            None => Ok(()),
        }
    }

    fn validate_lengths(&self) -> Result<(), Invalid> {
        let mut lengths = vec![("distance", self.distance.len())];
        lengths.extend(self.optional_numbers().map(|(name, stream)| (name, stream.len())));
        lengths.extend(self.moving.as_ref().map(|stream| ("moving", stream.len())));
        lengths.extend(self.latlng.as_ref().map(|stream| ("latlng", stream.len())));
        let expected = self.len();
        match lengths.into_iter().find(|(_, length)| *length != expected) {
            Some((name, length)) => Err(Invalid::new(
                name,
                format!("has {length} samples, but time has {expected}; they must be equal"),
            )),
            None => Ok(()),
        }
    }

    fn optional_numbers(&self) -> impl Iterator<Item = (&'static str, &Vec<f64>)> {
        [
            ("altitude", &self.altitude),
            ("heartrate", &self.heartrate),
            ("cadence", &self.cadence),
            ("grade", &self.grade),
        ]
        .into_iter()
        .filter_map(|(name, stream)| stream.as_ref().map(|stream| (name, stream)))
    }
}

/// Replaces each gap by the last known value, and gaps before the first known value by that. `None` if all are gaps.
pub(crate) fn fill_gaps<T: Copy>(values: &[Option<T>]) -> Option<Vec<T>> {
    let mut last = values.iter().flatten().next().copied()?;
    Some(
        values
            .iter()
            .map(|value| {
                last = value.unwrap_or(last);
                last
            })
            .collect(),
    )
}

fn data<'a>(json: &'a Value, name: &str) -> Result<Option<&'a Vec<Value>>, Invalid> {
    let Some(stream) = json.get(name).filter(|stream| !stream.is_null()) else {
        return Ok(None);
    };
    match stream.get("data").and_then(Value::as_array) {
        Some(values) => Ok(Some(values)),
        None => Err(Invalid::new(name, "expected an object with an array named data")),
    }
}

fn required(name: &str, values: &[Value]) -> Result<Vec<f64>, Invalid> {
    let read = |(k, value): (usize, &Value)| {
        value.as_f64().ok_or_else(|| Invalid::new(format!("{name}[{k}]"), "expected a number"))
    };
    values.iter().enumerate().map(read).collect()
}

fn optional<T: Copy>(
    json: &Value,
    name: &str,
    read: fn(&Value) -> Option<T>,
) -> Result<Option<Vec<T>>, Invalid> {
    let Some(values) = data(json, name)? else {
        return Ok(None);
    };
    let mut read_values = Vec::with_capacity(values.len());
    for (k, value) in values.iter().enumerate() {
        if value.is_null() {
            read_values.push(None);
            continue;
        }
        let value =
            read(value).ok_or_else(|| Invalid::new(format!("{name}[{k}]"), "is of the wrong type"))?;
        read_values.push(Some(value));
    }
    Ok(fill_gaps(&read_values))
}

fn point(value: &Value) -> Option<[f64; 2]> {
    match value.as_array()?.as_slice() {
        [lat, lng] => Some([lat.as_f64()?, lng.as_f64()?]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn integers_floats_and_gaps_are_accepted() {
        let streams = Streams::from_strava(&json!({
            "time": {"data": [0, 1.0, 3], "original_size": 3}, "distance": {"data": [0, 2.5, 7]},
            "heartrate": {"data": [null, 120, null]}, "moving": {"data": [false, true, true]},
            "latlng": {"data": [[1, 2.5], [1, 2], [1, 2]]}, "watts": {"data": [null, 1, 2]}
        }))
        .unwrap();
        assert_eq!(streams.time, [0, 1, 3]);
        assert_eq!(streams.heartrate, Some(vec![120.0; 3]));
        assert_eq!(streams.latlng.unwrap()[0], [1.0, 2.5]);
    }

    #[test]
    fn a_bad_stream_is_named() {
        let cases = [
            (json!({"distance": {"data": []}}), "time: the stream is missing"),
            (
                json!({"time": {"data": [0]}, "distance": {"data": []}}),
                "distance: has 0 samples, but time has 1",
            ),
            (json!({"time": {"data": [0]}, "distance": {"data": ["x"]}}), "distance[0]: expected a number"),
            (json!({"time": {"data": [-1]}, "distance": {"data": [0]}}), "time[0]: is -1; allowed is 0 to"),
            (
                json!({"time": {"data": [1e300]}, "distance": {"data": [0]}}),
                "time[0]: is 9223372036854775807",
            ),
            (json!({"time": {"data": [1]}, "distance": {"data": [-4]}}), "distance[0]: is -4; allowed"),
            (
                json!({"time": 4, "distance": {"data": [0]}}),
                "time: expected an object with an array named data",
            ),
            (
                json!({"time": {"data": [0]}, "distance": {"data": [0]}, "moving": {"data": [1]}}),
                "moving[0]: is of the wrong type",
            ),
        ];
        for (json, expected) in cases {
            let message = Streams::from_strava(&json).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let mut streams = Streams { time: vec![0], distance: vec![0.0], ..Streams::default() };
        streams.altitude = Some(vec![f64::NAN]);
        assert_eq!(streams.validate().unwrap_err().field, "altitude[0]");
        streams.altitude = None;
        streams.distance = vec![f64::INFINITY];
        assert_eq!(streams.validate().unwrap_err().field, "distance[0]");
    }
}
