//! Whose turn it is among the queues of a group with weights.
//!
//! Each queue has a place on a line of work done: a lease moves it on by the job's cost
//! over its weight, and who is furthest behind comes first. A queue that has nothing to do
//! does not fall behind meanwhile: it comes back beside the others, not before them.

/// A job that takes a permit for itself costs this much.
pub(super) const PERMIT: u64 = 1 << 24;

pub(super) struct Shares(Vec<Share>);

struct Share {
    weight: u64,
    at: u64,
    /// Whether it held more than was taken at the last look.
    busy: bool,
}

impl Share {
    /// Where one more job of this cost would bring it.
    fn after(&self, cost: u64) -> u64 {
        self.at + cost / self.weight
    }
}

impl Shares {
    pub(super) fn new(weights: impl Iterator<Item = u32>) -> Shares {
        Shares(weights.map(|w| Share { weight: u64::from(w.max(1)), at: 0, busy: true }).collect())
    }

    /// The queues, whoever is furthest behind first.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|queue| self.0[*queue].after(PERMIT));
        order
    }

    /// Splits room for jobs of this cost between some queues: what each would take if all
    /// of them held enough.
    pub(super) fn split(&self, between: &[usize], room: usize, cost: u64) -> Vec<usize> {
        let mut at: Vec<u64> = between.iter().map(|queue| self.0[*queue].after(cost)).collect();
        let mut shares = vec![0; between.len()];
        for _ in 0..room {
            let Some(next) = (0..at.len()).min_by_key(|i| at[*i]) else { break };
            shares[next] += 1;
            at[next] += cost / self.0[between[next]].weight;
        }
        shares
    }

    /// Notes what came of a split.
    pub(super) fn took(&mut self, between: &[usize], shares: &[usize], came: &[usize], cost: u64) {
        let spare = came.iter().sum::<usize>() < shares.iter().sum();
        for (i, queue) in between.iter().enumerate() {
            let share = &mut self.0[*queue];
            share.at += came[i] as u64 * (cost / share.weight);
            // With room to spare everything that waited has come.
            share.busy = !spare && came[i] >= shares[i];
        }
        let busy = self.0.iter().filter(|s| s.busy).map(|s| s.at).min();
        let floor = busy.or_else(|| self.0.iter().map(|s| s.at).max()).unwrap_or(0);
        for share in self.0.iter_mut().filter(|s| !s.busy) {
            share.at = share.at.max(floor);
        }
        let least = self.0.iter().map(|s| s.at).min().unwrap_or(0);
        self.0.iter_mut().for_each(|share| share.at -= least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves `rounds` leases of `room` from queues that hold this much; who gave how much.
    fn serve(shares: &mut Shares, held: &mut [usize], room: usize, rounds: usize) -> Vec<usize> {
        let mut given = vec![0; held.len()];
        for _ in 0..rounds {
            let order = shares.order();
            let split = shares.split(&order, room, PERMIT);
            let (mut came, mut left) = (vec![0; order.len()], room);
            for wanted in [split.clone(), vec![room; order.len()]] {
                for (i, queue) in order.iter().enumerate() {
                    let n = wanted[i].min(held[*queue]).min(left);
                    (held[*queue], left) = (held[*queue] - n, left - n);
                    (came[i], given[*queue]) = (came[i] + n, given[*queue] + n);
                }
            }
            shares.took(&order, &split, &came, PERMIT);
        }
        given
    }

    #[test]
    fn leases_come_in_the_shares_of_the_weights_whatever_the_room() {
        for room in [1, 3, 7, 100] {
            let mut shares = Shares::new([6, 3, 1].into_iter());
            let given = serve(&mut shares, &mut [100_000; 3], room, 1_000);
            for (given, weight) in given.iter().zip([6, 3, 1]) {
                let wanted = room * 100 * weight;
                assert!(given.abs_diff(wanted) <= room.max(2), "{given} of {wanted} at room {room}");
            }
        }
    }

    #[test]
    fn what_one_leaves_goes_to_the_others() {
        let mut shares = Shares::new([1_000, 1].into_iter());
        assert_eq!(serve(&mut shares, &mut [0, 50], 10, 5), [0, 50], "no room is left empty");
    }

    #[test]
    fn who_was_idle_comes_back_beside_the_others() {
        let mut shares = Shares::new([1, 1].into_iter());
        serve(&mut shares, &mut [100_000, 0], 1, 5_000);
        let given = serve(&mut shares, &mut [1_000, 1_000], 1, 100);
        assert!(given[0] >= 49, "the credit of an idle time shuts the other out: {given:?}");
        let mut shares = Shares::new([1, 1].into_iter());
        serve(&mut shares, &mut [500, 0], 10, 100);
        let given = serve(&mut shares, &mut [1_000, 1_000], 1, 100);
        assert!(given[0] >= 49 && given[1] >= 49, "{given:?} after both were idle");
    }

    #[test]
    fn the_lightest_is_never_starved() {
        let mut shares = Shares::new([1_000, 1].into_iter());
        let given = serve(&mut shares, &mut [1_000_000, 1_000], 1, 10_000);
        assert!((9..=11).contains(&given[1]), "{given:?}");
    }
}
