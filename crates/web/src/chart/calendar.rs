//! A year of days, one square each, darker for longer.

use super::{Drawn, Sheet, one, shade};
use crate::format;
use chrono::{Datelike, NaiveDate, TimeDelta};
use plotters::style::text_anchor::{HPos, VPos};
use runnerly::stats::spread;
use runnerly::stats::totals::monday;
use std::collections::BTreeMap;

/// The room for the names.
const LEFT: i32 = 32;
const TOP: i32 = 20;

/// A calendar of so many weeks, with squares of so many pixels, their gap included.
#[derive(Clone, Copy)]
struct Grid {
    weeks: i32,
    cell: i32,
}

/// The last 53 weeks; on a phone, the last 21.
pub(crate) fn draw(days: &BTreeMap<NaiveDate, f64>, today: NaiveDate) -> String {
    let since = today - TimeDelta::days(365);
    let active = days.range(since..=today).count();
    let label = format!("Calendar of the last year: {active} days with a run");
    let at = |class, grid: Grid| {
        let size = (LEFT + grid.weeks * grid.cell + 2, TOP + 8 * grid.cell + 10);
        one(&label, class, (size.0 as u32, size.1 as u32), |sheet| plot(sheet, days, today, grid))
    };
    at("wide", Grid { weeks: 53, cell: 20 }) + &at("narrow", Grid { weeks: 21, cell: 14 })
}

fn plot(sheet: &mut Sheet<'_>, days: &BTreeMap<NaiveDate, f64>, today: NaiveDate, grid: Grid) -> Drawn {
    let Grid { weeks, cell } = grid;
    let first = monday(today) - TimeDelta::weeks(i64::from(weeks) - 1);
    for (row, name) in [(0, "Mon"), (2, "Wed"), (4, "Fri")] {
        sheet.text(name, (0, TOP + row * cell + cell / 2), HPos::Left, VPos::Center)?;
    }
    for day in first.iter_days().take_while(|day| *day <= today) {
        let since = (day - first).num_days() as i32;
        let (x, y) = (LEFT + since / 7 * cell, TOP + since % 7 * cell);
        let metres = days.get(&day).copied().unwrap_or(0.0);
        sheet.rect([x, y, cell - 2, cell - 2], shade(spread::shade(metres)))?;
        let ran = if metres > 0.0 { format!("{} km", format::km(metres)) } else { "no run".into() };
        sheet.hint([x, y, cell, cell], format!("{}: {ran}", format::day(day)));
        if day.day() == 1 && since / 7 + 2 < weeks {
            // The name stands over the first whole week of the month.
            let x = LEFT + (since + 6) / 7 * cell;
            sheet.text(&day.format("%b").to_string(), (x, TOP - 8), HPos::Left, VPos::Center)?;
        }
    }
    legend(sheet, cell)
}

fn legend(sheet: &Sheet<'_>, cell: i32) -> Drawn {
    let y = TOP + 7 * cell + 6;
    sheet.text("less", (LEFT, y + cell / 2), HPos::Left, VPos::Center)?;
    for level in 0..=5u8 {
        sheet.rect([LEFT + 30 + i32::from(level) * cell, y, cell - 2, cell - 2], shade(level))?;
    }
    sheet.text("more", (LEFT + 34 + 6 * cell, y + cell / 2), HPos::Left, VPos::Center)
}
