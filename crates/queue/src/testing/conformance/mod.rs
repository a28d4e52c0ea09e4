//! What every backend must do, as cases: each takes a [`Harness`] around an empty
//! namespace and panics where the backend breaks the contract of [`crate::backend`].
//!
//! The cases stand in one list, [`conformance_cases`](crate::conformance_cases): a case
//! that is not in it is never called, which the compiler says.

use super::harness::Harness;
use std::future::Future;
use std::pin::Pin;

mod batches;
mod cancels;
mod control;
mod crashes;
mod drafts;
mod enqueue;
mod events;
mod flows;
mod inspection;
mod keys;
mod lease;
mod limits;
mod moves;
mod notes;
mod rates;
mod retention;
mod rules;
mod schedules;
mod search;
mod settle;
mod unique;

/// One case of the conformance list.
///
/// ```
/// let case = legwork::testing::conformance::find("settle", "snooze_spends_no_attempt");
/// assert_eq!(case.unwrap().verb, "settle");
/// ```
pub struct Case {
    /// The group: the verb or the part of the contract.
    pub verb: &'static str,
    /// What holds.
    pub name: &'static str,
    body: for<'a> fn(&'a Harness) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
}

impl Case {
    /// Runs the case, then checks what must hold after every case: an empty audit, and
    /// counts that agree with lists.
    ///
    /// ```no_run
    /// # async fn one(h: legwork::testing::harness::Harness) {
    /// for case in legwork::testing::conformance::CASES {
    ///     case.run(&h).await; // each on a harness of its own
    /// }
    /// # }
    /// ```
    ///
    /// # Panics
    /// The backend breaks the contract.
    pub async fn run(&self, harness: &Harness) {
        (self.body)(harness).await;
        harness.check().await;
    }
}

/// A case by its group and name.
///
/// ```
/// assert!(legwork::testing::conformance::find("lease", "no such case").is_none());
/// ```
pub fn find(verb: &str, name: &str) -> Option<&'static Case> {
    CASES.iter().find(|c| c.verb == verb && c.name == name)
}

