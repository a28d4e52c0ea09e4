//! A test of the tests: backends that break the contract in one way each, and the
//! conformance case that must catch it.

mod common;

use legwork::backend::*;
use legwork::testing::conformance::find;
use legwork::testing::harness::Harness;
use legwork::{JobId, Policy, Result, State};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// How a mutant is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    None,
    SettleIgnoresTheToken,
    SettleForgetsItsAnswer,
    SettleKeepsLonger,
    SettleKeepsNothing,
    SettleLetsTheBatchGo,
    HandBackSpendsAnAttempt,
    EnqueueForgetsLanes,
    EnqueueIgnoresUniqueKeys,
    EnqueueIgnoresReleases,
    EnqueueIgnoresConflicts,
    EnqueueIgnoresSerialKeys,
    EnqueueIgnoresLimitKeys,
    EnqueueIgnoresCosts,
    LeaseIgnoresRules,
    EnqueueIgnoresDelays,
    EnqueueIgnoresPriorities,
    LeaseIgnoresPauses,
    LeaseIgnoresAlone,
    LeaseReverses,
    LeaseDoublesTheMaximum,
    ReapChargesNoCrash,
    ReapIgnoresOutages,
    ReapTakesWhatIsHeld,
    ExtendRenewsNothing,
    ExtendAlwaysHolds,
    NoteIgnoresTheToken,
    NoteForgetsCursors,
    CrashIsAHandBack,
    ExtendTellsOfNoRequest,
    PromoteIgnoresTheLimit,
    PromoteUnpacksEverything,
    FireIgnoresTheExpectation,
    BeatReleasesAnyVersion,
    BeatForgetsOrders,
    PauseShortens,
    QueuesMiscount,
    SearchStopsAfterAPage,
    SearchIgnoresTheError,
    WatchIsNotHeeded,
    PurgeIgnoresTheLimit,
    ControlCancelsWhatIsLeased,
    FlowForgetsEdges,
    FlowKnowsOnePolicy,
    FlowCommitsAtOnce,
    FlowForgetsResults,
    PublishIgnoresChanges,
}

struct Mutant {
    wrong: Wrong,
    real: Arc<dyn Backend>,
    settled: Mutex<HashSet<(Token, JobId)>>,
}

impl Mutant {
    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    fn new_jobs(&self, jobs: &[NewJob]) -> Vec<NewJob> {
        let mut jobs = jobs.to_vec();
        for job in &mut jobs {
            let before = job.envelope.encode();
            match self.wrong {
                Wrong::EnqueueIgnoresUniqueKeys => job.envelope.unique = None,
                Wrong::EnqueueIgnoresReleases => job.envelope.scope.release = Release::Finished,
                Wrong::EnqueueIgnoresConflicts => job.envelope.scope.conflict = Conflict::Existing,
                Wrong::EnqueueIgnoresSerialKeys => job.envelope.serial = None,
                Wrong::EnqueueIgnoresLimitKeys => job.envelope.limit = None,
                Wrong::EnqueueIgnoresCosts => job.envelope.cost = 1,
                Wrong::EnqueueIgnoresPriorities => job.envelope.priority = 5,
                Wrong::EnqueueIgnoresDelays => job.due = Due::Now,
                _ => {}
            }
            // Records that a case broke on purpose stay as they are.
            if job.record == before {
                job.record = job.envelope.encode();
            }
        }
        jobs
    }

    fn stage_wrongly(&self, step: &mut FlowStep) {
        match self.wrong {
            Wrong::FlowForgetsEdges => {
                step.edges.clear();
                step.nodes.iter_mut().for_each(|node| node.entry = true);
            }
            Wrong::FlowKnowsOnePolicy => step.edges.iter_mut().for_each(|edge| edge.edge = Edge::Fail),
            Wrong::FlowCommitsAtOnce => step.commit = true,
            _ => {}
        }
    }

    /// The token under which a job is leased now.
    async fn token(&self, id: JobId) -> Result<Option<Token>> {
        Ok(self.real.get(id, false).await?.and_then(|v| v.lease).map(|l| l.token))
    }

