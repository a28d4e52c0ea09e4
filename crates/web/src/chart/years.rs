//! Kilometres per month, this year beside the two before.

use super::{ACCENT, BEFORE, Drawn, GRID, Sheet, THIRD, both};
use crate::format;
use chrono::{Datelike, NaiveDate};
use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};
use runnerly::stats::summary::Month;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The colours of the years, the latest first.
const COLOURS: [RGBColor; 3] = [ACCENT, BEFORE, THIRD];

/// Kilometres per month, as bars side by side for the last three years with a run.
pub(crate) fn draw(months: &[Month], today: NaiveDate) -> String {
    let mut years: Vec<(i32, [f64; 12])> = Vec::new();
    for month in months {
        let Some((year, number)) = split(&month.month) else { continue };
        if years.last().is_none_or(|(last, _)| *last != year) {
            years.push((year, [0.0; 12]));
        }
        if let Some((_, km)) = years.last_mut() {
            km[number] += month.totals.distance_m / 1000.0;
        }
    }
    years.retain(|(year, _)| today.year() - year < 10);
    let recent = years.split_off(years.len().saturating_sub(COLOURS.len()));
    let named: Vec<String> = recent.iter().map(|(year, _)| year.to_string()).collect();
    both(&format!("Kilometres per month in {}", named.join(", ")), |sheet| plot(sheet, &recent))
}

/// `2026-11` as the year and the month from 0.
fn split(text: &str) -> Option<(i32, usize)> {
    let (year, month) = text.split_once('-')?;
    let month: usize = month.parse().ok()?;
    (1..=12).contains(&month).then_some((year.parse().ok()?, month - 1))
}

fn plot(sheet: &mut Sheet<'_>, years: &[(i32, [f64; 12])]) -> Drawn {
    let mut plot = sheet.plot();
    plot.top += 20;
    let most = years.iter().flat_map(|(_, km)| km).copied().fold(0.0, f64::max);
    let high = (most * 1.05).max(20.0);
    plot.scale(sheet, 0.0, high, |km| format!("{km:.0}"))?;
    let colour = |k: usize| COLOURS[(years.len() - 1 - k).min(COLOURS.len() - 1)];
    let slot = plot.width() / 12.0;
    let width = ((slot - 4.0) / years.len().max(1) as f64).floor().max(2.0) as i32;
    for (number, name) in MONTHS.iter().enumerate() {
        let left = plot.left + (number as f64 * slot).round() as i32 + 2;
        for (k, (year, km)) in years.iter().enumerate() {
            let x = left + k as i32 * width;
            let y = plot.y(km[number] / high);
            if km[number] > 0.0 {
                sheet.rect([x, y.min(plot.bottom - 1), width - 1, (plot.bottom - y).max(1)], colour(k))?;
            }
            let hint = format!("{name} {year}: {} km", format::km(km[number] * 1000.0));
            sheet.hint([x, plot.top, width, plot.bottom - plot.top], hint);
        }
        let short = if plot.width() < 400.0 { &name[..1] } else { name };
        let middle = plot.left + ((number as f64 + 0.5) * slot).round() as i32;
        sheet.text(short, (middle, plot.bottom + 6), HPos::Center, VPos::Top)?;
    }
    sheet.line(vec![(plot.left, plot.bottom), (plot.right, plot.bottom)], GRID, 1)?;
    legend(sheet, years, plot.left, colour)
}

fn legend(
    sheet: &Sheet<'_>,
    years: &[(i32, [f64; 12])],
    left: i32,
    colour: impl Fn(usize) -> RGBColor,
) -> Drawn {
    for (k, (year, _)) in years.iter().enumerate() {
        let x = left + k as i32 * 62;
        sheet.rect([x, 6, 10, 10], colour(k))?;
        sheet.text(&year.to_string(), (x + 15, 11), HPos::Left, VPos::Center)?;
    }
    Ok(())
}
