//! From text to sets of values: bit `n` of a set says that the value `n` is named.

use super::CronError;
use super::days::Days;

/// The name, bounds and words of one field.
pub(super) struct Spec {
    name: &'static str,
    min: u32,
    max: u32,
    /// The last value that `*` and an open step reach: Sunday counts once.
    last: u32,
    words: &'static [&'static str],
    extra: &'static str,
}

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const SECOND: Spec = plain("second", 0, 59);
const MINUTE: Spec = plain("minute", 0, 59);
const HOUR: Spec = plain("hour", 0, 23);
const DAY: Spec = Spec { extra: ", L, LW, nW such as 15W, ?", ..plain("day of month", 1, 31) };
const MONTH: Spec = Spec { words: MONTHS, extra: ", JAN-DEC", ..plain("month", 1, 12) };
const WEEKDAY: Spec = Spec {
    last: 6,
    words: WEEKDAYS,
    extra: " (0 and 7 are Sunday), SUN-SAT, day#n such as FRI#2, dayL such as 6L, ?",
    ..plain("day of week", 0, 7)
};

const fn plain(name: &'static str, min: u32, max: u32) -> Spec {
    Spec { name, min, max, last: max, words: &[], extra: "" }
}

/// The sets that an expression of five or six fields names.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u64,
    pub(super) months: u64,
    pub(super) days: Days,
    /// No `*` and no `/` in the fields of the time of day.
    pub(super) fixed: bool,
}

impl Fields {
    /// Reads five or six fields, parted by spaces or tabs.
    pub(super) fn parse(text: &str) -> Result<Fields, CronError> {
        let mut tokens: Vec<(usize, &str)> =
            tokens(text, &[' ', '\t']).filter(|(_, token)| !token.is_empty()).collect();
        let found = tokens.len();
        if found == 5 {
            tokens.insert(0, (1, "0"));
        }
        let &[second, minute, hour, day, month, weekday] = tokens.as_slice() else {
            return Err(CronError::FieldCount { found });
        };
        let seconds = SECOND.set(second)?;
        let minutes = MINUTE.set(minute)?;
        let hours = HOUR.set(hour)?;
        let mut days = Days { either: !is_open(day.1) && !is_open(weekday.1), ..Days::default() };
        for item in tokens_of(day) {
            read_day(&mut days, item)?;
        }
        let months = MONTH.set(month)?;
        for item in tokens_of(weekday) {
            read_weekday(&mut days, item)?;
        }
        let fixed = [second, minute, hour].iter().all(|(_, field)| !field.contains(['*', '/']));
        Ok(Fields { seconds, minutes, hours, months, days, fixed })
    }

    /// The same sets in the words of the `cron` crate, whose Sunday is 1. Days are
    /// those that [`Days::matches`] may accept.
    pub(super) fn canonical(&self) -> String {
        let (days, weekdays) = self.days.candidates();
        [
            list(self.seconds, 0, 59),
            list(self.minutes, 0, 59),
            list(self.hours, 0, 23),
            list(days, 1, 31),
            list(self.months, 1, 12),
            list(weekdays << 1, 1, 7),
        ]
        .join(" ")
    }
}

fn list(set: u64, min: u32, max: u32) -> String {
    if (min..=max).all(|value| set & (1 << value) != 0) {
        return "*".into();
    }
    let named = (min..=max).filter(|value| set & (1 << value) != 0);
    named.map(|v| v.to_string()).collect::<Vec<_>>().join(",")
}

/// Vixie's rule: a field that starts with `*` does not restrict the day by itself.
fn is_open(field: &str) -> bool {
    field.starts_with(['*', '?'])
}

/// The pieces of `text` with the position of each, counted from 1. ASCII only.
fn tokens<'a>(text: &'a str, at: &'a [char]) -> impl Iterator<Item = (usize, &'a str)> {
    let mut position = 1;
    text.split(at).map(move |token| {
        let start = position;
        position += token.len() + 1;
        (start, token)
    })
}

fn tokens_of((start, field): (usize, &str)) -> impl Iterator<Item = (usize, &str)> {
    tokens(field, &[',']).map(move |(offset, item)| (start + offset - 1, item))
}

