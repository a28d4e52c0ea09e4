//! What a key may spend: the balance of each rate, and what servers have told.
//!
//! `lua/limits.lua` keeps the same books in the same JSON; the conformance cases hold the two
//! together.

use super::{Budget, Limit, Rate};
use serde_json::{Map, Value, json};

/// Words of a server on the same instant, give or take this, are words on the same span.
const SAME_MS: u64 = 2_000;
/// Of what servers have told, this many spans are remembered.
const MOST_TOLD: usize = 8;
/// Balances are not whole numbers: what is this near is there.
const NEAR: f64 = 1e-6;

/// One rate, or one word of a server.
struct Line {
    id: String,
    left: f64,
    /// What there is when nothing is spent; a server's word has none.
    most: Option<f64>,
    /// A bucket fills by this much in a millisecond.
    speed: f64,
    /// When a window or a word ends.
    ends: i64,
}

/// The balance of one key at an instant.
pub(crate) struct Book {
    now: i64,
    lines: Vec<Line>,
}

fn pair(value: Option<&Value>) -> Option<(f64, i64)> {
    let pair = value?.as_array()?;
    Some((pair.first()?.as_f64()?, pair.get(1)?.as_f64()? as i64))
}

impl Book {
    /// Opens the books of a key; none where there is nothing to keep.
    pub(crate) fn open(rule: &Limit, stored: Option<&str>, now: i64) -> Option<Book> {
        let stored: Map<String, Value> =
            stored.and_then(|s| serde_json::from_str(s).ok()).unwrap_or_default();
        let mut lines: Vec<Line> =
            rule.rates.iter().map(|rate| Line::of(rate, pair(stored.get(&rate.id())), now)).collect();
        for told in stored.get("t").and_then(Value::as_array).into_iter().flatten() {
            if let Some((left, ends)) = pair(Some(told)).filter(|(_, ends)| *ends > now) {
                lines.push(Line { id: "t".into(), left, most: None, speed: 0.0, ends });
            }
        }
        (!lines.is_empty()).then_some(Book { now, lines })
    }

    /// What may be spent now.
    pub(crate) fn left(&self) -> f64 {
        self.lines.iter().map(|line| line.left).fold(f64::INFINITY, f64::min)
    }

    /// When this much may be spent; none for now. What costs more than there ever is goes
    /// when nothing is spent, so that it does not wait for ever.
    pub(crate) fn when(&self, cost: f64) -> Option<i64> {
        self.lines.iter().filter_map(|line| line.when(cost, self.now)).max()
    }

    pub(crate) fn spend(&mut self, cost: f64) {
        for line in &mut self.lines {
            line.left = (line.left - cost).min(line.most.unwrap_or(f64::INFINITY));
        }
    }

    /// Takes in what somebody knows better.
    pub(crate) fn change(rule: &Limit, stored: Option<&str>, now: i64, change: Budget) -> Option<String> {
        let mut book = Book::open(rule, stored, now).unwrap_or(Book { now, lines: Vec::new() });
        match change {
            Budget::Told { remaining, reset_ms } => book.told(f64::from(remaining), reset_ms),
            Budget::Block { wait_ms } => book.told(0.0, now.saturating_add(wait_ms)),
            Budget::Spend { extra } => book.spend(extra as f64),
            Budget::Reset => return None,
        }
        book.close()
    }

    fn told(&mut self, remaining: f64, ends: i64) {
        let same = |line: &&mut Line| line.id == "t" && line.ends.abs_diff(ends) <= SAME_MS;
        if let Some(line) = self.lines.iter_mut().find(same) {
            (line.left, line.ends) = (line.left.min(remaining), line.ends.max(ends));
        } else if ends > self.now && self.lines.iter().filter(|l| l.id == "t").count() < MOST_TOLD {
            self.lines.push(Line { id: "t".into(), left: remaining, most: None, speed: 0.0, ends });
        }
    }