/// The list of cases. Calls the macro named with what else is given, a semicolon, and
/// every case as `verb { name … }`: once here, for [`conformance::CASES`](CASES), and once
/// per backend in the tests, for a `#[test]` each.
#[macro_export]
macro_rules! conformance_cases {
    ($then:ident $($args:tt)*) => { $then! { $($args)* ;
        enqueue {
            a_job_is_available_at_once
            a_batch_is_answered_in_order
            an_empty_batch_does_nothing
            a_delayed_job_waits_by_the_backends_clock
            a_due_instant_in_the_past_is_now
            many_jobs_in_one_batch
            a_repeated_call_answers_as_the_first_time
            a_repeated_call_does_not_revive_a_job_that_is_gone
            a_large_call_that_comes_late_changes_nothing
            lanes_do_not_answer_for_each_other
            a_chosen_id_exists_in_every_state
            a_chosen_id_whose_record_is_gone_is_free
            a_chosen_id_that_was_cancelled_while_it_waited_is_leased_once
            a_chosen_id_twice_in_one_batch
            a_chosen_id_may_have_keys
            the_time_is_the_backends
            another_connection_sees_it
        }
        lease {
            first_in_first_out_across_batches
            priorities_are_strict
            every_priority_is_a_priority
            each_queue_has_its_own_maximum
            all_queues_have_one_maximum_together
            a_queue_asked_for_twice_gives_its_share_and_then_the_rest
            nothing_wanted_nothing_leased
            a_lease_says_what_the_worker_must_know
            a_shared_batch_has_one_token_and_alone_has_many
            no_job_is_leased_twice
            tokens_grow_also_when_the_clock_stands
            suspects_are_leased_alone
            a_suspect_between_others_is_leased_alone
            extend_renews_what_is_held
            extend_after_the_last_settle_is_not_held
            extend_tells_whose_cancellation_is_requested
            a_note_is_kept_under_the_fence
            a_paused_queue_is_skipped_until_it_is_resumed
            a_pause_ends_by_the_clock
            a_longer_pause_stays
            a_pause_stops_no_settle_and_no_enqueue
        }
        batches {
            a_large_batch_has_its_records_in_order
            jobs_with_a_past_among_many_without_one
            a_job_that_came_back_is_leased_with_its_past_whatever_else_waits
            a_key_is_given_up_at_the_start_among_many
            a_key_that_a_replacement_gives_up_at_the_start
            a_batch_is_settled_in_any_pieces
            whole_batches_are_settled_together
        }
        settle {
            success_keeps_the_result
            success_with_keep_0_leaves_nothing
            retry_spends_an_attempt_and_waits
            a_retry_without_a_wait_is_due_at_once
            snooze_spends_no_attempt
            discard_keeps_the_reason
            cancel_keeps_the_reason
            a_hand_back_goes_to_the_head
            a_batch_handed_back_in_one_call_keeps_its_order
            every_outcome_with_a_wrong_token_changes_nothing
            the_token_of_another_batch_settles_nothing
            the_token_of_another_batch_settles_nothing_that_waits
            a_repeated_settle_answers_done_and_happens_once
            a_repeated_settle_that_kept_nothing_answers_done
            another_outcome_under_an_ended_lease_is_stale
            a_stale_lease_settles_nobody_elses_attempt
            one_job_of_a_shared_batch_leaves_the_others_alone
            a_job_that_left_its_batch_is_fenced_from_it
            many_leases_in_one_call
            a_large_batch_in_one_call
            a_late_settle_is_all_or_nothing
            the_newest_25_errors_are_kept
            a_long_error_is_cut
            a_cancel_mark_outlives_the_attempt
        }
        cancels {
            a_request_wakes_the_worker
            a_request_is_acknowledged_under_the_fence
            a_requested_cancellation_and_every_outcome
            a_lost_job_that_was_acknowledged_is_cancelled
            a_former_request_does_not_hit_a_redriven_job
            a_repeated_settle_of_a_cancelled_job_answers_done
            the_end_of_a_cancelled_job_frees_its_keys
        }
        notes {
            steps_stay_in_order_and_the_first_of_a_name_wins
            a_step_under_a_lost_lease_is_stale
            steps_and_cursor_outlive_the_attempt
            steps_go_when_the_job_succeeds
            what_did_not_succeed_is_redriven_with_its_steps
            names_and_values_of_any_content
            steps_have_a_limit
            steps_go_with_what_is_purged
            a_list_shows_no_steps
        }
        crashes {
            a_crash_is_charged_and_spends_no_attempt
            too_many_crashes_discard
            a_crash_in_a_shared_batch_charges_nobody_else
            a_repeated_crash_is_charged_once
        }
        moves {
            promotion_goes_by_due_instants
            promotion_joins_the_tail
            promotion_takes_scheduled_and_retryable
            promotion_with_a_limit_of_nothing
            more_at_once_than_a_script_unpacks
            a_lease_that_holds_is_not_taken_back
            a_job_lost_alone_is_charged_a_crash
            a_clock_set_back_prolongs_no_lease
            an_outage_before_the_clock_was_set_back_hides_no_later_one
            a_longer_lease_than_the_sweeper_knows_holds
            a_clock_set_back_keeps_the_order_of_what_waits
            a_shared_batch_lost_charges_nobody
            only_what_was_left_of_a_batch_is_taken_back
            a_job_that_keeps_crashing_is_discarded
            suspicion_ends_in_a_crash_only_when_leased_alone
            a_lost_job_with_a_cancel_request_is_cancelled
            the_sweep_has_a_limit
            two_sweeps_at_once_take_a_job_back_once
            an_outage_charges_nobody_once_per_ttl
            whatever_makes_work_available_wakes
            an_operator_and_a_beat_wake
            a_serial_waiter_let_in_wakes
            an_enqueue_elsewhere_wakes
        }
        keys {
            a_unique_key_is_held_in_every_unfinished_state
            a_unique_key_is_free_in_every_final_state
            a_unique_key_is_free_after_success_with_keep_0
            a_unique_key_is_free_after_an_operator_ends_its_job
            the_end_of_an_old_job_does_not_free_its_successors_key
            a_stale_settle_frees_no_key
            keys_of_any_characters_are_different_keys
            a_serial_key_runs_one_at_a_time_in_order
            waiters_stay_available_and_say_why
            every_outcome_lets_the_next_holder_in
            a_lost_lease_lets_the_next_holder_in
            one_serial_key_across_queues_and_names
            a_serial_waiter_that_goes_away_is_skipped
            a_serial_waiter_let_in_that_goes_away_lets_in_the_next
            a_scheduled_waiter_does_not_hold_the_key
            a_parked_job_waits_for_its_name_and_version
            a_parked_job_keeps_its_unique_key_and_frees_its_serial_key
            a_parked_job_that_goes_away_is_not_released
        }
        unique {
            a_key_until_started_is_free_once_its_job_is_leased
            many_holders_end_in_one_settle
            a_key_until_started_is_not_taken_again
            an_old_owner_does_not_release_the_new_owners_key
            one_runs_and_one_waits_with_the_newest_payload
            what_comes_back_alone_waits_with_the_newest_payload
            what_comes_back_behind_a_newer_one_is_cancelled
            a_lost_lease_behind_a_newer_one_is_cancelled
            a_key_for_a_time_outlives_its_success
            an_id_chosen_again_does_not_inherit_a_key
            a_key_for_a_time_outlives_its_failure
            a_key_for_a_time_is_never_shorter_than_its_job
            a_key_for_a_time_is_free_when_its_job_is_called_off
            a_debounced_job_runs_after_the_last_enqueue
            a_debounced_job_waits_no_longer_than_its_limit
            a_debounced_job_that_is_available_is_put_off_again
            a_replaced_job_keeps_its_place
            a_job_is_replaced_in_every_state_that_waits
            a_job_that_runs_is_not_replaced
            a_replaced_job_follows_the_newest_to_its_queue
            a_replaced_job_lets_go_of_its_serial_key
            a_replaced_job_comes_under_a_limit_key
            every_scope_holds_within_one_batch
            a_repeated_call_replaces_once
            a_redrive_while_another_holds_the_key
            a_redrive_within_its_own_time
            a_redriven_job_was_called_off_with_its_time
            a_redriven_job_is_put_off_no_longer_than_its_limit
            no_end_leaks_a_key_of_any_scope
            a_replacement_races_a_lease
        }
        rules {
            a_full_queue_refuses_the_whole_call
            what_waits_counts_and_nothing_else
            what_is_there_already_needs_no_room
            a_full_queue_takes_back_its_own
            a_limit_is_lifted
            a_slot_of_a_full_queue_is_not_taken
            so_many_are_kept_of_each_state
            an_age_shortens_and_never_lengthens
            so_many_bytes_are_kept
            rules_spare_what_somebody_waits_for
            rules_are_kept_in_steps
            an_expired_job_spends_nothing
        }
        limits {
            a_key_runs_as_many_as_its_limit_allows
            keys_take_turns
            priorities_hold_within_a_key
            a_key_at_its_limit_blocks_nobody
            both_lanes_have_their_half
            a_limit_without_a_rule_is_fairness_alone
            a_lost_lease_frees_its_permit
            every_outcome_frees_the_permit
            a_limit_changed_while_running
            a_key_with_a_rule_of_its_own
            many_keys_drain_one_at_a_time
            a_queue_has_a_limit_of_its_own
            queues_share_the_limit_that_they_name
            a_permit_of_a_queue_wakes
            waiters_that_go_away
            a_promoted_job_waits_under_its_key
            a_broken_record_with_a_limit_key
            keys_of_any_characters
            what_limits_a_queue_is_shown
            nothing_runs_at_a_concurrency_of_none
        }
        rates {
            a_bucket_says_when_it_has_more
            a_window_turns_with_the_clock
            several_rates_hold_at_once
            a_key_that_cools_blocks_nobody
            a_cost_is_spent
            a_cost_is_corrected
            what_costs_more_than_there_is_goes_alone
            a_large_cost_is_not_starved_by_small_ones
            what_a_server_told_holds
            a_block_ends_by_the_clock
            blocks_are_shown_whether_jobs_wait_or_not
            blocks_among_many_balances_are_all_shown
            a_rate_of_a_whole_queue
            a_rate_changed_while_running
            a_balance_is_shown
            a_handed_back_job_has_spent_its_cost
            a_pause_that_ends_says_when
        }
        control {
            cancel_in_every_state
            discard_in_every_state
            retry_in_every_state
            retry_spares_the_attempts_of_an_unfinished_job
            a_redriven_job_is_not_suspect_for_its_former_crashes
            a_retry_lets_no_serial_waiter_in
            retry_of_a_final_job_whose_key_is_held
            retry_of_a_final_job_whose_key_is_free_takes_it
            no_action_on_a_job_that_is_not_there
            cancel_and_discard_are_kept_for_their_time
            a_cancelled_waiting_job_is_never_leased
            a_job_redriven_while_its_old_place_remains_is_leased_once
            purge_removes_what_waits_in_steps
            purge_of_nothing
            purge_spares_the_leased_and_its_serial_key
            purge_then_enqueue_again
        }
        retention {
            a_finished_job_stays_for_its_retention
            retentions_of_different_lengths
            pruning_goes_in_steps
            pruning_touches_nothing_unfinished
            a_watched_job_stays_a_minute
            a_watch_while_leased_counts
            a_watch_never_shortens_a_retention
            a_watch_of_nothing
            a_finished_job_is_not_due_leased_or_taken_back
            successes_of_a_whole_batch_are_finished_jobs_as_others
            at_most_10_000_of_a_queue_and_state_are_kept
        }
        schedules {
            a_schedule_is_stored_by_name
            a_new_schedule_begins_now
            a_schedule_stored_again_keeps_its_last_slot
            a_schedule_can_be_dropped
            a_slot_is_fired_once
            a_wrong_expectation_fires_nothing
            slots_follow_each_other
            a_fired_job_is_enqueued_as_any_other
            settings_have_a_version_that_grows_with_each_change
            a_batch_guarded_by_settings_is_refused_when_they_changed
        }
        drafts {
            nobody_sees_a_draft
            a_step_that_is_repeated_counts_once
            a_draft_that_nobody_commits_is_forgotten
        }
        events {
            every_subscriber_is_told_and_nobody_else
            an_event_published_again_is_told_once
            a_list_of_subscribers_that_has_changed_is_read_again
            publishing_races_subscribing
            many_subscribers_are_told_all_or_none
        }
        flows {
            a_chain_runs_in_order
            a_fan_in_waits_for_all_of_them
            results_are_handed_over_in_order_whatever_is_kept
            each_edge_says_what_a_failure_means
            a_rescue_is_not_needed_when_nothing_fails
            callbacks_of_a_batch
            only_an_end_counts_as_one
            a_lost_reply_tells_of_an_end_once
            a_job_that_takes_its_worker_down_fails_its_dependants
            a_fan_in_of_ten_thousand_runs_once
            a_flow_is_cancelled_whatever_its_jobs_do
            an_operator_ends_a_node
            a_purged_node_counts_as_cancelled
            a_node_is_put_off_once_its_turn_has_come
            a_serial_key_holds_in_a_flow
            a_flow_is_read_as_a_graph
            a_flow_is_replayed_from_a_node
            mending_a_sound_flow_changes_nothing
            random_flows_end_as_the_rules_say
        }
        inspection {
            list_by_each_filter
            a_page_has_at_most_its_limit
            a_list_shows_what_get_shows
            finished_jobs_are_listed_newest_first
            queues_are_counted_by_state
            a_queue_that_had_jobs_is_remembered
            the_oldest_available_job_is_known
            workers_are_seen_until_they_leave
            orders_hold_until_they_are_followed
            orders_go_with_their_worker
            a_job_that_is_not_there
            a_broken_record_survives_every_verb
            a_broken_record_waits_and_is_purged
            payloads_of_any_content_come_back_as_they_were
            names_at_the_edge_of_their_grammar
            an_audit_changes_nothing
        }
        search {
            every_source_is_paged
            jobs_are_found_by_tag_and_metadata
            jobs_are_found_by_when_they_were_made
            jobs_are_found_by_their_newest_error
            a_replaced_job_is_found_by_what_it_is_now
            the_jobs_of_a_flow_are_found
            the_index_forgets_what_is_forgotten
            jobs_that_finished_at_one_instant_are_paged
            a_search_passes_over_no_job_that_stays
            a_search_goes_on_where_the_last_job_has_gone
            a_page_looks_at_a_bounded_number_of_jobs
            a_wrong_search_is_refused
            a_retry_of_what_waits_is_none_of_what_has_finished
            terms_are_counted_in_order
        }
    } };
}

macro_rules! collect {
    (; $($verb:ident { $($name:ident)* })*) => {
        /// Every case.
        pub static CASES: &[Case] = &[$($(Case {
            verb: stringify!($verb),
            name: stringify!($name),
            body: |h| Box::pin($verb::$name(h)),
        },)*)*];
    };
}
conformance_cases!(collect);
