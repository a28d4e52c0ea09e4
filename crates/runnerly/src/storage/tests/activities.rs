use super::*;
use crate::run::Streams;
use crate::storage::StreamState;

on_every_database!(
    a_second_identical_sync_changes_nothing,
    what_differs_is_updated_and_what_is_older_ignored,
    a_deletion_counts_until_a_later_answer,
    the_list_has_pages,
    two_athletes_may_have_the_same_id,
    samples_are_asked_for_once,
    purging_keeps_what_was_computed,
    syncs_at_once_insert_each_activity_once,
    the_recorded_list_survives_a_round_trip,
);

async fn a_second_identical_sync_changes_nothing(harness: &Harness) {
    let storage = with_athlete(harness).await;
    let batch: Vec<_> = (1..=5).map(|k| fetched(run(k, k as u32), "2024-06-01T00:00:00Z")).collect();
    let first = storage.upsert_activities(&batch).await.unwrap();
    assert_eq!(first, Upserted { inserted: vec![1, 2, 3, 4, 5], ..Upserted::default() });
    for read_at in ["2024-06-01T00:00:00Z", "2024-06-02T00:00:00Z"] {
        let again: Vec<_> = batch.iter().map(|one| fetched(one.activity.clone(), read_at)).collect();
        let second = storage.upsert_activities(&again).await.unwrap();
        assert_eq!(second, Upserted { unchanged: 5, ..Upserted::default() });
    }
    assert_eq!(storage.activity(7, 3).await.unwrap().unwrap(), run(3, 3));
    assert_eq!(storage.upsert_activities(&[]).await.unwrap(), Upserted::default());
    let stranger = Activity { athlete: 8, ..run(9, 9) };
    let mixed = [fetched(run(6, 6), "2024-06-01T00:00:00Z"), Fetched::imported(stranger)];
    assert!(matches!(storage.upsert_activities(&mixed).await, Err(Error::UnknownAthlete(8))));
    assert_eq!(storage.count_activities(7).await.unwrap(), 5, "all or none");
}

async fn what_differs_is_updated_and_what_is_older_ignored(harness: &Harness) {
    let storage = with_athlete(harness).await;
    storage.upsert_activities(&[fetched(run(1, 1), "2024-06-01T00:00:00Z")]).await.unwrap();
    let changes: [fn(&mut Activity); 6] = [
        |a| a.name = "Other".to_owned(),
        |a| a.average_hr = None,
        |a| a.max_hr = Some(181.0),
        |a| a.gear = Some("g1".to_owned()),
        |a| a.private = false,
        |a| a.start_local += TimeDelta::seconds(1),
    ];
    let mut activity = run(1, 1);
    for change in changes {
        change(&mut activity);
        let done =
            storage.upsert_activities(&[fetched(activity.clone(), "2024-06-02T00:00:00Z")]).await.unwrap();
        assert_eq!(done.updated, [1]);
        assert_eq!(storage.activity(7, 1).await.unwrap().unwrap(), activity);
    }
    let old = storage.upsert_activities(&[fetched(run(1, 1), "2024-06-01T12:00:00Z")]).await.unwrap();
    assert_eq!((old.updated.len(), old.unchanged), (0, 1));
    assert_eq!(storage.activity(7, 1).await.unwrap().unwrap(), activity);
    let mut kudos = fetched(activity, "2024-06-03T00:00:00Z");
    kudos.raw = Some(json!({"kudos": 5, "big": 2770639342612791510i64}));
    assert_eq!(storage.upsert_activities(&[kudos.clone()]).await.unwrap().unchanged, 1);
    assert_eq!(storage.raw_activity(7, 1).await.unwrap(), kudos.raw);
    assert_eq!(storage.raw_activity(7, 2).await.unwrap(), None);
}

