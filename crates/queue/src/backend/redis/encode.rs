//! What the verbs send: jobs and outcomes as the arguments of their scripts.

use crate::backend::{Due, EnqueueBatch, Enqueued, Guard, NewJob, Outcome, Settle, Settled, Token};
use crate::{Error, JobId, Result};
use redis::{Cmd, ToRedisArgs};
use std::collections::HashMap;

/// The most values that a script unpacks at once stays below Lua's limit with this.
pub(super) const STEP: usize = 500;

/// No instant or duration goes beyond this: three hundred years.
const FAR: i64 = 10_000_000_000_000;

pub(super) fn ms(value: i64) -> i64 {
    value.clamp(-FAR, FAR)
}

fn keep(value: i64) -> i64 {
    value.clamp(0, FAR)
}

/// One step of an enqueue, in the order in which the lists must grow.
enum Step<'a> {
    /// Jobs without keys, due now, of one queue and priority.
    Plain(Vec<&'a NewJob>),
    /// Any other job.
    Single(&'a NewJob),
}

/// The jobs of an enqueue as arguments, and where the answers of the script belong.
pub(super) struct Jobs<'a> {
    steps: Vec<Step<'a>>,
    singles: Vec<usize>,
    total: usize,
}

impl<'a> Jobs<'a> {
    pub(super) fn of(jobs: &'a [NewJob]) -> Jobs<'a> {
        let (mut steps, mut singles) = (Vec::new(), Vec::new());
        let mut open: HashMap<(&str, u8), usize> = HashMap::new();
        for (index, job) in jobs.iter().enumerate() {
            let place = place_of(job);
            // Mostly it goes where the last one went.
            if let Some(Step::Plain(group)) = steps.last_mut()
                && place_of(group[0]) == place
                && group.len() < STEP
                && is_plain(job)
            {
                group.push(job);
                continue;
            }
            if !is_plain(job) {
                // What comes after it must not get in front of it.
                open.remove(&place);
                singles.push(index);
                steps.push(Step::Single(job));
                continue;
            }
            match open.get(&place).and_then(|at| steps.get_mut(*at)) {
                Some(Step::Plain(group)) if group.len() < STEP => group.push(job),
                _ => {
                    open.insert(place, steps.len());
                    steps.push(Step::Plain(vec![job]));
                }
            }
        }
        Jobs { steps, singles, total: jobs.len() }
    }

    /// Whether none needs a closer look.
    pub(super) fn are_plain(&self) -> bool {
        self.singles.is_empty()
    }

    pub(super) fn write(&self, cmd: &mut Cmd) {
        for step in &self.steps {
            match step {
                Step::Plain(group) => {
                    let place = &group[0].envelope;
                    cmd.arg("p").arg(&place.queue).arg(place.priority.min(9)).arg(group.len());
                    for job in group {
                        cmd.arg(job.envelope.id.as_bytes().as_slice()).arg(job.record.as_slice());
                    }
                }
                Step::Single(job) => single(cmd, job),
            }
        }
    }

    /// The groups of plain jobs, without their records: queue, priority, ids in one.
    pub(super) fn write_ids(&self, cmd: &mut Cmd) {
        for group in self.groups() {
            let place = &group[0].envelope;
            let ids: Vec<u8> = group.iter().flat_map(|job| *job.envelope.id.as_bytes()).collect();
            cmd.arg(&place.queue).arg(place.priority.min(9)).arg(ids);
        }
    }

    /// Ids and records of the plain jobs.
    pub(super) fn write_records(&self, cmd: &mut Cmd) {
        for job in self.groups().flatten() {
            cmd.arg(job.envelope.id.as_bytes().as_slice()).arg(job.record.as_slice());
        }
    }

    fn groups(&self) -> impl Iterator<Item = &Vec<&'a NewJob>> {
        self.steps.iter().filter_map(|step| match step {
            Step::Plain(group) => Some(group),
            Step::Single(_) => None,
        })
    }

    /// How many bytes the records have.
    pub(super) fn size(&self) -> usize {
        self.groups().flatten().map(|job| job.record.len()).sum()
    }

