//! What callers ask of a backend in words of their own, made of the verbs.

use super::*;

impl dyn Backend {
    /// Pauses or resumes a queue.
    pub(crate) async fn pause(&self, queue: &str, pause: Pause) -> Result<()> {
        self.steer(queue, Steer::Pause(pause)).await.map(drop)
    }

    /// Removes up to `limit` waiting jobs of a queue; how many went.
    pub(crate) async fn purge(&self, queue: &str, limit: usize) -> Result<usize> {
        self.steer(queue, Steer::Purge(limit)).await
    }

    /// The first jobs that fit a filter, page by page: at most `most`.
    pub(crate) async fn list(&self, filter: &Filter, most: usize) -> Result<Vec<JobView>> {
        let (mut filter, mut found) = (filter.clone(), Vec::new());
        while found.len() < most {
            filter.limit = (most - found.len()).min(MOST);
            let page = self.search(&filter).await?;
            found.extend(page.jobs);
            filter.cursor = page.cursor;
            if filter.cursor.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// A job, registering interest in its end.
    pub(crate) async fn watch(&self, id: JobId) -> Result<Option<JobView>> {
        self.get(id, true).await
    }

    /// Stores a schedule; returns it as it stands.
    pub(crate) async fn put_schedule(&self, schedule: &ScheduleView) -> Result<ScheduleView> {
        let wrong = |e: serde_json::Error| crate::Error::invalid(format!("schedule: {e}"));
        let json = serde_json::to_string(schedule).map_err(wrong)?;
        let stored = self.put(Setting::Schedule, &schedule.name, Some(&json)).await?;
        Ok(stored.as_ref().and_then(ScheduleView::of).unwrap_or_else(|| schedule.clone()))
    }

    /// All schedules by name; what cannot be read is left out.
    pub(crate) async fn schedules(&self) -> Result<Vec<ScheduleView>> {
        let all = self.settings(Setting::Schedule).await?;
        Ok(all.entries.iter().filter_map(ScheduleView::of).collect())
    }

    /// Enqueues the jobs of a schedule's slots, if its last slot is still `expect`; whether.
    pub(crate) async fn fire(&self, name: &str, expect: i64, last: i64, jobs: Vec<NewJob>) -> Result<bool> {
        let guard = Guard::Slot { kind: Setting::Schedule, name: name.into(), expect, last };
        let batch = EnqueueBatch { lane: String::new(), seq: 0, jobs, guard, flow: None };
        Ok(self.enqueue(&batch).await? != Taken::Changed)
    }
}
