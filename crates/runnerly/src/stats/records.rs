//! Personal records: the best effort per distance over all runs, and how it came down.

use super::efforts::Effort;
use crate::run::Activity;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// One step of a record: who held it from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The id of the run.
    pub activity: i64,
    /// The local day of the run.
    pub day: NaiveDate,
    /// Whole seconds.
    pub seconds: i64,
}

/// The personal record over one distance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The name of the distance.
    pub name: String,
    /// The distance in metres.
    pub distance_m: f64,
    /// Every improvement, oldest first; the last one stands. Never empty.
    pub progression: Vec<Mark>,
}

impl Record {
    /// The mark that stands.
    pub fn best(&self) -> &Mark {
        &self.progression[self.progression.len() - 1]
    }
}

/// The records over these runs and their best efforts, shortest distance first. Activities that are not runs are
/// ignored; the order of the input does not matter.
///
/// ```
/// assert!(runnerly::stats::records::records(&[]).is_empty());
/// ```
pub fn records(efforts: &[(&Activity, &[Effort])]) -> Vec<Record> {
    let mut by_date: Vec<_> = efforts.iter().filter(|(activity, _)| activity.is_run()).collect();
    by_date.sort_by_key(|(activity, _)| (activity.start, activity.id));
    let mut records: Vec<Record> = Vec::new();
    for (activity, efforts) in by_date {
        for effort in *efforts {
            let mark = Mark { activity: activity.id, day: activity.day(), seconds: effort.seconds };
            match records.iter_mut().find(|record| record.name == effort.name) {
                Some(record) if effort.seconds < record.best().seconds => record.progression.push(mark),
                Some(_) => {}
                None => records.push(Record {
                    name: effort.name.clone(),
                    distance_m: effort.distance_m,
                    progression: vec![mark],
                }),
            }
        }
    }
    records.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m));
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::recordings::activity;

    fn effort(name: &str, distance_m: f64, seconds: i64) -> Effort {
        Effort { name: name.to_owned(), distance_m, seconds, start: 0, end: 1 }
    }

    #[test]
    fn a_record_is_the_running_minimum_by_date() {
        let runs =
            ["2024-01-03T06:00:00", "2024-01-01T06:00:00", "2024-01-02T06:00:00", "2024-01-04T06:00:00"]
                .map(|start| activity(start, 5000.0));
        let efforts = [
            [effort("5K", 5000.0, 1400), effort("400m", 400.0, 90)],
            [effort("5K", 5000.0, 1500), effort("400m", 400.0, 85)],
            [effort("5K", 5000.0, 1450), effort("400m", 400.0, 85)],
            [effort("5K", 5000.0, 1400), effort("400m", 400.0, 100)],
        ];
        let input: Vec<_> =
            runs.iter().zip(&efforts).map(|(run, efforts)| (run, efforts.as_slice())).collect();
        let records = records(&input);
        let seconds = |k: usize| records[k].progression.iter().map(|mark| mark.seconds).collect::<Vec<_>>();
        assert_eq!((records[0].name.as_str(), seconds(0)), ("400m", vec![85]));
        assert_eq!((records[1].name.as_str(), seconds(1)), ("5K", vec![1500, 1450, 1400]));
        assert_eq!(records[1].best().day.to_string(), "2024-01-03");
    }

    #[test]
    fn other_sports_set_no_record() {
        let mut ride = activity("2024-01-01T06:00:00", 5000.0);
        ride.sport = "Ride".to_owned();
        assert!(records(&[(&ride, &[effort("5K", 5000.0, 600)])]).is_empty());
    }
}
