//! What expressions mean: by hand, against a second implementation, and by brute force.

mod dst;
mod dst_more;
mod grammar;
mod oracle;
mod refused;
mod texts;
mod zones;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap_or_else(|e| panic!("{text} is no instant: {e}"))
}

fn read(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The next slots after `after`, as the zone's clock shows them, with its offset.
fn slots(text: &str, zone: Tz, policy: DstPolicy, after: &str, count: usize) -> Vec<String> {
    read(text)
        .upcoming(at(after), zone, policy)
        .take(count)
        .map(|slot| slot.with_timezone(&zone).format("%F %T%:z").to_string())
        .collect()
}

/// The next dates at which the expression is due in UTC.
fn dates(text: &str, after: &str, count: usize) -> Vec<String> {
    read(text)
        .upcoming(at(after), Tz::UTC, DstPolicy::default())
        .take(count)
        .map(|slot| slot.format("%F").to_string())
        .collect()
}
