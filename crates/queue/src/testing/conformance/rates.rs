//! Limits of how much in a span of time: buckets, windows, costs, and what servers tell.

use super::super::harness::*;
use crate::backend::*;
use crate::{Limit, State};

fn rates(all: &[&str]) -> Option<Limit> {
    let rule = |rule: Limit, rate: &&str| rule.rate(rate.parse().expect("a rate"));
    Some(all.iter().fold(Limit::default(), rule))
}

/// Enqueues jobs under one key.
async fn fill(h: &Harness, key: &str, n: usize) {
    h.put_all((0..n).map(|_| job("a.job").limit("site", key))).await;
}

/// How many a lease gives now, and how long until the next.
async fn came(h: &Harness) -> (usize, Option<i64>) {
    let (held, next) = h.ask("q", 99).await;
    for held in &held {
        h.done(held, success(0)).await;
    }
    (held.len(), next.map(|ms| ms - h.now()))
}

pub(super) async fn a_bucket_says_when_it_has_more(h: &Harness) {
    h.rule("site", rates(&["2/1s:burst=3"])).await;
    fill(h, "a", 9).await;
    assert_eq!(came(h).await.0, 3);
    assert_eq!(came(h).await, (0, Some(500)));
    h.pass(499);
    assert_eq!(came(h).await, (0, Some(1)));
    h.pass(1);
    assert_eq!(came(h).await.0, 1);
    h.pass(60_000);
    assert_eq!(came(h).await.0, 3, "no more than its burst");
}

pub(super) async fn a_window_turns_with_the_clock(h: &Harness) {
    let quarter = 900_000;
    h.rule("site", rates(&["3/15m:window"])).await;
    fill(h, "a", 9).await;
    // The clock of a case begins at the edge of a quarter of an hour.
    assert_eq!(START_MS % quarter, 0);
    h.pass(quarter - 10);
    assert_eq!(came(h).await.0, 3);
    assert_eq!(came(h).await, (0, Some(10)));
    h.pass(9);
    assert_eq!(came(h).await, (0, Some(1)));
    h.pass(1);
    assert_eq!(came(h).await.0, 3, "a new window, ten milliseconds later");
    assert_eq!(came(h).await, (0, Some(quarter)));
}

pub(super) async fn several_rates_hold_at_once(h: &Harness) {
    h.rule("site", rates(&["2/1s:window", "3/1m:window"])).await;
    fill(h, "a", 9).await;
    assert_eq!(came(h).await.0, 2);
    assert_eq!(came(h).await, (0, Some(1_000)));
    h.pass(1_000);
    assert_eq!(came(h).await.0, 1);
    assert_eq!(came(h).await, (0, Some(59_000)));
}

pub(super) async fn a_key_that_cools_blocks_nobody(h: &Harness) {
    h.rule("site", rates(&["1/1h:window"])).await;
    fill(h, "a", 5).await;
    assert_eq!(came(h).await.0, 1);
    assert_eq!(came(h).await, (0, Some(3_600_000)));
    fill(h, "b", 5).await;
    h.put(job("b.job")).await;
    assert_eq!(came(h).await.0, 2);
    let limits = h.queue("q").await.limits;
    assert!(
        limits.iter().all(|l| l.waiting == 4 && l.left == Some(0) && l.next_ms == Some(h.now() + 3_600_000))
    );
    assert_eq!(limits.len(), 2);
}

pub(super) async fn a_cost_is_spent(h: &Harness) {
    h.rule("site", rates(&["10/1m:window"])).await;
    h.put_all((0..5).map(|_| job("a.job").limit("site", "a").cost(4))).await;
    assert_eq!(came(h).await.0, 2, "eight of ten");
    assert_eq!(came(h).await, (0, Some(60_000)));
    h.pass(60_000);
    assert_eq!(came(h).await.0, 2);
    h.limit_queue("r", "all").await;
    h.rule("all", rates(&["10/1m:window"])).await;
    h.put_all((0..5).map(|_| job("a.job").queue("r").cost(3))).await;
    assert_eq!(h.lease("r", 9).await.len(), 3, "a cost without a key counts for the queue");
}

