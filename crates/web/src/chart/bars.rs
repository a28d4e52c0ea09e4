//! Kilometres per week, for the last 52.

use super::{ACCENT, Drawn, Sheet, both};
use crate::format;
use chrono::{Datelike, NaiveDate, TimeDelta};
use plotters::style::text_anchor::{HPos, VPos};
use runnerly::stats::summary::Week;
use runnerly::stats::totals::{Totals, monday};
use std::collections::HashMap;

const WEEKS: i64 = 52;

/// Kilometres per week, for the 52 that end with the current one.
pub(crate) fn weeks(weeks: &[Week], today: NaiveDate) -> String {
    let known: HashMap<NaiveDate, Totals> = weeks.iter().map(|week| (week.week, week.totals)).collect();
    let first = monday(today) - TimeDelta::weeks(WEEKS - 1);
    let shown: Vec<(NaiveDate, Totals)> = (0..WEEKS)
        .map(|k| first + TimeDelta::weeks(k))
        .map(|week| (week, known.get(&week).copied().unwrap_or_default()))
        .collect();
    let most = shown.iter().map(|(_, totals)| totals.distance_m).fold(0.0, f64::max);
    let label =
        format!("Kilometres per week over the last year; the most in one week: {} km", format::km(most));
    both(&label, |sheet| draw(sheet, &shown, most / 1000.0))
}

fn draw(sheet: &mut Sheet<'_>, weeks: &[(NaiveDate, Totals)], most: f64) -> Drawn {
    let plot = sheet.plot();
    let high = (most * 1.05).max(10.0);
    plot.scale(sheet, 0.0, high, |km| format!("{km:.0}"))?;
    let slot = plot.width() / weeks.len() as f64;
    let every = if plot.width() < 400.0 { 3 } else { 1 };
    for (k, (week, totals)) in weeks.iter().enumerate() {
        let x = plot.left + (k as f64 * slot).round() as i32;
        let width = (((k + 1) as f64 * slot).round() as i32 - (k as f64 * slot).round() as i32 - 2).max(1);
        let y = plot.y(totals.distance_m / 1000.0 / high);
        if totals.runs > 0 {
            sheet.rect([x, y.min(plot.bottom - 1), width, (plot.bottom - y).max(1)], ACCENT)?;
        }
        let hint = format!(
            "Week of {}: {} km, {}",
            format::date(*week),
            format::km(totals.distance_m),
            format::runs(totals.runs)
        );
        sheet.hint([x, plot.top, width + 2, plot.bottom - plot.top], hint);
        // A month is named at its first week.
        let names_month = week.day() <= 7 && week.month0().is_multiple_of(every);
        if names_month && k + 3 < weeks.len() {
            sheet.text(&week.format("%b").to_string(), (x, plot.bottom + 6), HPos::Left, VPos::Top)?;
        }
    }
    Ok(())
}