    async fn settle_wrongly(&self, items: &[Settle]) -> Result<Vec<Settled>> {
        let mut items = items.to_vec();
        for item in &mut items {
            let repeated = !self.settled.lock().unwrap().insert((item.token, item.id));
            if self.is(Wrong::SettleForgetsItsAnswer) && repeated {
                item.token = Token(1);
            }
            if self.is(Wrong::SettleIgnoresTheToken) {
                item.token = self.token(item.id).await?.unwrap_or(item.token);
            }
            match &mut item.outcome {
                Outcome::Succeeded { keep_ms, .. } if self.is(Wrong::SettleKeepsLonger) => *keep_ms *= 2,
                Outcome::Succeeded { keep_ms, .. } if self.is(Wrong::SettleKeepsNothing) => *keep_ms = 0,
                outcome @ Outcome::Crash { .. } if self.is(Wrong::CrashIsAHandBack) => {
                    *outcome = Outcome::HandBack;
                }
                outcome @ Outcome::HandBack if self.is(Wrong::HandBackSpendsAnAttempt) => {
                    *outcome = Outcome::Retry { wait_ms: 0, error: "handed back".into() };
                }
                _ => {}
            }
        }
        let answers = self.real.settle(&items).await?;
        if self.is(Wrong::HandBackSpendsAnAttempt) {
            self.real.promote(100).await?;
        }
        if self.is(Wrong::SettleLetsTheBatchGo) {
            let others = self.leased().await?;
            let same =
                |v: &JobView| v.lease.as_ref().is_some_and(|l| items.iter().any(|i| i.token == l.token));
            for view in others.iter().filter(|v| same(v)) {
                self.hand_back(view).await?;
            }
        }
        Ok(answers)
    }

    async fn leased(&self) -> Result<Vec<JobView>> {
        Ok(self
            .real
            .search(&Filter { state: Some(State::Leased), limit: 1_000, ..Filter::default() })
            .await?
            .jobs)
    }

    async fn hand_back(&self, view: &JobView) -> Result<()> {
        let Some(lease) = &view.lease else { return Ok(()) };
        let item = Settle { token: lease.token, id: view.id, outcome: Outcome::HandBack, keyed: true };
        self.real.settle(&[item]).await.map(drop)
    }

    async fn reap_wrongly(&self, limit: usize, outage: bool, ttl_ms: i64) -> Result<Vec<Reaped>> {
        let now = self.real.now().await?;
        let mut reaped = Vec::new();
        for view in self.leased().await? {
            let expired = view.lease.as_ref().is_some_and(|l| l.expires_ms <= now);
            if self.is(Wrong::ReapTakesWhatIsHeld) || self.is(Wrong::ReapChargesNoCrash) && expired && !outage
            {
                self.hand_back(&view).await?;
                reaped.push(Reaped { id: view.id, state: State::Available, crashes: view.crashes });
            }
        }
        let outage = outage && !self.is(Wrong::ReapIgnoresOutages);
        reaped.extend(self.real.reap(limit, outage, ttl_ms).await?);
        Ok(reaped)
    }

    async fn lease_wrongly(&self, request: &LeaseRequest) -> Result<Leased> {
        let mut request = request.clone();
        if self.is(Wrong::LeaseIgnoresPauses) {
            for (queue, _) in &request.queues {
                self.real.steer(queue, Steer::Pause(Pause::Off)).await?;
            }
        }
        request.alone &= !self.is(Wrong::LeaseIgnoresAlone);
        if self.is(Wrong::LeaseDoublesTheMaximum) {
            request.queues.iter_mut().for_each(|(_, max)| *max *= 2);
        }
        if self.is(Wrong::LeaseIgnoresRules) {
            for entry in self.real.settings(Setting::Limit).await?.entries {
                self.real.put(Setting::Limit, &entry.name, None).await?;
            }
        }
        let mut leased = self.real.lease(&request).await?;
        if self.is(Wrong::LeaseReverses) {
            leased.batches.reverse();
            leased.batches.iter_mut().for_each(|b| b.jobs.reverse());
        }
        Ok(leased)
    }

    async fn beat_wrongly(&self, worker: &WorkerView) -> Result<Vec<Order>> {
        let mut worker = worker.clone();
        if self.is(Wrong::BeatReleasesAnyVersion) {
            worker.definitions.iter_mut().for_each(|d| d.version = 99);
            worker.definitions.push(Definition {
                name: "b.job".into(),
                version: 99,
                policy: Policy::default(),
            });
        }
        let orders = self.real.beat(&worker).await?;
        if self.is(Wrong::BeatForgetsOrders) {
            // As if told at once, before the worker has come to it.
            for (name, _) in [(worker.id.clone(), ()), (format!("{} é", worker.id), ())] {
                self.real.put(Setting::Worker, &name, None).await?;
            }
        }
        Ok(orders)
    }
}

