//! What follows from what is stored: jobs in the outbox, matches, messages.

use super::*;
use crate::jobs::{ImportFile, MatchPlan, TellRuns};
use crate::plan::Planned;
use legwork::{Client, Job, State};

on_every_database!(
    what_is_stored_and_what_follows_are_one,
    a_plan_is_kept_changed_and_deleted,
    a_plan_is_matched_from_what_is_stored,
    a_message_is_made_once_and_read_once,
);

/// The payloads of the jobs of a name that the outbox has handed over, the first first.
async fn handed_over<J: Job + serde::de::DeserializeOwned>(storage: &Storage, jobs: &Client) -> Vec<J> {
    storage.relay(jobs).hand_over().await.unwrap();
    let filter = legwork::backend::Filter { name: Some(J::NAME.into()), limit: 100, ..Default::default() };
    let mut found = jobs.jobs(&filter).await.unwrap();
    found.sort_by_key(|job| job.id);
    found
        .iter()
        .map(|job| {
            assert_eq!(job.state, State::Available);
            serde_json::from_str(job.envelope.envelope().unwrap().payload.get()).unwrap()
        })
        .collect()
}

async fn what_is_stored_and_what_follows_are_one(harness: &Harness) {
    let storage = with_athlete(harness).await;
    let jobs = Client::connect("sqlite::memory:").await.unwrap();
    let mut swim = run(3, 3);
    swim.sport = "Swim".into();
    let first = [fetched(run(1, 1), "2024-06-01T00:00:00Z"), fetched(run(2, 2), "2024-06-01T00:00:00Z")];
    let all: Vec<_> = first.iter().cloned().chain([fetched(swim, "2024-06-01T00:00:00Z")]).collect();
    storage.upsert_activities(&all).await.unwrap();
    let told = handed_over::<TellRuns>(&storage, &jobs).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].athlete, told[0].added, &told[0].runs), (7, true, &vec![1, 2]));
    // The same again, and a batch that is rolled back, tell nothing.
    storage.upsert_activities(&all).await.unwrap();
    let mut stranger = run(5, 5);
    stranger.athlete = 8;
    let mixed = [fetched(run(4, 4), "2024-06-01T00:00:00Z"), fetched(stranger, "2024-06-01T00:00:00Z")];
    assert!(storage.upsert_activities(&mixed).await.is_err());
    assert_eq!(handed_over::<TellRuns>(&storage, &jobs).await.len(), 1);
    let mut longer = run(1, 1);
    longer.distance_m += 1.0;
    storage.upsert_activities(&[fetched(longer, "2024-06-02T00:00:00Z")]).await.unwrap();
    let told = handed_over::<TellRuns>(&storage, &jobs).await;
    assert_eq!((told.len(), told[1].added, &told[1].runs), (2, false, &vec![1]));

    let job = storage.save_upload("u", 7, "a.gpx", b"x").await.unwrap().unwrap();
    assert_eq!(storage.save_upload("u", 7, "a.gpx", b"x").await.unwrap(), None);
    assert!(matches!(storage.save_upload("v", 8, "a.gpx", b"x").await, Err(Error::UnknownAthlete(8))));
    let imports = handed_over::<ImportFile>(&storage, &jobs).await;
    assert_eq!((imports.len(), imports[0].upload.as_str()), (1, "u"));
    assert!(jobs.job(job).await.unwrap().is_some());
}

fn planned(id: &str, day: u32, name: &str) -> Planned {
    Planned {
        id: id.to_owned(),
        athlete: 7,
        day: chrono::NaiveDate::from_ymd_opt(2024, 5, day).unwrap(),
        name: name.to_owned(),
        distance_m: Some(10_000.0),
        duration_s: None,
        note: "by the river".to_owned(),
        activity: None,
    }
}

async fn a_plan_is_kept_changed_and_deleted(harness: &Harness) {
    let storage = with_athlete(harness).await;
    let jobs = Client::connect("sqlite::memory:").await.unwrap();
    let (tempo, mut long) = (planned("a", 2, "tempo run"), planned("b", 1, "long run"));
    storage.save_planned(&tempo).await.unwrap();
    storage.save_planned(&long).await.unwrap();
    assert_eq!(storage.plan(7).await.unwrap(), [long.clone(), tempo.clone()]);
    (long.duration_s, long.distance_m, long.note) = (Some(7_200), None, String::new());
    storage.save_planned(&long).await.unwrap();
    assert_eq!(storage.planned(7, "b").await.unwrap(), Some(long));
    assert_eq!(storage.planned(8, "b").await.unwrap(), None, "another's");
    let mut stranger = tempo.clone();
    stranger.athlete = 8;
    assert!(matches!(storage.save_planned(&stranger).await, Err(Error::UnknownAthlete(8))));
    assert!(!storage.delete_planned(8, "a").await.unwrap());
    assert!(storage.delete_planned(7, "a").await.unwrap());
    assert!(!storage.delete_planned(7, "a").await.unwrap());
    assert_eq!(storage.plan(7).await.unwrap().len(), 1);
    // Each change asks for matching; what waits takes the others in.
    assert_eq!(handed_over::<MatchPlan>(&storage, &jobs).await.len(), 1);
}