    /// What is to be stored; none where nothing is spent.
    pub(crate) fn close(self) -> Option<String> {
        let (mut stored, mut told) = (Map::new(), Vec::new());
        for line in self.lines {
            match line.most {
                None => told.push(json!([line.left, line.ends])),
                Some(most) if line.left >= most => {}
                Some(_) if line.speed > 0.0 => drop(stored.insert(line.id, json!([line.left, self.now]))),
                Some(most) => drop(stored.insert(line.id, json!([most - line.left, line.ends]))),
            }
        }
        if !told.is_empty() {
            stored.insert("t".into(), told.into());
        }
        (!stored.is_empty()).then(|| Value::from(stored).to_string())
    }
}

impl Line {
    fn of(rate: &Rate, stored: Option<(f64, i64)>, now: i64) -> Line {
        let id = rate.id();
        match *rate {
            Rate::Bucket { amount, per_ms, burst } => {
                let (most, speed) = (f64::from(burst), f64::from(amount) / per_ms as f64);
                // A clock that was set back adds nothing.
                let (left, at) = stored.unwrap_or((most, now));
                let left = (left + now.saturating_sub(at).max(0) as f64 * speed).min(most);
                Line { id, left, most: Some(most), speed, ends: 0 }
            }
            Rate::Window { amount, length_ms } => {
                let length = length_ms as i64;
                let ends = (now.div_euclid(length) + 1) * length;
                // What was spent in a window just ahead counts: the clock was set back over
                // its edge. One far ahead would count for ever, so it does not.
                let stored = stored.filter(|(_, end)| *end == ends || *end == ends + length);
                let (used, ends) = stored.unwrap_or((0.0, ends));
                let most = f64::from(amount);
                Line { id, left: most - used, most: Some(most), speed: 0.0, ends }
            }
        }
    }

