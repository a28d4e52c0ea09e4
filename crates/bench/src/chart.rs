//! The rates as bars, each in front of its limit.

use crate::report::{Row, number};
use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const OURS: RGBColor = RGBColor(38, 102, 165);
const LIMIT: RGBColor = RGBColor(205, 212, 220);
const INK: RGBColor = RGBColor(60, 60, 60);

const WIDTH: i32 = 860;
const LEFT: i32 = 290;
const STEP: i32 = 30;

/// An SVG of all that is told in jobs a second; a scale of its own for each backend.
pub(crate) fn svg(rows: &[Row]) -> Result<String> {
    let rates: Vec<&Row> = rows.iter().filter(|row| row.unit == "jobs/s").collect();
    let size = (WIDTH as u32, (rates.len() as i32 * STEP + 50) as u32);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE)?;
        let write = |text: String, at: (i32, i32), h| {
            let style = ("sans-serif", 14).into_font().color(&INK).pos(Pos::new(h, VPos::Center));
            area.draw(&Text::new(text, at, style))
        };
        write("jobs a second: Legwork (dark), a bare client (light)".into(), (LEFT, 18), HPos::Left)?;
        for (k, row) in rates.iter().enumerate() {
            let backend = row.name.split(' ').next().unwrap_or_default();
            let same = rates.iter().filter(|other| other.name.starts_with(backend));
            let most = same.map(|other| other.value.max(other.limit.unwrap_or(0.0))).fold(1.0, f64::max);
            let y = 36 + k as i32 * STEP;
            let x = |n: f64| LEFT + (n / most * f64::from(WIDTH - LEFT - 90)) as i32;
            let bar = |n: f64, thick: i32, colour: RGBColor| {
                area.draw(&Rectangle::new([(LEFT, y + 11 - thick), (x(n), y + 11 + thick)], colour.filled()))
            };
            let limit = row.limit.unwrap_or(0.0);
            bar(limit, 11, LIMIT)?;
            bar(row.value, 7, OURS)?;
            write(row.name.clone(), (LEFT - 8, y + 11), HPos::Right)?;
            write(number(row.value), (x(row.value.max(limit)) + 6, y + 11), HPos::Left)?;
        }
        area.present()?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_has_a_bar_and_its_limit_another() {
        let row = |name: &str, unit| Row::of(name.into(), 5.0, unit, "");
        let rows = [Row { limit: Some(9.0), ..row("redis a", "jobs/s") }, row("redis b", "ms")];
        let svg = svg(&rows).unwrap();
        assert!(svg.contains("redis a") && !svg.contains("redis b"), "{svg}");
        assert_eq!((svg.matches("#2666A5").count(), svg.matches("#CDD4DC").count()), (1, 1), "{svg}");
    }
}