async fn a_plan_is_matched_from_what_is_stored(harness: &Harness) {
    let storage = with_athlete(harness).await;
    // It starts at 22:30 UTC of the 30th: on the 1st where the athlete is.
    let mut late = run(1, 1);
    late.start = time("2024-04-30T22:30:00Z");
    late.start_local = late.start.naive_utc() + TimeDelta::hours(2);
    let mut swim = run(3, 2);
    swim.sport = "Swim".into();
    let both = [fetched(late, "2024-06-01T00:00:00Z"), fetched(swim, "2024-06-01T00:00:00Z")];
    storage.upsert_activities(&both).await.unwrap();
    for plan in [planned("a", 1, "tempo run"), planned("b", 2, "long run"), planned("c", 1, "again")] {
        storage.save_planned(&plan).await.unwrap();
    }
    for _ in 0..2 {
        assert_eq!(storage.match_plan(7).await.unwrap(), 1);
        let found: Vec<_> = storage.plan(7).await.unwrap().into_iter().map(|p| (p.id, p.activity)).collect();
        assert_eq!(found, [("a".into(), Some(1)), ("c".into(), None), ("b".into(), None)]);
    }
    assert_eq!(storage.planned_of(7, 1).await.unwrap().unwrap().name, "tempo run");
    // Changed, it keeps its run until it is matched anew; deleted, it gives it to the other.
    storage.delete_planned(7, "a").await.unwrap();
    assert_eq!(storage.match_plan(7).await.unwrap(), 1);
    assert_eq!(storage.planned_of(7, 1).await.unwrap().unwrap().id, "c");
    storage.delete_activity(7, 1, time("2024-06-02T00:00:00Z")).await.unwrap();
    assert_eq!(storage.planned(7, "c").await.unwrap().unwrap().activity, None);
    assert!(matches!(storage.match_plan(8).await, Err(Error::UnknownAthlete(8))));
}

async fn a_message_is_made_once_and_read_once(harness: &Harness) {
    let storage = with_athlete(harness).await;
    let batch: Vec<_> = (1..=3).map(|n| fetched(run(n, n as u32), "2024-06-01T00:00:00Z")).collect();
    storage.upsert_activities(&batch).await.unwrap();
    let since = time("2024-05-02T00:00:00Z");
    // Too old, new, new, unknown.
    assert_eq!(storage.announce(7, &[1, 2, 3, 99], since).await.unwrap(), 2);
    assert_eq!(storage.announce(7, &[1, 2, 3, 99], since).await.unwrap(), 0);
    storage.save_planned(&planned("a", 3, "tempo run")).await.unwrap();
    storage.match_plan(7).await.unwrap();
    let messages = storage.messages(7, 10).await.unwrap();
    let told: Vec<_> = messages.iter().map(|m| (m.activity, m.planned.as_deref(), m.read)).collect();
    assert_eq!(told, [(3, Some("tempo run"), false), (2, None, false)]);
    assert_eq!(storage.unread(7).await.unwrap(), 2);
    let until = messages.iter().map(|m| m.made_at).max().unwrap();
    assert_eq!(storage.read_messages(7, until - TimeDelta::microseconds(1)).await.unwrap(), 0);
    assert_eq!(storage.read_messages(7, until).await.unwrap(), 2);
    assert_eq!(storage.read_messages(7, until).await.unwrap(), 0);
    assert_eq!((storage.unread(7).await.unwrap(), storage.messages(7, 10).await.unwrap()[0].read), (0, true));
    assert_eq!(storage.announce(7, &[2, 3], since).await.unwrap(), 0, "read ones stay read");
    storage.delete_activity(7, 3, time("2024-06-02T00:00:00Z")).await.unwrap();
    assert_eq!(storage.messages(7, 10).await.unwrap().len(), 1);
}
