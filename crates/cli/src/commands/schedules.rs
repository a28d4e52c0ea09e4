//! `schedules`: each with the next five instants, in its zone and in UTC.

use super::Done;
use crate::out::{Color, Out, coloured};
use crate::words::{cut, instant, relative, shown};
use chrono::{DateTime, Utc};
use comfy_table::{Attribute, Cell};
use legwork::backend::ScheduleView;
use legwork::{Client, Schedule};
use serde::Serialize;

/// Schedulers look every few seconds; who is restarted takes some.
const OVERDUE_MS: i64 = 60_000;

/// A stored schedule and what follows from it.
#[derive(Serialize)]
struct ScheduleJson<'a> {
    #[serde(flatten)]
    schedule: &'a ScheduleView,
    next_ms: Vec<i64>,
    /// The first slot that has passed and was not enqueued.
    overdue_ms: Option<i64>,
    /// The same instants as the zone's clocks show them, RFC 3339.
    next_local: Vec<String>,
    /// Why there are none, where the expression or zone is not understood.
    wrong: Option<String>,
}

pub(super) async fn list(client: &Client, out: &mut Out) -> Done {
    let all = client.schedules().await?;
    let now_ms = client.backend().now().await?;
    if out.json {
        return out.value(&all.iter().map(|s| json(s, now_ms)).collect::<Vec<_>>());
    }
    if all.is_empty() {
        out.line("no schedules yet");
    }
    for (index, schedule) in all.iter().enumerate() {
        if index > 0 {
            out.line("");
        }
        tell(schedule, now_ms, out);
    }
    Ok(())
}

fn upcoming(schedule: &ScheduleView, now_ms: i64) -> Result<Vec<DateTime<Utc>>, String> {
    let now = DateTime::from_timestamp_millis(now_ms).unwrap_or_else(Utc::now);
    Schedule::upcoming(schedule, now, 5).map_err(|e| e.to_string())
}

/// The first slot after the last one, where it passed so long ago that a scheduler would have
/// enqueued it.
fn overdue(schedule: &ScheduleView, now_ms: i64) -> Option<DateTime<Utc>> {
    let last = DateTime::from_timestamp_millis(schedule.last_ms)?;
    let slot = Schedule::upcoming(schedule, last, 1).ok()?.into_iter().next()?;
    (now_ms - slot.timestamp_millis() > OVERDUE_MS).then_some(slot)
}

fn json(schedule: &ScheduleView, now_ms: i64) -> ScheduleJson<'_> {
    let (next, wrong) = match upcoming(schedule, now_ms) {
        Ok(next) => (next, None),
        Err(e) => (Vec::new(), Some(e)),
    };
    ScheduleJson {
        schedule,
        overdue_ms: overdue(schedule, now_ms).map(|at| at.timestamp_millis()),
        next_ms: next.iter().map(DateTime::timestamp_millis).collect(),
        next_local: next.iter().map(|at| local(*at, schedule, "%Y-%m-%dT%H:%M:%S%:z")).collect(),
        wrong,
    }
}

fn local(at: DateTime<Utc>, schedule: &ScheduleView, format: &str) -> String {
    let zone = legwork::cron::parse_zone(&schedule.zone).unwrap_or(chrono_tz::Tz::UTC);
    at.with_timezone(&zone).format(format).to_string()
}

fn tell(schedule: &ScheduleView, now_ms: i64, out: &mut Out) {
    let mut table = out.table(&[]);
    table.add_row([
        Cell::new(shown(&schedule.name)).add_attribute(Attribute::Bold),
        Cell::new(format!("{}  {}", shown(&schedule.expression), shown(&schedule.zone))),
    ]);
    let payload = cut(&shown(&schedule.payload), 200);
    let job = format!("{} {payload} in {}", shown(&schedule.job), shown(&schedule.queue));
    table.add_row(["job".into(), job]);
    table.add_row([
        "last".into(),
        match schedule.fired {
            true => format!("{}, {}", instant(schedule.last_ms), relative(schedule.last_ms, now_ms)),
            false => "no slot has been enqueued yet".into(),
        },
    ]);
    if let Some(slot) = overdue(schedule, now_ms) {
        let ago = relative(slot.timestamp_millis(), now_ms);
        let why = "no scheduler has enqueued it: none runs, or it was skipped";
        let line = format!("{}, {ago}: {why}", instant(slot.timestamp_millis()));
        table.add_row([coloured("overdue", Some(Color::Yellow)), Cell::new(line)]);
    }
    table.add_row([
        "missed".to_owned(),
        format!("{}; where clocks change: {}", shown(&schedule.missed), shown(&schedule.dst)),
    ]);
    let next = match upcoming(schedule, now_ms) {
        Ok(next) if next.is_empty() => "never again".into(),
        Ok(next) => next.iter().map(|at| row(*at, schedule, now_ms)).collect::<Vec<_>>().join("\n"),
        Err(e) => shown(&e),
    };
    table.add_row(["next".to_owned(), next]);
    out.print(table, &[0]);
}

fn row(at: DateTime<Utc>, schedule: &ScheduleView, now_ms: i64) -> String {
    let away = relative(at.timestamp_millis(), now_ms);
    let here = local(at, schedule, "%a %Y-%m-%d %H:%M:%S %Z");
    format!("{here}   {}   {away}", at.format("%Y-%m-%d %H:%M:%SZ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_nobody_enqueued_is_overdue_after_a_while() {
        let hourly = serde_json::json!({
            "name": "h", "expression": "@hourly", "zone": "UTC", "job": "a.job", "payload": "1",
            "queue": "default", "missed": "skip", "dst": "", "last_ms": 3_600_000, "fired": true,
        });
        let hourly: ScheduleView = serde_json::from_value(hourly).expect("a schedule");
        let next = 2 * 3_600_000;
        assert_eq!(overdue(&hourly, next + OVERDUE_MS), None);
        let slot = overdue(&hourly, next + OVERDUE_MS + 1).map(|at| at.timestamp_millis());
        assert_eq!(slot, Some(next));
    }
}