    /// The answers in the order of the jobs; the script answers single jobs only.
    pub(super) fn answers(&self, mut text: &[u8]) -> Result<Vec<Enqueued>> {
        let mut all = vec![Enqueued::Created; self.total];
        for index in &self.singles {
            match text {
                [b'.', rest @ ..] => text = rest,
                [b'=' | b'~', rest @ ..] if rest.len() >= 16 => {
                    let id =
                        JobId::from_slice(&rest[..16]).ok_or_else(|| Error::corrupt("an id of an answer"))?;
                    let replaced = text[0] == b'~';
                    all[*index] = if replaced { Enqueued::Replaced(id) } else { Enqueued::Existing(id) };
                    text = &rest[16..];
                }
                _ => {
                    return Err(Error::corrupt("the answer to an enqueue is not what it must be"));
                }
            }
        }
        Ok(all)
    }
}

fn is_plain(job: &NewJob) -> bool {
    let e = &job.envelope;
    let now = matches!(job.due, Due::Now) || matches!(job.due, Due::In(ms) if ms <= 0);
    now && !job.chosen && e.unique.is_none() && e.governed().is_none() && !e.is_indexed() && !is_odd(job)
}

fn place_of(job: &NewJob) -> (&str, u8) {
    (job.envelope.queue.as_str(), job.envelope.priority.min(9))
}

/// Whether the record does not begin as an encoded envelope does, so that the place of the
/// job must be remembered beside it.
fn is_odd(job: &NewJob) -> bool {
    !job.record.starts_with(b"{\"n\":\"") || !job.record.contains(&b'\n')
}

fn single(cmd: &mut Cmd, job: &NewJob) {
    let e = &job.envelope;
    cmd.arg("j").arg(e.id.as_bytes().as_slice());
    // The mark of jobs with keys or tags; also before a record that begins with it by chance.
    if e.unique.is_some() || e.governed().is_some() || e.is_indexed() || job.record.starts_with(b"*") {
        cmd.arg([b"*", job.record.as_slice()].concat());
    } else {
        cmd.arg(job.record.as_slice());
    }
    cmd.arg(&e.queue).arg(e.priority.min(9));
    cmd.arg(e.unique.as_ref().map_or(String::new(), |key| format!("{}\0{key}", e.name)));
    cmd.arg(u8::from(job.chosen));
    let (kind, at) = match job.due {
        Due::Now => ("now", 0),
        Due::In(wait) => ("in", ms(wait)),
        Due::At(instant) => ("at", ms(instant)),
    };
    cmd.arg(kind).arg(at).arg(u8::from(is_odd(job)));
    cmd.arg(e.governed().unwrap_or_default()).arg(e.cost);
}

/// Settles as arguments. Successes of one batch and retention go together, and those without
/// keys by themselves: the full script asks fewer keys for their type then.
pub(super) struct Settles<'a> {
    groups: Vec<Vec<(usize, &'a Settle)>>,
    total: usize,
}

impl<'a> Settles<'a> {
    /// Whether all are successes, the brief script's; and whether any of them may have a key.
    pub(super) fn successes(&self) -> Option<bool> {
        let ends = |group: &Vec<(usize, &Settle)>| like(group[0].1).map(|(.., keyed)| keyed);
        self.groups.iter().try_fold(false, |any, group| ends(group).map(|keyed| any | keyed))
    }

