//! Permits that can be withdrawn and added while jobs run, and the line of jobs for them.

use super::lock;
use super::run::Leased;
use std::collections::VecDeque;
use std::sync::Mutex;

/// The right of a group to run so many jobs at a time, with one line for all who wait.
///
/// A permit is held by a task that runs one job after the other: whoever has ended a job asks
/// for the next in line with the same permit. So jobs leased ahead start in their order, and a
/// job that waits costs no task and no waker.
pub(super) struct Permits {
    line: Mutex<Line>,
}

struct Line {
    /// As many as there are to be.
    permits: usize,
    /// As many as are out; more than there are to be after a resize, until jobs have ended.
    out: usize,
    waiting: VecDeque<Leased>,
}

impl Permits {
    pub(super) fn new(permits: usize) -> Permits {
        Permits { line: Mutex::new(Line { permits, out: 0, waiting: VecDeque::new() }) }
    }

    pub(super) fn size(&self) -> usize {
        lock(&self.line).permits
    }

    /// How many jobs run under them.
    pub(super) fn in_use(&self) -> usize {
        lock(&self.line).out
    }

    /// More permits are there for the next who [begins](Self::begin); fewer as soon as jobs
    /// have ended. No job is stopped.
    pub(super) fn resize(&self, permits: usize) {
        lock(&self.line).permits = permits;
    }

    /// Another permit for one that is held by a handler that may never end: that one is not to
    /// ask for the [next](Self::next) when it comes back.
    pub(super) fn replace(&self) {
        lock(&self.line).out -= 1;
    }

    /// Jobs join the line at its end.
    pub(super) fn join(&self, jobs: impl Iterator<Item = Leased>) {
        lock(&self.line).waiting.extend(jobs);
    }

    /// Takes a permit for the first in line, where there is both.
    pub(super) fn begin(&self) -> Option<Leased> {
        let mut line = lock(&self.line);
        if line.out >= line.permits {
            return None;
        }
        let first = line.waiting.pop_front()?;
        line.out += 1;
        Some(first)
    }

    /// The next in line, with the permit of a job that has ended; given back where nobody
    /// waits, or where there are too many by now.
    pub(super) fn next(&self) -> Option<Leased> {
        let mut line = lock(&self.line);
        let next = if line.out > line.permits { None } else { line.waiting.pop_front() };
        if next.is_none() {
            line.out -= 1;
        }
        next
    }

    /// Takes those out of the line who are to wait no longer.
    pub(super) fn leave(&self, which: impl Fn(&Leased) -> bool) -> Vec<Leased> {
        let mut line = lock(&self.line);
        let (leaving, staying) = std::mem::take(&mut line.waiting).into_iter().partition(which);
        line.waiting = staying;
        VecDeque::into(leaving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Permits with so many jobs in line.
    fn with(permits: usize, waiting: usize) -> Permits {
        let all = Permits::new(permits);
        all.join((0..waiting).map(Leased::numbered));
        all
    }

    fn place(job: Option<Leased>) -> Option<usize> {
        job.map(|job| job.hold.place)
    }

    #[test]
    fn jobs_begin_in_the_order_of_the_line() {
        let permits = with(2, 4);
        assert_eq!([0, 1].map(|_| place(permits.begin())), [Some(0), Some(1)]);
        assert!(permits.begin().is_none(), "both are out");
        assert_eq!((place(permits.next()), permits.in_use()), (Some(2), 2), "the permit is handed on");
        assert_eq!((place(permits.next()), permits.in_use()), (Some(3), 2));
        assert_eq!((place(permits.next()), permits.in_use()), (None, 1), "nobody waits");
        assert!(permits.begin().is_none());
    }

    #[test]
    fn fewer_are_withdrawn_as_jobs_end_and_more_are_there_at_once() {
        let permits = with(3, 20);
        (0..3).for_each(|_| assert!(permits.begin().is_some()));
        permits.resize(1);
        assert_eq!((permits.size(), permits.in_use()), (1, 3), "nothing is stopped");
        for left in [2, 1] {
            assert!(permits.begin().is_none() && permits.next().is_none(), "{left} still run");
            assert_eq!(permits.in_use(), left);
        }
        assert!(permits.next().is_some(), "the last goes on");
        permits.resize(4);
        (0..3).for_each(|_| assert!(permits.begin().is_some()));
        assert!(permits.begin().is_none());
        assert_eq!(permits.in_use(), 4);
    }

    #[test]
    fn one_that_is_replaced_lets_another_begin() {
        let permits = with(1, 2);
        assert!(permits.begin().is_some() && permits.begin().is_none());
        permits.replace();
        assert_eq!((place(permits.begin()), permits.in_use()), (Some(1), 1));
    }

    #[test]
    fn who_leaves_the_line_does_not_begin() {
        let permits = with(1, 4);
        let left = permits.leave(|job| job.hold.place % 2 == 0);
        assert_eq!(left.iter().map(|job| job.hold.place).collect::<Vec<_>>(), [0, 2]);
        assert_eq!((place(permits.begin()), place(permits.next())), (Some(1), Some(3)));
    }
}