impl Backend for Mutant {
    fn describe(&self) -> String {
        self.real.describe()
    }

    fn now(&self) -> Fut<'_, i64> {
        self.real.now()
    }

    fn enqueue<'a>(&'a self, batch: &'a EnqueueBatch) -> Fut<'a, Taken> {
        Box::pin(async move {
            let mut batch = batch.clone();
            if let (Guard::Slot { kind, name, expect, .. }, true) =
                (&mut batch.guard, self.is(Wrong::FireIgnoresTheExpectation))
            {
                let all = self.real.settings(*kind).await?;
                *expect = all.entries.iter().find(|e| e.name == *name).map_or(*expect, |e| e.last_ms);
            }
            if self.is(Wrong::PublishIgnoresChanges) {
                batch.guard = Guard::None;
            }
            if let Some(step) = &mut batch.flow {
                self.stage_wrongly(step);
            }
            batch.jobs = self.new_jobs(&batch.jobs);
            if self.is(Wrong::EnqueueForgetsLanes) {
                batch.lane = JobId::new().to_string();
            }
            self.real.enqueue(&batch).await
        })
    }

    fn lease<'a>(&'a self, request: &'a LeaseRequest) -> Fut<'a, Leased> {
        Box::pin(self.lease_wrongly(request))
    }

    fn extend<'a>(&'a self, tokens: &'a [Token], ttl_ms: i64) -> Fut<'a, Extended> {
        Box::pin(async move {
            let ttl_ms = if self.is(Wrong::ExtendRenewsNothing) { 1 } else { ttl_ms };
            let mut answer = self.real.extend(tokens, ttl_ms).await?;
            if self.is(Wrong::ExtendAlwaysHolds) {
                answer.held.fill(true);
            }
            if self.is(Wrong::ExtendTellsOfNoRequest) {
                answer.cancel.clear();
            }
            Ok(answer)
        })
    }

    fn settle<'a>(&'a self, items: &'a [Settle]) -> Fut<'a, Vec<Settled>> {
        Box::pin(self.settle_wrongly(items))
    }

    fn note<'a>(&'a self, token: Token, id: JobId, note: &'a Note) -> Fut<'a, Settled> {
        Box::pin(async move {
            let held = if self.is(Wrong::NoteIgnoresTheToken) { self.token(id).await? } else { None };
            if self.is(Wrong::NoteForgetsCursors) && matches!(note, Note::Cursor(_)) {
                return Ok(Settled::Done);
            }
            self.real.note(held.unwrap_or(token), id, note).await
        })
    }

    fn flow<'a>(&'a self, ask: &'a FlowAsk) -> Fut<'a, FlowPage> {
        Box::pin(async move {
            let mut page = self.real.flow(ask).await?;
            if self.is(Wrong::FlowForgetsResults) {
                page.nodes.iter_mut().for_each(|node| node.result = None);
            }
            Ok(page)
        })
    }

    fn promote(&self, limit: usize) -> Fut<'_, Promoted> {
        Box::pin(async move {
            let waiting = self.real.queues().await?.iter().map(|q| q.count(State::Scheduled)).sum::<u64>();
            if self.is(Wrong::PromoteUnpacksEverything) && waiting >= 8_000 {
                // The script ends in an error, each time.
                return Ok(Promoted::default());
            }
            self.real.promote(if self.is(Wrong::PromoteIgnoresTheLimit) { 1_000 } else { limit }).await
        })
    }

    fn reap(&self, limit: usize, outage: bool, ttl_ms: i64) -> Fut<'_, Vec<Reaped>> {
        Box::pin(self.reap_wrongly(limit, outage, ttl_ms))
    }

    fn prune(&self, limit: usize) -> Fut<'_, usize> {
        self.real.prune(limit)
    }

    fn control<'a>(&'a self, id: JobId, action: Action) -> Fut<'a, Controlled> {
        Box::pin(async move {
            let spoil = self.is(Wrong::ControlCancelsWhatIsLeased) && action == Action::Cancel;
            if spoil && let Some(view) = self.real.get(id, false).await? {
                self.hand_back(&view).await?;
            }
            self.real.control(id, action).await
        })
    }

    fn steer<'a>(&'a self, queue: &'a str, steer: Steer) -> Fut<'a, usize> {
        Box::pin(async move {
            let steer = match steer {
                Steer::Purge(_) if self.is(Wrong::PurgeIgnoresTheLimit) => Steer::Purge(1_000),
                other => other,
            };
            if self.is(Wrong::PauseShortens) && matches!(steer, Steer::Pause(_)) {
                self.real.steer(queue, Steer::Pause(Pause::Off)).await?;
            }
            self.real.steer(queue, steer).await
        })
    }

    fn get(&self, id: JobId, watch: bool) -> Fut<'_, Option<JobView>> {
        self.real.get(id, watch && !self.is(Wrong::WatchIsNotHeeded))
    }

    fn search<'a>(&'a self, filter: &'a Filter) -> Fut<'a, Page> {
        Box::pin(async move {
            let mut page = self.real.search(filter).await?;
            if self.is(Wrong::SearchStopsAfterAPage) {
                page.cursor = None;
            }
            if self.is(Wrong::SearchIgnoresTheError) {
                page = self.real.search(&Filter { error: None, ..filter.clone() }).await?;
            }
            Ok(page)
        })
    }

    fn terms<'a>(&'a self, from: &'a str, limit: usize) -> Fut<'a, Vec<Term>> {
        self.real.terms(from, limit)
    }

    fn queues(&self) -> Fut<'_, Vec<QueueView>> {
        Box::pin(async move {
            let mut all = self.real.queues().await?;
            if self.is(Wrong::QueuesMiscount) {
                all.iter_mut().for_each(|q| *q.counts.entry("leased".into()).or_default() += 1);
            }
            Ok(all)
        })
    }

    fn beat<'a>(&'a self, worker: &'a WorkerView) -> Fut<'a, Vec<Order>> {
        Box::pin(self.beat_wrongly(worker))
    }

    fn blocked(&self) -> Fut<'_, Vec<Blocked>> {
        self.real.blocked()
    }

    fn workers(&self) -> Fut<'_, Vec<WorkerView>> {
        self.real.workers()
    }

    fn put<'a>(&'a self, kind: Setting, name: &'a str, value: Option<&'a str>) -> Fut<'a, Option<Entry>> {
        self.real.put(kind, name, value)
    }

    fn settings(&self, kind: Setting) -> Fut<'_, Settings> {
        self.real.settings(kind)
    }

    fn wakeups(&self) -> watch::Receiver<u64> {
        self.real.wakeups()
    }

    fn audit(&self) -> Fut<'_, Vec<String>> {
        self.real.audit()
    }
}

