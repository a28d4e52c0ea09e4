//! Permits that can be withdrawn and added while jobs run.

use super::lock;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The right of a group to run so many jobs at a time, with one line for all who wait.
pub(super) struct Permits {
    line: Arc<Semaphore>,
    size: Mutex<Size>,
}

struct Size {
    /// As many as there are to be.
    permits: usize,
    /// So many more are out by now: withdrawn one by one as jobs end.
    debt: usize,
}

/// The right to run one job, given back on drop: to the next in line, or to nobody.
pub(super) struct Permit {
    inner: Option<OwnedSemaphorePermit>,
    of: Arc<Permits>,
}

impl Permits {
    pub(super) fn new(permits: usize) -> Arc<Permits> {
        let size = Mutex::new(Size { permits, debt: 0 });
        Arc::new(Permits { line: Arc::new(Semaphore::new(permits)), size })
    }

    pub(super) fn size(&self) -> usize {
        let mut size = lock(&self.size);
        self.pay(&mut size);
        size.permits
    }

    /// Pays the debt from what is free. Nothing should be, but a place in the line that was
    /// given up just when its turn came returns its permit by itself.
    fn pay(&self, size: &mut Size) {
        if size.debt > 0 {
            size.debt -= self.line.forget_permits(size.debt);
        }
    }

    /// How many jobs run under them.
    pub(super) fn in_use(&self) -> usize {
        let size = lock(&self.size);
        (size.permits + size.debt).saturating_sub(self.line.available_permits())
    }

    /// More permits are there at once; fewer as soon as jobs have ended. No job is stopped.
    pub(super) fn resize(&self, permits: usize) {
        let mut size = lock(&self.size);
        let out = size.permits + size.debt;
        size.permits = permits;
        if permits >= out {
            size.debt = 0;
            self.line.add_permits(permits - out);
        } else {
            size.debt = out - permits;
            self.pay(&mut size);
        }
    }
}

impl Permits {
    /// Another permit for one that is held by a handler that may never end: that one is to
    /// be forgotten when it comes back.
    pub(super) fn replace(&self) {
        let mut size = lock(&self.size);
        match size.debt {
            0 => self.line.add_permits(1),
            debt => size.debt = debt - 1,
        }
    }
}

impl Permit {
    /// Ends it without giving it back: another one is there in its place.
    pub(super) fn forget(mut self) {
        self.inner.take().into_iter().for_each(OwnedSemaphorePermit::forget);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // Under the lock, so that a resize in between sees the permit either out or back.
        let mut size = lock(&self.of.size);
        let Some(permit) = self.inner.take() else { return };
        if size.debt > 0 {
            size.debt -= 1;
            permit.forget();
        }
    }
}

/// A job's place in the line for a permit. It is taken when the job is let in, not when its
/// task first runs: tasks start in any order, and jobs leased ahead must run in theirs.
pub(super) enum Turn {
    Now(Permit),
    Later(Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>, Arc<Permits>),
    /// It has come already.
    Over,
}

impl Turn {
    pub(super) fn at(permits: &Arc<Permits>) -> Turn {
        let of = permits.clone();
        if let Ok(permit) = permits.line.clone().try_acquire_owned() {
            return Turn::Now(Permit { inner: Some(permit), of });
        }
        let line = permits.line.clone();
        let mut later = Box::pin(async move { line.acquire_owned().await.ok() });
        // The first look joins the line; the task that waits looks again with its own waker.
        match later.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(permit)) => Turn::Now(Permit { inner: Some(permit), of }),
            Poll::Ready(None) => Turn::Later(Box::pin(std::future::ready(None)), of),
            Poll::Pending => Turn::Later(later, of),
        }
    }

    /// Whether it has come. One that has is not looked at again.
    pub(super) fn look(&mut self, cx: &mut Context<'_>) -> Poll<Option<Permit>> {
        let Turn::Later(later, of) = self else {
            let Turn::Now(permit) = std::mem::replace(self, Turn::Over) else { return Poll::Ready(None) };
            return Poll::Ready(Some(permit));
        };
        later
            .as_mut()
            .poll(cx)
            .map(|permit| permit.map(|permit| Permit { inner: Some(permit), of: of.clone() }))
    }

    pub(super) async fn come(self) -> Option<Permit> {
        match self {
            Turn::Now(permit) => Some(permit),
            Turn::Later(later, of) => later.await.map(|permit| Permit { inner: Some(permit), of }),
            Turn::Over => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(permits: &Arc<Permits>) -> Option<Permit> {
        match Turn::at(permits) {
            Turn::Now(permit) => Some(permit),
            _ => None,
        }
    }

    #[test]
    fn fewer_are_withdrawn_as_jobs_end_and_more_are_there_at_once() {
        let permits = Permits::new(3);
        let mut held: Vec<Permit> = (0..3).filter_map(|_| take(&permits)).collect();
        permits.resize(1);
        assert_eq!((permits.size(), permits.in_use()), (1, 3), "nothing is stopped");
        for left in [2, 1, 0] {
            assert!(take(&permits).is_none(), "{left} + 1 still run");
            held.pop();
            assert_eq!(permits.in_use(), left);
        }
        held.extend(take(&permits));
        assert!(held.len() == 1 && take(&permits).is_none());
        permits.resize(4);
        held.extend((0..9).filter_map(|_| take(&permits)));
        assert_eq!((held.len(), permits.in_use()), (4, 4));
    }

    #[test]
    fn a_permit_in_debt_goes_to_nobody_in_line() {
        let permits = Permits::new(2);
        let (one, two) = (take(&permits), take(&permits));
        let Turn::Later(mut next, _) = Turn::at(&permits) else { panic!("none is free") };
        let mut come = || next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        permits.resize(1);
        drop(one);
        assert!(!come(), "that permit is withdrawn");
        drop(two);
        assert!(come(), "and this one is free");
    }

    #[test]
    fn a_debt_is_forgiven_by_a_resize_upwards() {
        let permits = Permits::new(4);
        let held: Vec<Permit> = (0..4).filter_map(|_| take(&permits)).collect();
        permits.resize(1);
        permits.resize(3);
        drop(held);
        assert_eq!(permits.in_use(), 0);
        assert_eq!(
            (0..9)
                .filter_map(|_| take(&permits))
                .fold(Vec::new(), |mut all, p| {
                    all.push(p);
                    all
                })
                .len(),
            3
        );
    }
}