pub(super) async fn a_cost_is_corrected(h: &Harness) {
    h.rule("site", rates(&["10/1m:window"])).await;
    fill(h, "a", 20).await;
    h.budget("site/a", Budget::Spend { extra: 6 }).await;
    assert_eq!(came(h).await.0, 4);
    h.budget("site/a", Budget::Spend { extra: -3 }).await;
    assert_eq!(came(h).await.0, 3, "given back");
    h.budget("site/a", Budget::Spend { extra: 5 }).await;
    assert_eq!(h.queue("q").await.limits[0].left, Some(-5), "in debt");
    h.budget("site/a", Budget::Reset).await;
    assert_eq!(came(h).await.0, 10);
    h.budget("site/a", Budget::Spend { extra: -99 }).await;
    assert_eq!(came(h).await.0, 3, "never more than there is; the last three");
}

pub(super) async fn what_costs_more_than_there_is_goes_alone(h: &Harness) {
    for (rate, wait) in [("3/1s:window", 1_000), ("3/1s", 2_667)] {
        let key = format!("key {wait}");
        h.rule("site", rates(&[rate])).await;
        h.put(job("a.job").limit("site", &key)).await;
        h.put(job("a.job").limit("site", &key).cost(8)).await;
        h.put(job("a.job").limit("site", &key)).await;
        assert_eq!(came(h).await.0, 1, "the large one waits until nothing is spent");
        h.pass(1_000);
        assert_eq!(came(h).await.0, 1, "and goes alone");
        let (none, next) = came(h).await;
        assert!(
            none == 0 && next.is_some_and(|ms| (ms - if wait == 1_000 { 1_000 } else { 2_000 }).abs() <= 1),
            "{next:?}"
        );
        h.pass(wait);
        assert_eq!(came(h).await.0, 1);
    }
}

pub(super) async fn a_large_cost_is_not_starved_by_small_ones(h: &Harness) {
    h.limit_queue("q", "all").await;
    h.rule("all", rates(&["4/1m:window"])).await;
    h.put_all((0..20).map(|_| job("a.job"))).await;
    let large = h.put(job("b.job").limit("site", "a").cost(4)).await;
    h.put_all((0..20).map(|n| job("b.job").limit("site", n))).await;
    for _ in 0..8 {
        came(h).await;
        h.pass(60_000);
    }
    assert_eq!(h.state(large).await, None, "it has had its turn");
}

pub(super) async fn what_a_server_told_holds(h: &Harness) {
    fill(h, "a", 20).await;
    let reset_ms = h.now() + 10_000;
    h.budget("site/a", Budget::Told { remaining: 5, reset_ms }).await;
    h.budget("site/a", Budget::Told { remaining: 3, reset_ms: reset_ms - 500 }).await;
    h.budget("site/a", Budget::Told { remaining: 9, reset_ms }).await;
    assert_eq!(came(h).await.0, 3, "the smallest of what was told, without any rule");
    assert_eq!(came(h).await, (0, Some(10_000)));
    h.pass(10_000);
    assert_eq!(came(h).await.0, 17);
    h.budget("site/a", Budget::Told { remaining: 0, reset_ms }).await;
    fill(h, "a", 2).await;
    assert_eq!(came(h).await.0, 2, "told of an instant that has passed");
}

pub(super) async fn a_block_ends_by_the_clock(h: &Harness) {
    h.limit_queue("q", "all").await;
    h.rule("all", rates(&["100/1s"])).await;
    h.put_all((0..4).map(|_| job("a.job"))).await;
    fill(h, "a", 4).await;
    let steer = Steer::Budget { limit: String::new(), change: Budget::Block { wait_ms: 5_000 } };
    h.backend.steer("q", steer).await.unwrap();
    assert_eq!(came(h).await, (0, Some(5_000)), "the limit that the queue names");
    h.pass(4_999);
    assert_eq!(came(h).await, (0, Some(1)));
    h.pass(1);
    assert_eq!(came(h).await.0, 8);
}

/// The blocks in force, each with the time that is left.
async fn blocked(h: &Harness) -> Vec<(String, i64)> {
    let all = h.backend.blocked().await.unwrap();
    all.into_iter().map(|one| (one.limit, one.until_ms - h.now())).collect()
}