async fn a_deletion_counts_until_a_later_answer(harness: &Harness) {
    let storage = with_athlete(harness).await;
    let (before, at, after) = ("2024-06-01T00:00:00Z", "2024-06-01T00:00:01Z", "2024-06-01T00:00:02Z");
    storage.upsert_activities(&[fetched(run(1, 1), before)]).await.unwrap();
    assert!(storage.delete_activity(7, 1, time(at)).await.unwrap());
    assert!(!storage.delete_activity(7, 1, time(at)).await.unwrap());
    assert!(
        !storage.delete_activity(7, 2, time(at)).await.unwrap(),
        "a deletion may come before the activity"
    );
    let late = [fetched(run(1, 1), before), fetched(run(2, 2), at)];
    assert_eq!(storage.upsert_activities(&late).await.unwrap().unchanged, 2);
    assert_eq!(storage.count_activities(7).await.unwrap(), 0);
    assert_eq!(storage.upsert_activities(&[fetched(run(1, 1), after)]).await.unwrap().inserted, [1]);
    assert!(!storage.delete_activity(7, 1, time(at)).await.unwrap(), "the deletion is old news");
    assert_eq!(storage.count_activities(7).await.unwrap(), 1);
    assert!(matches!(storage.delete_activity(8, 1, time(at)).await, Err(Error::UnknownAthlete(8))));
}

