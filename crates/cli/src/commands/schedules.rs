//! `schedules`: each with the next five instants, in its zone and in UTC.

use super::Done;
use crate::out::Out;
use crate::words::{cut, instant, relative, shown};
use chrono::{DateTime, Utc};
use comfy_table::{Attribute, Cell};
use legwork::backend::ScheduleView;
use legwork::{Client, Schedule};
use serde::Serialize;

/// A stored schedule and what follows from it.
#[derive(Serialize)]
struct ScheduleJson<'a> {
    #[serde(flatten)]
    schedule: &'a ScheduleView,
    next_ms: Vec<i64>,
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

fn json(schedule: &ScheduleView, now_ms: i64) -> ScheduleJson<'_> {
    let (next, wrong) = match upcoming(schedule, now_ms) {
        Ok(next) => (next, None),
        Err(e) => (Vec::new(), Some(e)),
    };
    ScheduleJson {
        schedule,
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