pub(super) async fn blocks_are_shown_whether_jobs_wait_or_not(h: &Harness) {
    let block = |wait_ms| Budget::Block { wait_ms };
    assert_eq!(blocked(h).await, []);
    h.rule("site", rates(&["2/1m:window"])).await;
    fill(h, "a", 3).await;
    assert_eq!(came(h).await.0, 2);
    assert_eq!(blocked(h).await, [], "a rate that is spent is no block");
    h.budget("site/a", block(90_000)).await;
    h.budget("mail", block(5_000)).await;
    h.budget("mail", block(30_000)).await;
    h.budget("mail/é \"t\":", block(7_000)).await;
    h.budget("told", Budget::Told { remaining: 1, reset_ms: h.now() + 8_000 }).await;
    let mail = |ms| ("mail".to_owned(), ms);
    let key = |ms| ("mail/é \"t\":".to_owned(), ms);
    let site = |ms| ("site/a".to_owned(), ms);
    assert_eq!(blocked(h).await, [mail(30_000), key(7_000), site(90_000)], "by name, until the last ends");
    h.budget("told", Budget::Spend { extra: 1 }).await;
    assert_eq!(blocked(h).await[3], ("told".to_owned(), 8_000), "what was left is spent");
    h.pass(7_000);
    assert_eq!(blocked(h).await, [mail(23_000), site(83_000), ("told".to_owned(), 1_000)]);
    h.budget("site/a", Budget::Reset).await;
    h.pass(1_000);
    assert_eq!(blocked(h).await, [mail(22_000)]);
    h.pass(22_000);
    assert_eq!(blocked(h).await, []);
}

pub(super) async fn blocks_among_many_balances_are_all_shown(h: &Harness) {
    for n in 0..600 {
        let change = match n % 2 {
            0 => Budget::Block { wait_ms: 1_000 + n },
            _ => Budget::Told { remaining: 5, reset_ms: h.now() + 60_000 },
        };
        h.budget(&format!("site/{n:03}"), change).await;
    }
    let all: Vec<_> = (0..600).step_by(2).map(|n| (format!("site/{n:03}"), 1_000 + n)).collect();
    assert_eq!(blocked(h).await, all);
}

pub(super) async fn a_rate_of_a_whole_queue(h: &Harness) {
    h.limit_queue("q", "all").await;
    h.rule("all", rates(&["6/1m:window"])).await;
    h.put_all((0..9).map(|_| job("a.job"))).await;
    fill(h, "a", 9).await;
    let (held, _) = h.ask("q", 4).await;
    assert_eq!(held.len(), 4);
    assert_eq!(came(h).await.0, 2);
    assert_eq!(came(h).await, (0, Some(60_000)));
    h.pass(60_000);
    assert_eq!(came(h).await.0, 6);
}

pub(super) async fn a_rate_changed_while_running(h: &Harness) {
    h.rule("site", rates(&["2/1m:window"])).await;
    fill(h, "a", 20).await;
    assert_eq!(came(h).await.0, 2);
    assert_eq!(came(h).await.0, 0);
    h.rule("site", rates(&["5/1m:window"])).await;
    assert_eq!(came(h).await.0, 3, "raised at once; what was spent stays spent");
    h.rule("site", rates(&["1/1m:window"])).await;
    assert_eq!(came(h).await.0, 0, "lowered");
    h.rule("site", None).await;
    assert_eq!(came(h).await.0, 15);
}

pub(super) async fn a_balance_is_shown(h: &Harness) {
    h.limit_queue("q", "all").await;
    h.rule("all", rates(&["6/1m:window"])).await;
    h.put_all((0..3).map(|_| job("a.job").cost(4))).await;
    h.lease("q", 9).await;
    let limits = h.queue("q").await.limits;
    assert_eq!((limits[0].limit.as_str(), limits[0].left, limits[0].next_ms), ("all", Some(2), None));
    assert_eq!(limits[0].waiting, 2);
}

pub(super) async fn a_handed_back_job_has_spent_its_cost(h: &Harness) {
    h.rule("site", rates(&["2/1m:window"])).await;
    fill(h, "a", 1).await;
    for _ in 0..2 {
        let held = h.take("q").await;
        h.done(&held, Outcome::HandBack).await;
    }
    assert_eq!(came(h).await, (0, Some(60_000)));
    assert_eq!(h.queue("q").await.count(State::Available), 1);
}

pub(super) async fn a_pause_that_ends_says_when(h: &Harness) {
    h.put(job("a.job")).await;
    h.backend.steer("q", Steer::Pause(Pause::For(7_000))).await.unwrap();
    assert_eq!(came(h).await, (0, Some(7_000)));
    h.backend.steer("q", Steer::Pause(Pause::Forever)).await.unwrap();
    assert_eq!(came(h).await, (0, None));
}
