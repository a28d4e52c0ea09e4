//! Ledgers made by hand, each with one fault.

use super::*;
use Kind::*;

/// A ledger in memory: entries by writer, a millisecond apart unless said otherwise.
#[derive(Default)]
struct Made(Vec<(Writer, Vec<Entry>)>, u64);

impl Made {
    fn at(mut self, ms: u64) -> Made {
        self.1 = ms * 1_000;
        self
    }

    fn note(mut self, writer: Writer, kind: Kind, job: u64, token: u64) -> Made {
        self.1 += 1_000;
        let entry = Entry { kind, job, record: 100 + job, token, at: self.1 };
        match self.0.iter_mut().find(|(known, _)| *known == writer) {
            Some((_, entries)) => entries.push(entry),
            None => self.0.push((writer, vec![entry])),
        }
        self
    }

    fn enqueued(self, kind: Kind, job: u64) -> Made {
        self.note(Writer::Producer(0), kind, job, 0)
    }

    fn ran(self, worker: u64, kind: Kind, job: u64, token: u64) -> Made {
        self.note(Writer::Worker(worker), kind, job, token)
    }

    fn fault(self, kind: Kind, worker: u64) -> Made {
        self.note(Writer::Faults, kind, worker, 0)
    }

    fn kept(self, kind: Kind, job: u64, token: u64) -> Made {
        self.note(Writer::Queue, kind, job, token)
    }

    fn report(&self) -> Report {
        check(&self.0, 3, 2)
    }

    fn broken(&self) -> Vec<&'static str> {
        self.report().broken()
    }
}

/// One job enqueued, run by worker 1 under token 5, and kept.
fn good() -> Made {
    Made::default().enqueued(Accepted, 1).ran(1, Started, 1, 5).ran(1, Done, 1, 5).kept(Succeeded, 1, 5)
}

#[test]
fn a_good_ledger_is_good() {
    let report = good().note(Writer::Queue, Counted, 1, 0).report();
    assert_eq!(report.broken(), Vec::<&str>::new());
    assert_eq!((report.jobs, report.accepted, report.lost), (1, 1, 0));
}

#[test]
fn each_fault_has_its_name() {
    let killed = || Made::default().enqueued(Accepted, 1).ran(1, Started, 1, 5).fault(Killed, 1);
    for (made, name) in [
        (good().enqueued(Accepted, 2), "lost"),
        (good().enqueued(Accepted, 2).kept(Open, 2, 0), "lost"),
        (good().ran(1, Started, 7, 9).ran(1, Done, 7, 9), "unexpected"),
        (good().enqueued(Refused, 2).ran(1, Started, 2, 6), "unexpected"),
        (good().kept(Succeeded, 9, 4), "unexpected"),
        (killed().kept(Succeeded, 1, 5), "false_ack"),
        (killed().ran(2, Started, 1, 6).ran(2, Done, 1, 6).kept(Succeeded, 1, 5), "false_ack"),
        (good().kept(Succeeded, 1, 5), "duplicated"),
        (good().note(Writer::Queue, Counted, 2, 0), "conservation"),
        (good().note(Writer::Queue, Audited, 0, 0), "conservation"),
        (good().enqueued(Accepted, 2).kept(Discarded, 2, 0), "crash_limit"),
        (good().ran(2, Started, 1, 6).ran(2, Dropped, 1, 6), "unexplained"),
        (good().ran(1, Started, 1, 5), "unexplained"),
    ] {
        assert!(made.broken().contains(&name), "{name}: {:?}", made.report());
    }
}

#[test]
fn a_late_settle_that_was_taken_is_stale() {
    let zombie = Made::default().enqueued(Accepted, 1).ran(1, Started, 1, 5).fault(Stopped, 1);
    let zombie = zombie.ran(2, Started, 1, 6).fault(Continued, 1).ran(1, Done, 1, 5).ran(2, Done, 1, 6);
    assert_eq!(zombie.kept(Succeeded, 1, 5).broken(), ["stale_ack_accepted"]);
}

#[test]
fn a_refused_late_settle_is_a_repeat_and_no_fault() {
    let zombie = Made::default().enqueued(Accepted, 1).ran(1, Started, 1, 5).fault(Stopped, 1);
    let zombie = zombie.ran(2, Started, 1, 6).fault(Continued, 1).ran(1, Done, 1, 5).ran(2, Done, 1, 6);
    let report = zombie.kept(Succeeded, 1, 6).report();
    assert_eq!(report.broken(), Vec::<&str>::new());
    let found = (report.zombies, report.restarts_by_zombies, report.repeated_by_zombies);
    assert_eq!(found, (1, 1, 1));
}

#[test]
fn a_stop_explains_what_began_or_ended_beside_its_note_and_nothing_else() {
    let again = |made: Made| made.ran(2, Started, 1, 6).ran(2, Done, 1, 6).kept(Succeeded, 1, 6);
    let made = || Made::default().enqueued(Accepted, 1);
    // The note comes before the signal: the run began between them.
    let began = again(made().fault(Stopped, 1).ran(1, Started, 1, 5)).fault(Continued, 1).ran(1, Done, 1, 5);
    // Done, and not settled yet.
    let unsettled = made().ran(1, Started, 1, 5).ran(1, Done, 1, 5).fault(Stopped, 1);
    let unsettled = again(unsettled).fault(Continued, 1);
    for made in [began, unsettled] {
        let report = made.report();
        assert_eq!((report.broken(), report.restarts_by_zombies), (vec![], 1), "{report:?}");
    }
    // Done long before.
    let long = made().ran(1, Started, 1, 5).ran(1, Done, 1, 5).at(2_000).fault(Stopped, 1);
    assert_eq!(again(long).fault(Continued, 1).broken(), ["unexplained"]);
    // Begun after it went on.
    let after = made().fault(Stopped, 1).fault(Continued, 1).ran(1, Started, 1, 5).ran(1, Done, 1, 5);
    assert_eq!(again(after).broken(), ["unexplained"]);
}