/// Runs a case against a mutant; whether the case failed.
fn caught(wrong: Wrong, verb: &'static str, name: &'static str) -> bool {
    let case = find(verb, name).unwrap_or_else(|| panic!("no case {verb}::{name}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let (h, _keeper) = common::sqlite_memory().await.expect("always there");
        let real = h.backend.clone();
        let mutant: Arc<dyn Backend> = Arc::new(Mutant { wrong, real, settled: Mutex::default() });
        let h = Harness::new(mutant.clone(), mutant, h.clock.clone());
        let failed = tokio::spawn(async move { case.run(&h).await }).await;
        failed.is_err_and(|e| e.is_panic())
    })
}

macro_rules! mutants {
    ($($test:ident: $wrong:ident $verb:ident $case:ident;)*) => { $(
        #[test]
        fn $test() {
            let (verb, case) = (stringify!($verb), stringify!($case));
            assert!(!caught(Wrong::None, verb, case), "{verb}::{case} passes when nothing is wrong");
            assert!(caught(Wrong::$wrong, verb, case), "{verb}::{case} must catch {:?}", Wrong::$wrong);
        }
    )* };
}

mutants! {
    settle_without_a_token_check: SettleIgnoresTheToken settle a_stale_lease_settles_nobody_elses_attempt;
    settle_under_any_token: SettleIgnoresTheToken settle every_outcome_with_a_wrong_token_changes_nothing;
    settle_that_forgets: SettleForgetsItsAnswer settle a_repeated_settle_answers_done_and_happens_once;
    settle_that_keeps_longer: SettleKeepsLonger retention a_finished_job_stays_for_its_retention;
    settle_that_keeps_nothing: SettleKeepsNothing settle success_keeps_the_result;
    settle_that_drops_the_rest_of_a_batch: SettleLetsTheBatchGo settle one_job_of_a_shared_batch_leaves_the_others_alone;
    hand_back_that_spends_an_attempt: HandBackSpendsAnAttempt settle a_hand_back_goes_to_the_head;
    enqueue_without_a_lane_check: EnqueueForgetsLanes enqueue a_repeated_call_does_not_revive_a_job_that_is_gone;
    enqueue_without_unique_keys: EnqueueIgnoresUniqueKeys keys a_unique_key_is_held_in_every_unfinished_state;
    enqueue_without_releases: EnqueueIgnoresReleases unique a_key_until_started_is_free_once_its_job_is_leased;
    enqueue_without_conflicts: EnqueueIgnoresConflicts unique one_runs_and_one_waits_with_the_newest_payload;
    enqueue_without_limit_keys: EnqueueIgnoresLimitKeys limits a_key_runs_as_many_as_its_limit_allows;
    enqueue_without_costs: EnqueueIgnoresCosts rates a_cost_is_spent;
    lease_without_rules: LeaseIgnoresRules rates a_bucket_says_when_it_has_more;
    enqueue_without_serial_keys: EnqueueIgnoresSerialKeys keys a_serial_key_runs_one_at_a_time_in_order;
    enqueue_without_delays: EnqueueIgnoresDelays enqueue a_delayed_job_waits_by_the_backends_clock;
    enqueue_without_priorities: EnqueueIgnoresPriorities lease priorities_are_strict;
    lease_from_paused_queues: LeaseIgnoresPauses lease a_paused_queue_is_skipped_until_it_is_resumed;
    lease_always_shared: LeaseIgnoresAlone lease a_shared_batch_has_one_token_and_alone_has_many;
    lease_out_of_order: LeaseReverses lease first_in_first_out_across_batches;
    lease_of_too_many: LeaseDoublesTheMaximum lease each_queue_has_its_own_maximum;
    reap_without_crash_count: ReapChargesNoCrash moves a_job_that_keeps_crashing_is_discarded;
    reap_that_charges_outages: ReapIgnoresOutages moves an_outage_charges_nobody_once_per_ttl;
    reap_of_live_leases: ReapTakesWhatIsHeld moves a_lease_that_holds_is_not_taken_back;
    extend_that_renews_nothing: ExtendRenewsNothing lease extend_renews_what_is_held;
    extend_that_always_holds: ExtendAlwaysHolds lease extend_after_the_last_settle_is_not_held;
    note_without_a_token_check: NoteIgnoresTheToken lease a_note_is_kept_under_the_fence;
    note_of_a_late_worker: NoteIgnoresTheToken notes a_step_under_a_lost_lease_is_stale;
    note_without_cursors: NoteForgetsCursors notes steps_and_cursor_outlive_the_attempt;
    crash_that_charges_nobody: CrashIsAHandBack crashes a_crash_is_charged_and_spends_no_attempt;
    extend_that_tells_of_no_request: ExtendTellsOfNoRequest cancels a_request_wakes_the_worker;
    promote_without_a_limit: PromoteIgnoresTheLimit moves promotion_goes_by_due_instants;
    promote_that_unpacks_everything: PromoteUnpacksEverything moves more_at_once_than_a_script_unpacks;
    fire_without_compare_and_set: FireIgnoresTheExpectation schedules a_wrong_expectation_fires_nothing;
    beat_that_forgets_orders: BeatForgetsOrders inspection orders_hold_until_they_are_followed;
    beat_that_releases_any_version: BeatReleasesAnyVersion keys a_parked_job_waits_for_its_name_and_version;
    pause_that_shortens: PauseShortens lease a_longer_pause_stays;
    queues_that_miscount: QueuesMiscount enqueue a_job_is_available_at_once;
    search_that_stops_after_a_page: SearchStopsAfterAPage search every_source_is_paged;
    search_that_ignores_the_error: SearchIgnoresTheError search jobs_are_found_by_their_newest_error;
    watch_that_is_not_heeded: WatchIsNotHeeded retention a_watched_job_stays_a_minute;
    purge_without_a_limit: PurgeIgnoresTheLimit control purge_removes_what_waits_in_steps;
    flow_without_edges: FlowForgetsEdges flows a_chain_runs_in_order;
    flow_with_one_policy: FlowKnowsOnePolicy flows each_edge_says_what_a_failure_means;
    flow_begun_before_its_commit: FlowCommitsAtOnce drafts nobody_sees_a_draft;
    flow_without_results: FlowForgetsResults flows results_are_handed_over_in_order_whatever_is_kept;
    publish_by_an_old_list: PublishIgnoresChanges events a_list_of_subscribers_that_has_changed_is_read_again;
    control_that_cancels_under_a_lease: ControlCancelsWhatIsLeased control cancel_in_every_state;
}
