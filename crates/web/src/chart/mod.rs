//! Charts, drawn here as SVG that the style sheet colours: every colour is a key, and
//! `app.css` says what it is in light and in dark.
//!
//! Each chart is drawn twice, wide and narrow, and the page shows the one that fits: text
//! that is scaled down with its picture cannot be read on a phone.

pub(crate) mod bars;
pub(crate) mod calendar;
pub(crate) mod profile;
pub(crate) mod trend;
pub(crate) mod years;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::Write;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Keys of colours, as `#00000N` in the SVG.
const INK: RGBColor = RGBColor(0, 0, 1);
const GRID: RGBColor = RGBColor(0, 0, 2);
const ACCENT: RGBColor = RGBColor(0, 0, 3);
const SECOND: RGBColor = RGBColor(0, 0, 4);
const THIRD: RGBColor = RGBColor(0, 0, 5);
const BEFORE: RGBColor = RGBColor(0, 0, 6);

/// The shades of the calendar, from no run to the longest: `#00001N`.
const fn shade(level: u8) -> RGBColor {
    RGBColor(0, 0, 16 + level)
}

const WIDE: (u32, u32) = (620, 220);
const NARROW: (u32, u32) = (330, 200);

/// Room around the plot: for the labels of the axes.
const LEFT: i32 = 40;
const RIGHT: i32 = 8;
const TOP: i32 = 10;
const BOTTOM: i32 = 24;

/// A sheet to draw on, in pixels.
struct Sheet<'a> {
    area: Area<'a>,
    width: i32,
    height: i32,
    /// Places that tell a text when they are pointed at.
    hints: Vec<([i32; 4], String)>,
}

/// Nothing can fail while a string is written to; a picture that did is left out.
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

impl Sheet<'_> {
    fn rect(&self, [x, y, w, h]: [i32; 4], colour: RGBColor) -> Drawn {
        self.area.draw(&Rectangle::new([(x, y), (x + w, y + h)], colour.filled()))
    }

    fn line(&self, points: Vec<(i32, i32)>, colour: RGBColor, width: u32) -> Drawn {
        self.area.draw(&PathElement::new(points, colour.stroke_width(width)))
    }

    fn fill(&self, points: Vec<(i32, i32)>, colour: RGBColor) -> Drawn {
        self.area.draw(&Polygon::new(points, colour.filled()))
    }

    fn dot(&self, at: (i32, i32), radius: i32, colour: RGBColor) -> Drawn {
        self.area.draw(&Circle::new(at, radius, colour.filled()))
    }

    fn text(&self, text: &str, at: (i32, i32), h: HPos, v: VPos) -> Drawn {
        // plotters takes the height of the line, a quarter more than the size of the font.
        let style = ("sans-serif", 14).into_font().color(&INK).pos(Pos::new(h, v));
        self.area.draw(&Text::new(text.to_owned(), at, style))
    }

    fn hint(&mut self, place: [i32; 4], text: String) {
        self.hints.push((place, text));
    }

    /// The plot within the labels.
    fn plot(&self) -> Plot {
        Plot { left: LEFT, right: self.width - RIGHT, top: TOP, bottom: self.height - BOTTOM }
    }
}

/// Where the data goes, in pixels.
#[derive(Clone, Copy)]
struct Plot {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl Plot {
    fn width(self) -> f64 {
        f64::from(self.right - self.left)
    }

    /// The pixel of a share of the width.
    fn x(self, share: f64) -> i32 {
        self.left + (share * self.width()).round() as i32
    }

    /// The pixel of a share of the height, from below.
    fn y(self, share: f64) -> i32 {
        self.bottom - (share * f64::from(self.bottom - self.top)).round() as i32
    }

    /// Lines and labels for a scale from `low` to `high`, lowest below.
    fn scale(self, sheet: &Sheet<'_>, low: f64, high: f64, label: impl Fn(f64) -> String) -> Drawn {
        let step = step(high - low, 4.0);
        let mut tick = (low / step).ceil() * step;
        while tick <= high + step * 1e-6 {
            let y = self.y((tick - low) / (high - low));
            sheet.line(vec![(self.left, y), (self.right, y)], GRID, 1)?;
            sheet.text(&label(tick), (self.left - 6, y), HPos::Right, VPos::Center)?;
            tick += step;
        }
        Ok(())
    }
}

/// A round step that divides `span` into about `parts`.
fn step(span: f64, parts: f64) -> f64 {
    let raw = (span / parts).max(1e-9);
    let magnitude = 10f64.powf(raw.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].into_iter().find(|nice| raw <= nice * magnitude);
    nice.unwrap_or(10.0) * magnitude
}

/// Draws a chart at both sizes. `label` says in words what it shows.
fn both(label: &str, draw: impl Fn(&mut Sheet<'_>) -> Drawn) -> String {
    let wide = one(label, "wide", WIDE, &draw);
    let narrow = one(label, "narrow", NARROW, &draw);
    wide + &narrow
}

fn one(label: &str, class: &str, size: (u32, u32), draw: impl Fn(&mut Sheet<'_>) -> Drawn) -> String {
    let mut svg = String::new();
    let mut hints = Vec::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let mut sheet = Sheet { area, width: size.0 as i32, height: size.1 as i32, hints: Vec::new() };
        if let Err(e) = draw(&mut sheet).and_then(|()| sheet.area.present()) {
            tracing::error!(error = %e, label, "a chart could not be drawn");
            return String::new();
        }
        std::mem::swap(&mut hints, &mut sheet.hints);
    }
    dress(&svg, label, class, &hints)
}

/// Adds what plotters has no words for: a name, a class, and texts to point at.
fn dress(svg: &str, label: &str, class: &str, hints: &[([i32; 4], String)]) -> String {
    let open = format!("<svg class=\"chart {class}\" role=\"img\" aria-label=\"{}\" ", escape(label));
    let svg = svg.replacen("<svg ", &open, 1);
    let mut more = String::new();
    for ([x, y, w, h], text) in hints {
        let text = escape(text);
        let _ = write!(
            more,
            "<rect class=\"hint\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\"><title>{text}</title></rect>"
        );
    }
    match svg.rfind("</svg>") {
        Some(end) => format!("{}{more}</svg>", &svg[..end]),
        None => svg,
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!([10.0, 37.0, 41.0, 900.0].map(|span| step(span, 4.0)), [5.0, 10.0, 20.0, 500.0]);
    }

    #[test]
    fn a_chart_carries_no_style_and_no_colour_of_its_own() {
        let svg = both("a <b> & \"c\"", |sheet| {
            sheet.text("<x>", (1, 1), HPos::Left, VPos::Top)?;
            sheet.hint([0, 0, 1, 1], "<y>".into());
            sheet.rect([0, 0, 4, 4], ACCENT)
        });
        assert!(
            svg.contains("aria-label=\"a &lt;b&gt; &amp; &quot;c&quot;\"")
                && svg.contains("<title>&lt;y&gt;</title>")
        );
        assert!(!svg.contains("style=") && !svg.contains("<x>"));
        assert!(svg.contains("fill=\"#000003\"") && svg.matches("</svg>").count() == 2);
    }
}