#[test]
fn poison_may_start_as_often_as_it_may_crash_and_once_among_others() {
    let started = |times: u64| {
        let made = Made::default().note(Writer::Producer(0), Accepted, 1, 1);
        let made = (1..=times).fold(made, |made, n| made.ran(n, Started, 1, n).fault(Killed, n));
        made.kept(Discarded, 1, 0).broken()
    };
    assert_eq!(started(4), Vec::<&str>::new());
    assert_eq!(started(5), ["crash_limit"]);
}

#[test]
fn an_unknown_outcome_may_go_either_way() {
    let made = good().enqueued(Unknown, 2).enqueued(Unknown, 3).ran(1, Started, 3, 8).ran(1, Done, 3, 8);
    let report = made.kept(Succeeded, 3, 8).report();
    assert_eq!(report.broken(), Vec::<&str>::new());
    assert_eq!((report.unknown, report.recovered), (2, 1));
}

#[test]
fn repeats_and_recovery_are_told_by_their_cause() {
    let made = Made::default().enqueued(Accepted, 1).enqueued(Accepted, 2).enqueued(Accepted, 3);
    // Job 1 was done, job 2 had begun, when worker 1 was killed at 20 ms.
    let made = made.ran(1, Started, 1, 5).ran(1, Done, 1, 5).ran(1, Started, 2, 6).at(19).fault(Killed, 1);
    let made =
        made.at(2_019).ran(2, Started, 2, 7).ran(2, Done, 2, 7).ran(2, Started, 1, 8).ran(2, Done, 1, 8);
    // Job 3 lost its lease under a worker that lives, then failed, then succeeded.
    let made = made.ran(2, Started, 3, 9).ran(2, Dropped, 3, 9).ran(2, Started, 3, 10).ran(2, Failed, 3, 10);
    let made = made.ran(2, Started, 3, 11).ran(2, Done, 3, 11);
    let made = made.kept(Succeeded, 1, 8).kept(Succeeded, 2, 7).kept(Succeeded, 3, 11);
    let report = made.report();
    assert_eq!(report.broken(), Vec::<&str>::new());
    let found = (report.restarts_by_kills, report.repeated_by_kills, report.restarts_by_leases);
    assert_eq!((found, report.repeated_per_kill), ((2, 1, 1), 1.0));
    assert_eq!(report.recovery, Waits { count: 1, p50: 2_002, p100: 2_002 }, "the later of the two");
}

#[test]
fn a_fault_before_all_is_up_is_no_end_of_the_baseline() {
    let early = Made::default().fault(Killed, 1).enqueued(Accepted, 1).ran(2, Started, 1, 5);
    let made =
        early.ran(2, Done, 1, 5).at(100).fault(Begun, 0).at(200).fault(Killed, 2).kept(Succeeded, 1, 5);
    assert_eq!(made.report().broken(), Vec::<&str>::new());
}

#[test]
fn throughput_comes_back_or_it_does_not() {
    let pace = |made: Made, from: u64, count: u64, every: u64| {
        (0..count).fold(made, |made, n| {
            let made = made.at(from + n * every);
            made.ran(1, Started, from + n, 1).ran(1, Done, from + n, 1)
        })
    };
    let storm = |after: u64| {
        let made = Made::default().enqueued(Accepted, 0).fault(Begun, 0);
        let made = pace(made, 10, 200, 10).at(2_010).fault(Killed, 9);
        pace(made.at(5_000).fault(Calm, 0), 6_000, 300, after).report().throughput
    };
    let back = storm(10);
    assert!((98.0..=102.0).contains(&back.baseline), "{back:?}");
    assert!(back.regained_ms.is_some_and(|ms| (700..=1_100).contains(&ms)), "{back:?}");
    assert_eq!(storm(20).regained_ms, None);
}

#[test]
fn a_ledger_is_read_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let entry = Entry { kind: Started, job: 7, record: u64::MAX, token: 9, at: 1_800_000_000_000_000 };
    let ledger = Ledger::open(dir.path(), "worker-12").unwrap();
    ledger.note(entry);
    ledger.note(Entry { kind: Done, ..entry });
    std::fs::write(dir.path().join("notes.txt"), "anything").unwrap();
    let all = read(dir.path()).unwrap();
    assert_eq!(all, [(Writer::Worker(12), vec![entry, Entry { kind: Done, ..entry }])]);
    std::fs::write(dir.path().join("faults"), "torn").unwrap();
    assert!(read(dir.path()).unwrap_err().to_string().contains("torn"));
}

#[test]
fn a_hundred_thousand_jobs_are_judged_in_a_moment() {
    let entry = |kind, job| Entry { kind, job, record: job, token: job, at: job };
    let all = |kind: Kind| (0..100_000).map(move |job| entry(kind, job));
    let ran = all(Started).zip(all(Done)).flat_map(|(start, done)| [start, done]).collect();
    let files = [
        (Writer::Producer(0), all(Accepted).collect()),
        (Writer::Worker(1), ran),
        (Writer::Queue, all(Succeeded).collect::<Vec<_>>()),
    ];
    let began = std::time::Instant::now();
    assert_eq!(check(&files, 3, 2).broken(), Vec::<&str>::new());
    // A second in a debug build; with every job against every other it would be hours.
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}
