//! Average pace per month over the last three years; faster is higher.

use super::{ACCENT, Drawn, Sheet, both};
use crate::format;
use chrono::{Datelike, Months, NaiveDate};
use plotters::style::text_anchor::{HPos, VPos};
use runnerly::stats::pace;
use runnerly::stats::summary::Month;
use runnerly::stats::totals::first_of_month;

const MONTHS: u32 = 36;

/// A month with a run: how many months after the first shown, its name, its pace.
type Point = (u32, String, f64);

/// The average pace per month, over the last three years.
pub(crate) fn draw(months: &[Month], today: NaiveDate) -> String {
    let this = first_of_month(today);
    let first = this.checked_sub_months(Months::new(MONTHS - 1)).unwrap_or(this);
    let points: Vec<Point> = (0..MONTHS)
        .filter_map(|k| {
            let month = first.checked_add_months(Months::new(k))?;
            let key = month.format("%Y-%m").to_string();
            let totals = months.iter().find(|m| m.month == key)?.totals;
            Some((k, month.format("%B %Y").to_string(), totals.pace_s_per_km()?))
        })
        .collect();
    if points.len() < 2 {
        return String::new();
    }
    both("Average pace per month over the last three years; faster is higher", |sheet| {
        plot(sheet, &points, first)
    })
}

fn plot(sheet: &mut Sheet<'_>, points: &[Point], first: NaiveDate) -> Drawn {
    let plot = sheet.plot();
    let paces = || points.iter().map(|(_, _, pace)| *pace);
    // Ten seconds of air, so that a steady runner's line does not look wild.
    let slow = (paces().fold(0.0, f64::max) / 10.0).ceil() * 10.0 + 10.0;
    let fast = (paces().fold(f64::INFINITY, f64::min) / 10.0).floor() * 10.0 - 10.0;
    scale(sheet, fast, slow)?;
    let x = |k: u32| plot.x((f64::from(k) + 0.5) / f64::from(MONTHS));
    let y = |pace: f64| plot.y((slow - pace) / (slow - fast));
    for k in 0..MONTHS {
        let month = first.checked_add_months(Months::new(k)).unwrap_or(first);
        let left = plot.x(f64::from(k) / f64::from(MONTHS));
        if month.month() == 1 {
            sheet.line(vec![(left, plot.top), (left, plot.bottom)], super::GRID, 1)?;
            sheet.text(&month.year().to_string(), (left + 2, plot.bottom + 6), HPos::Left, VPos::Top)?;
        }
    }
    sheet.line(points.iter().map(|(k, _, pace)| (x(*k), y(*pace))).collect(), ACCENT, 2)?;
    for (k, name, pace) in points {
        sheet.dot((x(*k), y(*pace)), 3, ACCENT)?;
        let hint = format!("{name}: {}", format::pace_km(Some(*pace)));
        sheet.hint([x(*k) - 6, plot.top, 12, plot.bottom - plot.top], hint);
    }
    Ok(())
}

/// Lines at whole steps of a clock: 10, 15, 30 or 60 seconds.
fn scale(sheet: &Sheet<'_>, fast: f64, slow: f64) -> Drawn {
    let plot = sheet.plot();
    let steps = [10.0, 15.0, 30.0, 60.0, 120.0, 300.0];
    let step = steps.into_iter().find(|step| (slow - fast) / step <= 5.0).unwrap_or(600.0);
    let mut tick = (fast / step).ceil() * step;
    while tick <= slow {
        let y = plot.y((slow - tick) / (slow - fast));
        sheet.line(vec![(plot.left, y), (plot.right, y)], super::GRID, 1)?;
        sheet.text(&pace::clock(tick), (plot.left - 6, y), HPos::Right, VPos::Center)?;
        tick += step;
    }
    Ok(())
}