    pub(super) fn of(items: &'a [Settle]) -> Settles<'a> {
        let (mut groups, mut backward) = (Vec::<Vec<(usize, &Settle)>>::new(), Vec::new());
        let mut open: HashMap<_, usize> = HashMap::new();
        for item in items.iter().enumerate() {
            match &item.1.outcome {
                Outcome::Succeeded { result, keep_ms } => {
                    let same = (item.1.token, *keep_ms, result.is_some(), item.1.keyed);
                    // Mostly it goes with the one before it.
                    if let Some(group) = groups.last_mut()
                        && group.len() < STEP
                        && like(group[0].1) == Some(same)
                    {
                        group.push(item);
                        continue;
                    }
                    match open.get(&same).and_then(|at| groups.get_mut(*at)) {
                        Some(group) if group.len() < STEP => group.push(item),
                        _ => {
                            open.insert(same, groups.len());
                            groups.push(vec![item]);
                        }
                    }
                }
                // Each goes to the head of its list: the last first, so that they keep their order.
                Outcome::HandBack => backward.push(vec![item]),
                _ => groups.push(vec![item]),
            }
        }
        groups.extend(backward.into_iter().rev());
        Settles { groups, total: items.len() }
    }

    pub(super) fn write(&self, cmd: &mut Cmd) {
        cmd.arg(u8::from(self.successes() == Some(false)));
        for group in &self.groups {
            let (_, first) = group[0];
            match &first.outcome {
                Outcome::Succeeded { result, keep_ms } => {
                    let with = result.is_some();
                    cmd.arg(if first.keyed { "u" } else { "s" });
                    cmd.arg(first.token.0).arg(keep(*keep_ms)).arg(group.len()).arg(u8::from(with));
                    let ids: Vec<u8> = group.iter().flat_map(|(_, item)| *item.id.as_bytes()).collect();
                    cmd.arg(ids);
                    for (_, item) in group {
                        if let Outcome::Succeeded { result: Some(result), .. } = &item.outcome {
                            cmd.arg(result);
                        }
                    }
                }
                _ => one(cmd, first),
            }
        }
    }

    /// The answers in the order of the items.
    pub(super) fn answers(&self, letters: &[u8]) -> Result<Vec<Settled>> {
        let mut all = vec![Settled::Stale; self.total];
        if letters.len() != self.total {
            return Err(Error::corrupt("the answer to a settle is not what it must be"));
        }
        for ((index, _), letter) in self.groups.iter().flatten().zip(letters) {
            if *letter == b'd' {
                all[*index] = Settled::Done;
            }
        }
        Ok(all)
    }
}

/// What successes must have in common to go together; none for what is no plain success.
fn like(item: &Settle) -> Option<(Token, i64, bool, bool)> {
    match &item.outcome {
        Outcome::Succeeded { result, keep_ms } => Some((item.token, *keep_ms, result.is_some(), item.keyed)),
        _ => None,
    }
}

fn one(cmd: &mut Cmd, item: &Settle) {
    cmd.arg("i").arg(item.token.0).arg(item.id.as_bytes().as_slice());
    let mut write = |word: &str, ms: i64, text: &str, reason: &str| {
        cmd.arg(word).arg(ms).arg(text).arg(reason);
    };
    match &item.outcome {
        // These go together.
        Outcome::Succeeded { .. } => {}
        Outcome::Retry { wait_ms, error } => write("retry", keep(*wait_ms), &blamed(error), ""),
        Outcome::Snooze { wait_ms } => write("snooze", keep(*wait_ms), "", ""),
        Outcome::Discard { reason, error, keep_ms } => {
            write("discard", keep(*keep_ms), &blamed(error), reason);
        }
        Outcome::Cancel { reason, keep_ms } => write("cancel", keep(*keep_ms), "", cut(reason)),
        Outcome::HandBack => write("handback", 0, "", ""),
        Outcome::Crash { error, max, keep_ms } => {
            write("crash", keep(*keep_ms), &blamed(error), &max.to_string());
        }
        Outcome::Park => write("park", 0, "", ""),
    }
}

/// An error behind its fingerprint, by which the index finds the job.
pub(super) fn blamed(error: &str) -> String {
    format!("{}{}", crate::fingerprint(error), cut(error))
}

/// An error's first 4 KiB.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(4096);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What comes before the jobs of an enqueue: its lane and its guard.
pub(super) fn guard(cmd: &mut Cmd, batch: &EnqueueBatch) {
    cmd.arg(&batch.lane).arg(batch.seq);
    match &batch.guard {
        Guard::None => args(cmd, ["", "", "", ""]),
        Guard::Slot { kind, name, expect, last } => {
            cmd.arg("slot").arg(format!("{}\0{name}", kind.as_str())).arg(expect).arg(last);
        }
        Guard::Settings { kind, version } => {
            cmd.arg("settings").arg(kind.as_str()).arg(version).arg("");
        }
    }
}

/// Appends arguments in one line.
pub(super) fn args<A: ToRedisArgs>(cmd: &mut Cmd, all: impl IntoIterator<Item = A>) {
    for arg in all {
        cmd.arg(arg);
    }
}