async fn the_list_has_pages(harness: &Harness) {
    let storage = with_athlete(harness).await;
    let batch: Vec<_> =
        (1..=9).map(|k| fetched(run(k, 1 + (k as u32) / 2), "2024-06-01T00:00:00Z")).collect();
    storage.upsert_activities(&batch).await.unwrap();
    let mut listed = Vec::new();
    for offset in [0, 4, 8, 12] {
        listed.extend(storage.activities(7, 4, offset).await.unwrap().into_iter().map(|one| one.id));
    }
    assert_eq!(listed, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    let all: Vec<_> = storage.all_activities(7).await.unwrap().into_iter().map(|one| one.id).collect();
    assert_eq!(all, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(storage.activities(7, 0, 0).await.unwrap().is_empty());
    assert!(storage.activities(8, u32::MAX, u32::MAX).await.unwrap().is_empty());
}

async fn two_athletes_may_have_the_same_id(harness: &Harness) {
    let storage = with_athlete(harness).await;
    storage.save_athlete(8, "Bob", &json!({})).await.unwrap();
    let file = Activity { source: Source::File, ..run(-5, 1) };
    let others = Activity { athlete: 8, name: "Bob's".to_owned(), ..file.clone() };
    let both = [Fetched::imported(others.clone()), Fetched::imported(file.clone())];
    assert_eq!(storage.upsert_activities(&both).await.unwrap().inserted, [-5, -5]);
    assert_eq!(storage.activity(7, -5).await.unwrap().unwrap(), file);
    assert!(storage.delete_activity(7, -5, Utc::now()).await.unwrap());
    assert_eq!(storage.activity(8, -5).await.unwrap().unwrap(), others);
}

fn samples() -> Streams {
    Streams {
        time: (0..2000).collect(),
        distance: (0..2000).map(|k| f64::from(k) * 2.7).collect(),
        heartrate: Some(vec![150.5; 2000]),
        ..Streams::default()
    }
}

async fn samples_are_asked_for_once(harness: &Harness) {
    let storage = with_athlete(harness).await;
    let mut batch: Vec<_> = (1..=4).map(|k| fetched(run(k, k as u32), "2024-06-01T00:00:00Z")).collect();
    batch[2].activity.sport = "Swim".to_owned();
    batch[3].activity.source = Source::File;
    storage.upsert_activities(&batch).await.unwrap();
    assert_eq!(storage.runs_without_streams(7, 10).await.unwrap(), [2, 1]);
    assert_eq!(storage.runs_without_streams(7, 1).await.unwrap(), [2]);
    for _ in 0..2 {
        assert!(storage.save_streams(7, 1, &samples()).await.unwrap());
        assert!(storage.mark_streams_absent(7, 2).await.unwrap());
    }
    assert!(storage.runs_without_streams(7, 10).await.unwrap().is_empty());
    assert_eq!(storage.streams(7, 1).await.unwrap().unwrap(), samples());
    assert_eq!(storage.stream_state(7, 1).await.unwrap(), Some(StreamState::Fetched));
    assert_eq!(storage.stream_state(7, 2).await.unwrap(), Some(StreamState::Absent));
    assert_eq!(storage.stream_state(7, 3).await.unwrap(), Some(StreamState::Unknown));
    assert_eq!(storage.stream_state(7, 99).await.unwrap(), None);
    assert!(!storage.save_streams(7, 99, &samples()).await.unwrap());
    assert!(!storage.mark_streams_absent(7, 99).await.unwrap());
    // A new title needs no new samples, another length does.
    batch[0].activity.name = "Other".to_owned();
    storage.upsert_activities(&batch).await.unwrap();
    assert_eq!(storage.stream_state(7, 1).await.unwrap(), Some(StreamState::Fetched));
    batch[0].activity.distance_m = 9000.0;
    storage.upsert_activities(&batch).await.unwrap();
    assert_eq!(storage.runs_without_streams(7, 10).await.unwrap(), [1]);
    storage.delete_activity(7, 1, Utc::now()).await.unwrap();
    assert_eq!(storage.streams(7, 1).await.unwrap(), None);
}

async fn purging_keeps_what_was_computed(harness: &Harness) {
    let storage = with_athlete(harness).await;
    let mut batch =
        vec![fetched(run(1, 1), "2024-06-01T00:00:00Z"), fetched(run(2, 2), "2024-06-09T00:00:00Z")];
    batch.push(fetched(Activity { source: Source::File, ..run(-3, 3) }, "2024-06-01T00:00:00Z"));
    storage.upsert_activities(&batch).await.unwrap();
    for id in [1, 2, -3] {
        storage.save_streams(7, id, &samples()).await.unwrap();
    }
    assert_eq!(storage.purge_raw(time("2024-06-08T00:00:00Z")).await.unwrap(), 1);
    assert_eq!(storage.purge_raw(time("2024-06-08T00:00:00Z")).await.unwrap(), 0);
    let kept = |id| storage.streams(7, id);
    assert!(
        kept(1).await.unwrap().is_none()
            && kept(2).await.unwrap().is_some()
            && kept(-3).await.unwrap().is_some()
    );
    assert_eq!(storage.raw_activity(7, 1).await.unwrap(), None);
    assert_eq!(storage.activity(7, 1).await.unwrap().unwrap(), run(1, 1));
    assert!(storage.runs_without_streams(7, 9).await.unwrap().is_empty(), "it is not fetched all over again");
    assert_eq!(storage.upsert_activities(&batch).await.unwrap().unchanged, 3);
}

async fn syncs_at_once_insert_each_activity_once(harness: &Harness) {
    let doors = harness.open_twice().await;
    doors[0].save_athlete(7, "Ada", &json!({})).await.unwrap();
    let syncs: Vec<_> = (0..6)
        .map(|k| {
            let storage = doors[k % 2].clone();
            let mut batch: Vec<_> =
                (1..=20).map(|id| fetched(run(id, id as u32), "2024-06-01T00:00:00Z")).collect();
            batch.rotate_left(k * 3);
            tokio::spawn(async move { storage.upsert_activities(&batch).await.unwrap() })
        })
        .collect();
    let mut total = (0, 0, 0);
    for sync in syncs {
        let done = sync.await.unwrap();
        total = (total.0 + done.inserted.len(), total.1 + done.updated.len(), total.2 + done.unchanged);
    }
    assert_eq!(total, (20, 0, 100));
}

async fn the_recorded_list_survives_a_round_trip(harness: &Harness) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/strava/strava-activities-1132.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no recording of the list");
        return;
    };
    let read = |line| {
        let raw: serde_json::Value = serde_json::from_str(line).unwrap();
        let activity = Activity::from_strava(&raw).unwrap();
        Fetched { activity, raw: Some(raw), read_at: time("2025-10-20T21:26:33Z") }
    };
    let all: Vec<Fetched> = text.lines().map(read).collect();
    let athlete = all[0].activity.athlete;
    let storage = harness.open().await;
    storage.save_athlete(athlete, "A", &json!({})).await.unwrap();
    let mut inserted = 0;
    for page in all.chunks(200) {
        inserted += storage.upsert_activities(page).await.unwrap().inserted.len();
    }
    assert_eq!(inserted, 1132);
    assert_eq!(
        storage.upsert_activities(&all).await.unwrap(),
        Upserted { unchanged: 1132, ..Upserted::default() }
    );
    let mut stored = storage.activities(athlete, 2000, 0).await.unwrap();
    assert_eq!(stored.iter().filter(|activity| activity.is_run()).count(), 908);
    let mut sent: Vec<_> = all.into_iter().map(|one| one.activity).collect();
    stored.sort_by_key(|activity| activity.id);
    sent.sort_by_key(|activity| activity.id);
    assert_eq!(stored, sent);
}