fn read_day(days: &mut Days, (position, item): (usize, &str)) -> Result<(), CronError> {
    let upper = item.to_ascii_uppercase();
    if upper == "L" {
        days.last = true;
    } else if upper == "LW" {
        days.last_weekday = true;
    } else if let Some(day) = upper.strip_suffix('W') {
        let day = DAY.number(day).map_err(|p| DAY.error(position, item, p))?;
        days.nearest |= 1 << day;
    } else if upper == "?" {
        days.month_days |= DAY.open();
    } else {
        days.month_days |= DAY.item(position, item)?;
    }
    Ok(())
}

fn read_weekday(days: &mut Days, (position, item): (usize, &str)) -> Result<(), CronError> {
    let upper = item.to_ascii_uppercase();
    let fail = |problem: String| WEEKDAY.error(position, item, problem);
    if let Some((day, nth)) = upper.split_once('#') {
        let day = WEEKDAY.number(day).map_err(fail)? % 7;
        let nth = match nth.as_bytes() {
            &[digit @ b'1'..=b'5'] => digit - b'0',
            _ => return Err(fail("needs 1 to 5 after the #".into())),
        };
        days.nth[day as usize] |= 1 << nth;
    } else if upper == "L" {
        return Err(fail("needs a day before the L".into()));
    } else if let Some(day) = upper.strip_suffix('L') {
        let day = WEEKDAY.number(day).map_err(fail)? % 7;
        days.nth[day as usize] |= 1;
    } else if upper == "?" {
        days.weekdays |= WEEKDAY.open();
    } else {
        let set = WEEKDAY.item(position, item)?;
        days.weekdays |= (set | set >> 7) & WEEKDAY.open();
    }
    Ok(())
}

impl Spec {
    fn set(&self, field: (usize, &str)) -> Result<u64, CronError> {
        tokens_of(field).try_fold(0, |set, (position, item)| Ok(set | self.item(position, item)?))
    }

    /// `*`, a value or a range, with or without a step.
    fn item(&self, position: usize, item: &str) -> Result<u64, CronError> {
        self.values(item).map_err(|problem| self.error(position, item, problem))
    }

    fn values(&self, item: &str) -> Result<u64, String> {
        if item.is_empty() {
            return Err("is an empty item".into());
        }
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step)?)),
            None => (item, None),
        };
        let (from, to) = if range == "*" {
            (self.min, self.last)
        } else if let Some((from, to)) = range.split_once('-') {
            self.range(from, to)?
        } else {
            let from = self.number(range)?;
            (from, if step.is_some() { self.last } else { from })
        };
        let values = (from..=to).step_by(step.unwrap_or(1));
        Ok(values.fold(0, |set, value| set | 1 << value))
    }

    fn range(&self, from: &str, to: &str) -> Result<(u32, u32), String> {
        if from.is_empty() || to.is_empty() {
            return Err("is a range without both ends".into());
        }
        let first = self.number(from)?;
        let mut last = self.number(to)?;
        // FRI-SUN is a plain weekend, though SUN alone is 0.
        if self.max == 7 && last == 0 && to.eq_ignore_ascii_case("SUN") {
            last = 7;
        }
        if first > last {
            return Err("is a range that runs backwards".into());
        }
        Ok((first, last))
    }

    fn step(&self, text: &str) -> Result<usize, String> {
        let most = self.last - self.min + 1;
        match digits(text) {
            Some(0) => Err("has a step of 0".into()),
            Some(step) if step <= most => Ok(step as usize),
            Some(_) => Err("has too large a step".into()),
            None => Err("has no number as its step".into()),
        }
    }

    /// One value, as a number or a word.
    fn number(&self, text: &str) -> Result<u32, String> {
        let word = self.words.iter().position(|w| w.eq_ignore_ascii_case(text));
        match word.map(|at| at as u32 + self.min).or_else(|| digits(text)) {
            Some(value) if (self.min..=self.max).contains(&value) => Ok(value),
            Some(_) => Err("is out of range".into()),
            None if self.words.is_empty() => Err("is not a number".into()),
            None => Err("is neither a number nor a known name".into()),
        }
    }

    fn open(&self) -> u64 {
        (self.min..=self.last).fold(0, |set, value| set | 1 << value)
    }

    fn error(&self, position: usize, item: &str, problem: String) -> CronError {
        let Spec { min, max, .. } = self;
        let most = self.last - self.min + 1;
        CronError::Field {
            field: self.name,
            value: item.into(),
            position,
            problem,
            allowed: format!("{min}-{max}{}, with lists, ranges and steps of 1 to {most}", self.extra),
        }
    }
}

/// A number of ASCII digits only; one too large for its type is merely out of range.
fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().unwrap_or(u32::MAX))
}
