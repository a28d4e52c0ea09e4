//! Times and foreign text as people read them.

use chrono::{DateTime, SecondsFormat, Utc};

/// Text from a queue, safe for a terminal: control characters and those that turn the
/// direction of writing are shown as escapes.
pub(crate) fn shown(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut kept, c| {
        match c {
            '\n' => kept.push_str("\\n"),
            '\t' => kept.push_str("\\t"),
            '\r' => kept.push_str("\\r"),
            c if unsafe_to_show(c) => kept.extend(c.escape_unicode()),
            c => kept.push(c),
        }
        kept
    })
}

fn unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// As [`shown`], with line breaks kept as such.
pub(crate) fn shown_lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

/// At most this many characters, the last an ellipsis where some were cut.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A span of time in one or two units: `850ms`, `12s`, `3m 20s`, `2h`, `4d 1h`.
pub(crate) fn span(ms: i64) -> String {
    let s = ms / 1000;
    match s {
        ..0 => "0s".into(),
        0 => format!("{ms}ms"),
        1..60 => format!("{s}s"),
        60..3_600 => pair(s / 60, "m", s % 60, "s"),
        3_600..86_400 => pair(s / 3_600, "h", s % 3_600 / 60, "m"),
        _ => pair(s / 86_400, "d", s % 86_400 / 3_600, "h"),
    }
}

fn pair(big: i64, unit: &str, small: i64, part: &str) -> String {
    match small {
        0 => format!("{big}{unit}"),
        _ => format!("{big}{unit} {small}{part}"),
    }
}

/// How long ago, or in how long: `3m ago`, `now`, `in 5m`. One unit, to the nearest, for columns.
pub(crate) fn relative(ms: i64, now_ms: i64) -> String {
    let away = now_ms.saturating_sub(ms);
    let long = away.saturating_abs();
    let near = |unit: i64| long.saturating_add(unit / 2) / unit * unit;
    let nearest = [1_000, 60_000, 3_600_000, 86_400_000].map(near);
    // As many minutes as make an hour are one.
    let rounded = match nearest {
        [s, ..] if s < 60_000 => s,
        [_, m, ..] if m < 3_600_000 => m,
        [_, _, h, _] if h < 86_400_000 => h,
        [.., d] => d,
    };
    let coarse = span(rounded);
    match away {
        -999..=999 => "now".into(),
        1_000.. => format!("{coarse} ago"),
        _ => format!("in {coarse}"),
    }
}

/// An instant, exact and in UTC: `2026-11-21 08:00:00.123Z`; the number where it is none.
pub(crate) fn instant(ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms).map_or_else(
        || format!("{ms} ms"),
        |at| at.to_rfc3339_opts(SecondsFormat::Millis, true).replacen('T', " ", 1),
    )
}

/// `1 job`, `2 jobs`.
pub(crate) fn jobs(count: u64) -> String {
    format!("{count} job{}", if count == 1 { "" } else { "s" })
}

/// The candidate nearest to what was written, if one is near.
pub(crate) fn nearest<'a>(text: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    among
        .into_iter()
        .map(|c| (strsim::jaro_winkler(text, c), c))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        let all =
            [(0, "0ms"), (12_000, "12s"), (200_000, "3m 20s"), (7_200_000, "2h"), (349_200_000, "4d 1h")];
        for (ms, text) in all {
            assert_eq!(span(ms), text);
        }
        assert_eq!(relative(0, 200_000), "3m ago");
        assert_eq!(relative(200_000, 0), "in 3m");
        assert_eq!(relative(899_000, 0), "in 15m");
        assert_eq!(relative(0, 3_599_000), "1h ago");
        assert_eq!(relative(500, 0), "now");
        assert_eq!(relative(i64::MIN, i64::MAX).split(' ').next_back(), Some("ago"));
        assert_eq!(instant(0), "1970-01-01 00:00:00.000Z");
        assert_eq!(instant(i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(shown("a\u{1b}[31m\nb\u{202e}c\u{9b}"), "a\\u{1b}[31m\\nb\\u{202e}c\\u{9b}");
        assert_eq!(shown_lines("a\nb\u{7}"), "a\nb\\u{7}");
        assert_eq!(shown("Zoë läuft 🏃"), "Zoë läuft 🏃");
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("runs.fetsh", ["mail", "runs.fetch"]), Some("runs.fetch"));
        assert_eq!(nearest("zzz", ["mail", "runs.fetch"]), None);
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
    }
}
