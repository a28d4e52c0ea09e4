//! Pace, heart rate and elevation of one run, over its distance.

use super::{ACCENT, Drawn, GRID, SECOND, Sheet, THIRD, one, step};
use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};
use runnerly::run::Streams;
use runnerly::stats::pace;
use runnerly::stats::splits::moving;

/// Stretches of equal length that the run is cut into.
const STRETCHES: usize = 120;

/// The height of one panel.
const PANEL: i32 = 110;

/// Slower than the usual pace times this is standing around, and would flatten the rest.
const SLOWEST: f64 = 1.5;

/// What is known of one stretch.
#[derive(Clone, Copy, Default)]
struct Stretch {
    pace: Option<f64>,
    hr: Option<f64>,
    altitude: Option<f64>,
}

struct Panel {
    name: &'static str,
    colour: RGBColor,
    values: Vec<Option<f64>>,
    /// Lower is better, and drawn higher.
    upside_down: bool,
    /// The area below the line is filled.
    filled: bool,
    label: fn(f64) -> String,
}

/// The panels for which there are samples, one below the other; nothing for a run without
/// distance.
pub(crate) fn draw(streams: &Streams) -> String {
    let length = streams.distance.last().copied().unwrap_or(0.0);
    if streams.len() < 2 || length <= 0.0 {
        return String::new();
    }
    let panels = panels(&stretches(streams, length));
    let height = panels.len() as u32 * PANEL as u32 + 30;
    let names: Vec<&str> = panels.iter().map(|panel| panel.name).collect();
    let label = format!("{} over {:.1} kilometres", names.join(", "), length / 1000.0);
    let at =
        |class, width| one(&label, class, (width, height), |sheet| plot(sheet, &panels, length / 1000.0));
    at("wide", 900) + &at("narrow", 330)
}

/// Paces with those of standing around cut off.
fn running(mut paces: Vec<Option<f64>>) -> Vec<Option<f64>> {
    let mut known: Vec<f64> = paces.iter().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    if let Some(usual) = known.get(known.len() / 2) {
        paces.iter_mut().flatten().for_each(|pace| *pace = pace.min(usual * SLOWEST));
    }
    paces
}

fn panels(stretches: &[Stretch]) -> Vec<Panel> {
    let values = |of: fn(&Stretch) -> Option<f64>| stretches.iter().map(of).collect::<Vec<_>>();
    let pace = Panel {
        name: "Pace, min/km",
        colour: ACCENT,
        values: running(values(|s| s.pace)),
        upside_down: true,
        filled: false,
        label: pace::clock,
    };
    let whole = |value: f64| format!("{value:.0}");
    let hr = Panel {
        name: "Heart rate, bpm",
        colour: SECOND,
        values: values(|s| s.hr),
        upside_down: false,
        filled: false,
        label: whole,
    };
    let altitude = Panel {
        name: "Elevation, m",
        colour: THIRD,
        values: values(|s| s.altitude),
        upside_down: false,
        filled: true,
        label: whole,
    };
    let mut panels = vec![pace, hr, altitude];
    panels.retain(|panel| panel.values.iter().flatten().count() > 1);
    panels
}

/// Cuts a run into stretches of equal length; pace counts only time in motion.
fn stretches(streams: &Streams, length: f64) -> Vec<Stretch> {
    let moving = moving(streams);
    let mut sums = vec![(0.0, 0.0, 0.0, 0.0, 0u32); STRETCHES];
    for k in 1..streams.len() {
        let place = (streams.distance[k] / length * STRETCHES as f64) as usize;
        let sum = &mut sums[place.min(STRETCHES - 1)];
        if moving[k] {
            sum.0 += (streams.time[k] - streams.time[k - 1]).max(0) as f64;
            sum.1 += (streams.distance[k] - streams.distance[k - 1]).max(0.0);
        }
        sum.2 += streams.heartrate.as_ref().map_or(0.0, |hr| hr[k]);
        sum.3 += streams.altitude.as_ref().map_or(0.0, |altitude| altitude[k]);
        sum.4 += 1;
    }
    let stretch = |(seconds, metres, hr, altitude, samples): &(f64, f64, f64, f64, u32)| {
        let mean = |sum: f64| sum / f64::from((*samples).max(1));
        Stretch {
            pace: pace::seconds_per_km(*metres, *seconds),
            hr: (streams.heartrate.is_some() && *samples > 0).then(|| mean(*hr)),
            altitude: (streams.altitude.is_some() && *samples > 0).then(|| mean(*altitude)),
        }
    };
    sums.iter().map(stretch).collect()
}

fn plot(sheet: &mut Sheet<'_>, panels: &[Panel], km: f64) -> Drawn {
    let whole = sheet.plot();
    for (number, panel) in panels.iter().enumerate() {
        let top = number as i32 * PANEL + 4;
        sheet.text(panel.name, (0, top), HPos::Left, VPos::Top)?;
        let inner = super::Plot { top: top + 22, bottom: top + PANEL - 8, ..whole };
        draw_panel(sheet, panel, inner)?;
    }
    let bottom = panels.len() as i32 * PANEL + 4;
    let step = step(km, if sheet.width < 400 { 5.0 } else { 12.0 });
    let mut at = 0.0;
    while at <= km {
        let x = whole.x(at / km);
        let last = at + step > km;
        sheet.text(
            &format!("{}{}", trim(at), if last { " km" } else { "" }),
            (x, bottom),
            if last { HPos::Right } else { HPos::Center },
            VPos::Top,
        )?;
        at += step;
    }
    Ok(())
}

fn draw_panel(sheet: &Sheet<'_>, panel: &Panel, plot: super::Plot) -> Drawn {
    let known = || panel.values.iter().flatten().copied();
    let (least, most) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    // A flat line stays flat: at least 20 units from bottom to top.
    let air = ((20.0 - (most - least)) / 2.0).max((most - least) * 0.05);
    let (least, most) = (least - air, most + air);
    let share = |value: f64| {
        let share = (value - least) / (most - least);
        if panel.upside_down { 1.0 - share } else { share }
    };
    for value in [least + air, most - air] {
        let y = plot.y(share(value));
        sheet.line(vec![(plot.left, y), (plot.right, y)], GRID, 1)?;
        sheet.text(&(panel.label)(value), (plot.left - 6, y), HPos::Right, VPos::Center)?;
    }
    let at = |k: usize, value: f64| (plot.x((k as f64 + 0.5) / STRETCHES as f64), plot.y(share(value)));
    let points: Vec<_> =
        panel.values.iter().enumerate().filter_map(|(k, value)| Some(at(k, (*value)?))).collect();
    if let (true, Some(first), Some(last)) = (panel.filled, points.first(), points.last()) {
        let mut outline = vec![(first.0, plot.bottom)];
        outline.extend(&points);
        outline.push((last.0, plot.bottom));
        return sheet.fill(outline, panel.colour);
    }
    sheet.line(points, panel.colour, 2)
}

fn trim(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_recordings_are_drawn_or_left_out() {
        let still = Streams { time: vec![0, 60], distance: vec![0.0, 0.0], ..Streams::default() };
        assert_eq!(draw(&Streams::default()) + &draw(&still), "");
        let back = Streams {
            time: vec![0, 60, 60, 300],
            distance: vec![0.0, 400.0, 390.0, 900.0],
            heartrate: Some(vec![0.0, 150.0, 150.0, 150.0]),
            ..Streams::default()
        };
        let svg = draw(&back);
        assert!(svg.contains("Heart rate, bpm") && !svg.contains("Elevation") && !svg.contains("NaN"));
    }
}