    fn when(&self, cost: f64, now: i64) -> Option<i64> {
        let need = self.most.map_or(cost, |most| cost.min(most));
        if self.left + NEAR >= need {
            None
        } else if self.speed > 0.0 {
            Some(now + ((need - self.left) / self.speed).ceil().clamp(1.0, 1e13) as i64)
        } else {
            Some(self.ends)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(text: &str) -> Limit {
        Limit::default().rate(text.parse().unwrap())
    }

    /// Spends as much as there is, one by one, and says how much that was.
    fn drain(rule: &Limit, stored: Option<String>, now: i64) -> (usize, Option<String>) {
        let Some(mut book) = Book::open(rule, stored.as_deref(), now) else { return (0, None) };
        let mut count = 0;
        while book.when(1.0).is_none() {
            book.spend(1.0);
            count += 1;
        }
        (count, book.close())
    }

    #[test]
    fn a_bucket_fills_to_its_burst() {
        let rule = rule("10/1s:burst=5");
        let (count, stored) = drain(&rule, None, 1_000);
        assert_eq!(count, 5);
        let book = Book::open(&rule, stored.as_deref(), 1_000).unwrap();
        assert_eq!(book.when(1.0), Some(1_100));
        let (count, stored) = drain(&rule, stored, 1_250);
        assert_eq!(count, 2);
        assert_eq!(drain(&rule, stored, 60_000).0, 5);
    }

    #[test]
    fn a_window_turns_with_the_clock() {
        let rule = rule("3/15m:window");
        let edge = 900_000 * 7;
        let (count, stored) = drain(&rule, None, edge - 1);
        assert_eq!(count, 3);
        let book = Book::open(&rule, stored.as_deref(), edge - 1).unwrap();
        assert_eq!(book.when(1.0), Some(edge));
        let (count, stored) = drain(&rule, stored, edge);
        assert_eq!(count, 3);
        assert_eq!(drain(&rule, stored.clone(), edge - 1).0, 0, "set back over the edge: no second budget");
        assert_eq!(
            drain(&rule, stored, edge - 9_000_000).0,
            3,
            "set back by hours: it does not wait for ever"
        );
    }

    #[test]
    fn what_costs_more_than_there_is_goes_alone() {
        for (text, wait) in [("4/1s", Some(1_000 + 2_500)), ("4/1s:window", Some(2_000))] {
            let rule = rule(text);
            let mut book = Book::open(&rule, None, 1_000).unwrap();
            assert_eq!(book.when(10.0), None, "{text}");
            book.spend(10.0);
            assert_eq!(book.left(), -6.0);
            let after = book.when(4.0);
            assert_eq!(after, wait, "{text}: a bucket is in debt, a window ends");
        }
    }

    #[test]
    fn no_instant_is_too_far_away() {
        let (rule, stored) = (rule("4/1s"), r#"{"b1000":[-1e300,-1e300],"t":[[1,9e18]]}"#);
        for reset_ms in [i64::MIN, i64::MAX] {
            let told = Budget::Told { remaining: 1, reset_ms };
            let kept = Book::change(&rule, Some(stored), 1_000, told).unwrap();
            assert!(Book::open(&rule, Some(&kept), 1_000).unwrap().when(2.0).is_some(), "{kept}");
        }
    }

    #[test]
    fn what_servers_tell_holds_until_its_end() {
        let none = Limit::default();
        let told = |stored: Option<String>, remaining, reset_ms| {
            Book::change(&none, stored.as_deref(), 1_000, Budget::Told { remaining, reset_ms })
        };
        let stored = told(None, 5, 9_000);
        let stored = told(stored, 3, 8_500);
        let stored = told(stored, 9, 9_500);
        let book = Book::open(&none, stored.as_deref(), 1_000).unwrap();
        assert_eq!((book.left(), book.when(4.0)), (3.0, Some(9_500)));
        let stored = Book::change(&none, stored.as_deref(), 1_000, Budget::Block { wait_ms: 500 });
        let book = Book::open(&none, stored.as_deref(), 1_000).unwrap();
        assert_eq!(book.when(1.0), Some(1_500));
        let book = Book::open(&none, stored.as_deref(), 1_500).unwrap();
        assert_eq!(book.when(1.0), None);
        assert!(Book::open(&none, stored.as_deref(), 9_500).is_none(), "all of it has passed");
        assert_eq!(told(None, 5, 1_000), None, "over before it was said");
    }

    #[test]
    fn what_is_given_back_is_never_more_than_there_is() {
        let rule = rule("3/1s:window");
        let stored = Book::change(&rule, None, 0, Budget::Spend { extra: 2 });
        assert_eq!(Book::open(&rule, stored.as_deref(), 0).unwrap().left(), 1.0);
        let stored = Book::change(&rule, stored.as_deref(), 0, Budget::Spend { extra: -9 });
        assert_eq!(stored, None);
    }

    proptest! {
        #[test]
        fn no_span_sees_more_than_its_rate(
            amount in 1u32..20, per in 1u64..5_000, burst in 1u32..20,
            steps in proptest::collection::vec(0i64..2_000, 1..60)
        ) {
            let bucket = Limit::default().rate(Rate::Bucket { amount, per_ms: per, burst });
            let window = Limit::default().rate(Rate::Window { amount, length_ms: per });
            let (mut now, mut flow, mut stored) = (1_700_000_000_000i64, 0usize, [None, None]);
            let start = now;
            let mut windows = std::collections::HashMap::new();
            for step in steps {
                now += step;
                let (count, next) = drain(&bucket, stored[0].take(), now);
                flow += count;
                stored[0] = next;
                let most = f64::from(burst) + (now - start) as f64 * f64::from(amount) / per as f64;
                prop_assert!(flow as f64 <= most + 1e-3, "{flow} of {most}");
                let (count, next) = drain(&window, stored[1].take(), now);
                stored[1] = next;
                let used = windows.entry(now / per as i64).or_insert(0);
                *used += count;
                prop_assert_eq!(*used, amount as usize);
            }
        }

        #[test]
        fn after_the_wait_it_goes(cost in 1u32..40, spent in 0u32..40, amount in 1u32..20, per in 1u64..100_000) {
            for rate in [Rate::bucket(amount, std::time::Duration::from_millis(per)),
                         Rate::window(amount, std::time::Duration::from_millis(per))] {
                let rule = Limit::default().rate(rate);
                let stored = Book::change(&rule, None, 5_000, Budget::Spend { extra: spent.into() });
                let mut now = 5_000;
                let mut stored = stored;
                for _ in 0..3 {
                    let book = Book::open(&rule, stored.as_deref(), now).unwrap();
                    let Some(next) = book.when(cost.into()) else { break };
                    prop_assert!(next > now);
                    (now, stored) = (next, book.close());
                }
                prop_assert_eq!(Book::open(&rule, stored.as_deref(), now).unwrap().when(cost.into()), None);
            }
        }
    }
}
