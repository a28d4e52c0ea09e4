//! Every conformance case on every backend: one line per backend at the end.

mod common;

use common::Keeper;
use legwork::testing::conformance::find;
use legwork::testing::harness::Harness;

/// What holds within a shard and not over several, case by case: `verb case`. The line
/// `redis` proves each for one shard.
#[rustfmt::skip]
const WITHIN_A_SHARD: [(&str, &[&str]); 5] = [
    ("order: by priority, first in first out, keys in turn, the head and the tail of a queue", &[
        "batches a_key_is_given_up_at_the_start_among_many",
        "batches a_large_batch_has_its_records_in_order",
        "batches jobs_with_a_past_among_many_without_one",
        "control a_cancelled_waiting_job_is_never_leased",
        "control a_job_redriven_while_its_old_place_remains_is_leased_once",
        "crashes a_crash_in_a_shared_batch_charges_nobody_else",
        "crashes a_crash_is_charged_and_spends_no_attempt",
        "enqueue a_chosen_id_that_was_cancelled_while_it_waited_is_leased_once",
        "enqueue a_due_instant_in_the_past_is_now",
        "enqueue many_jobs_in_one_batch",
        "inspection finished_jobs_are_listed_newest_first",
        "inspection the_oldest_available_job_is_known",
        "lease every_priority_is_a_priority",
        "lease extend_tells_whose_cancellation_is_requested",
        "lease first_in_first_out_across_batches",
        "lease priorities_are_strict",
        "lease suspects_are_leased_alone",
        "limits keys_take_turns",
        "limits waiters_that_go_away",
        "moves a_job_lost_alone_is_charged_a_crash",
        "moves promotion_goes_by_due_instants",
        "moves promotion_joins_the_tail",
        "moves a_clock_set_back_keeps_the_order_of_what_waits",
        "moves promotion_takes_scheduled_and_retryable",
        "retention a_finished_job_stays_for_its_retention",
        "retention retentions_of_different_lengths",
        "settle a_batch_handed_back_in_one_call_keeps_its_order",
        "settle a_hand_back_goes_to_the_head",
        "settle many_leases_in_one_call",
        "unique a_replaced_job_keeps_its_place",
    ]),
    ("batches: one token, and the queues of a call in the order asked for", &[
        "lease a_queue_asked_for_twice_gives_its_share_and_then_the_rest",
        "lease a_shared_batch_has_one_token_and_alone_has_many",
        "lease all_queues_have_one_maximum_together",
        "lease each_queue_has_its_own_maximum",
        "lease extend_after_the_last_settle_is_not_held",
        "limits queues_share_the_limit_that_they_name",
        "moves a_shared_batch_lost_charges_nobody",
        "moves suspicion_ends_in_a_crash_only_when_leased_alone",
        "settle one_job_of_a_shared_batch_leaves_the_others_alone",
    ]),
    ("counts of a queue: each shard has its share of what may wait and what is kept", &[
        "retention at_most_10_000_of_a_queue_and_state_are_kept",
        "rules a_full_queue_refuses_the_whole_call",
        "rules a_full_queue_takes_back_its_own",
        "rules rules_are_kept_in_steps",
        "rules so_many_are_kept_of_each_state",
        "rules so_many_bytes_are_kept",
        "rules what_is_there_already_needs_no_room",
        "rules what_waits_counts_and_nothing_else",
        "search a_page_looks_at_a_bounded_number_of_jobs",
    ]),
    ("tokens: they grow for each job, and for all jobs of a shard", &[
        "lease tokens_grow_also_when_the_clock_stands",
    ]),
    ("keys: a limit or serial key decides where a unique key and a chosen id are known", &[
        "enqueue a_chosen_id_may_have_keys",
        "keys a_stale_settle_frees_no_key",
        "schedules a_fired_job_is_enqueued_as_any_other",
        "unique a_replaced_job_lets_go_of_its_serial_key",
    ]),
];

/// The cases that run in the hardened mode too: together they call every script. Each function
/// is the text of its script, so that what `redis` proves of the others holds here.
const UNDER_FUNCTIONS: [&str; 8] =
    ["lease", "settle", "control", "moves", "rules", "flows", "rates", "inspection"];

/// Why a case does not hold over several shards, where it does not.
fn within_a_shard(verb: &str, name: &str) -> Option<&'static str> {
    let case = format!("{verb} {name}");
    WITHIN_A_SHARD.iter().find(|(_, cases)| cases.contains(&case.as_str())).map(|(why, _)| *why)
}

#[test]
fn what_holds_within_a_shard_is_a_case() {
    for case in WITHIN_A_SHARD.iter().flat_map(|(_, cases)| *cases) {
        let (verb, name) = case.split_once(' ').expect("a verb and a case");
        assert!(find(verb, name).is_some(), "{case} is none of the list");
    }
}

/// Runs one case on a harness of its own; says so where the backend is not to be had.
fn run(backend: &str, opened: impl Future<Output = Option<(Harness, Keeper)>>, verb: &str, name: &str) {
    let case = find(verb, name).expect("a case of the list");
    if backend == "redis_functions" && !UNDER_FUNCTIONS.contains(&verb) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Some((harness, keeper)) = opened.await else {
            return;
        };
        if harness.backend.shards() > 1
            && let Some(why) = within_a_shard(verb, name)
        {
            eprintln!("holds within a shard: {why}");
            return;
        }
        case.run(&harness).await;
        drop(harness);
        drop(keeper);
    });
}

macro_rules! tests_of {
    ($backend:ident ; $($verb:ident { $($name:ident)* })*) => {
        mod $backend { $(mod $verb { $(
            #[test]
            fn $name() {
                crate::run(stringify!($backend), crate::common::$backend(), stringify!($verb), stringify!($name));
            }
        )* })* }
    };
}

legwork::conformance_cases!(tests_of redis);
legwork::conformance_cases!(tests_of redis_functions);
legwork::conformance_cases!(tests_of redis_shards);
legwork::conformance_cases!(tests_of redis_cluster);
legwork::conformance_cases!(tests_of valkey);
legwork::conformance_cases!(tests_of sqlite_file);
legwork::conformance_cases!(tests_of sqlite_memory);
