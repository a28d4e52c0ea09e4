use super::*;
use crate::stats::efforts::Effort;
use crate::stats::records::{Mark, Record};
use crate::stats::splits::Split;
use crate::storage::UploadState;

on_every_database!(
    efforts_and_splits_are_replaced,
    records_are_replaced_and_follow_their_activity,
    later_statistics_win,
    a_file_is_kept_until_it_is_imported,
);

async fn with_run(harness: &Harness) -> Storage {
    let storage = with_athlete(harness).await;
    let batch = [fetched(run(1, 1), "2024-06-01T00:00:00Z"), fetched(run(2, 2), "2024-06-01T00:00:00Z")];
    storage.upsert_activities(&batch).await.unwrap();
    storage
}

fn effort(distance_m: f64, seconds: i64) -> Effort {
    Effort { name: format!("{distance_m} m"), distance_m, seconds, start: 3, end: 90 }
}

async fn efforts_and_splits_are_replaced(harness: &Harness) {
    let storage = with_run(harness).await;
    let first = [effort(1000.0, 300), effort(400.0, 100)];
    for _ in 0..2 {
        assert!(storage.save_efforts(7, 1, &first).await.unwrap());
        assert_eq!(storage.efforts(7, 1).await.unwrap(), [effort(400.0, 100), effort(1000.0, 300)]);
    }
    assert!(storage.save_efforts(7, 1, &[effort(400.0, 99)]).await.unwrap());
    assert!(storage.save_efforts(7, 2, &[effort(400.0, 98)]).await.unwrap());
    assert_eq!(storage.efforts(7, 1).await.unwrap(), [effort(400.0, 99)]);
    let all = storage.all_efforts(7).await.unwrap();
    assert_eq!(all, [(1, vec![effort(400.0, 99)]), (2, vec![effort(400.0, 98)])].into());
    assert!(!storage.save_efforts(7, 99, &first).await.unwrap(), "there is no such activity");
    assert!(storage.save_efforts(7, 1, &[effort(5.0, 1), effort(5.0, 2)]).await.is_err());
    assert_eq!(storage.efforts(7, 1).await.unwrap(), [effort(400.0, 99)], "nothing has changed");

    let split = |distance_m| Split {
        number: 1,
        distance_m,
        elapsed_s: 300,
        moving_s: 299,
        elevation_m: None,
        average_hr: Some(150.1),
    };
    assert!(storage.save_splits(7, 1, "km", &[split(1000.1), split(0.3)]).await.unwrap());
    assert!(storage.save_splits(7, 1, "mile", &[split(1609.4)]).await.unwrap());
    assert!(storage.save_splits(7, 1, "km", &[split(1000.2)]).await.unwrap());
    assert_eq!(storage.splits(7, 1, "km").await.unwrap(), Some(vec![split(1000.2)]));
    assert_eq!(storage.splits(7, 2, "km").await.unwrap(), None);
    assert!(!storage.save_splits(7, 99, "km", &[]).await.unwrap());
}

async fn records_are_replaced_and_follow_their_activity(harness: &Harness) {
    let storage = with_run(harness).await;
    let mark = |activity, day: &str, seconds| Mark { activity, day: day.parse().unwrap(), seconds };
    let record = |distance_m, progression| Record { name: "x".to_owned(), distance_m, progression };
    let (first, second) = (mark(1, "2024-05-01", 100), mark(2, "2024-05-02", 99));
    let gone = mark(99, "2024-05-03", 98);
    let all =
        [record(1000.0, vec![second.clone(), gone]), record(400.0, vec![first.clone(), second.clone()])];
    for _ in 0..2 {
        storage.save_records(7, &all).await.unwrap();
        let expected =
            [record(400.0, vec![first.clone(), second.clone()]), record(1000.0, vec![second.clone()])];
        assert_eq!(storage.records(7).await.unwrap(), expected);
    }
    storage.delete_activity(7, 2, Utc::now()).await.unwrap();
    assert_eq!(storage.records(7).await.unwrap(), [record(400.0, vec![first])]);
    assert!(matches!(storage.save_records(8, &[]).await, Err(Error::UnknownAthlete(8))));
}

async fn later_statistics_win(harness: &Harness) {
    let storage = with_athlete(harness).await;
    let (early, late) = (time("2024-06-01T00:00:00Z"), time("2024-06-01T00:00:01Z"));
    assert_eq!(storage.stats::<i64>(7, "summary").await.unwrap(), None);
    assert!(storage.save_stats(7, "summary", &1, late).await.unwrap());
    assert!(storage.save_stats(7, "summary", &2, late).await.unwrap());
    assert!(!storage.save_stats(7, "summary", &3, early).await.unwrap());
    assert!(storage.save_stats(7, "other", &4, early).await.unwrap());
    assert_eq!(storage.stats::<i64>(7, "summary").await.unwrap(), Some((2, late)));
    let unknown = storage.save_stats(8, "summary", &1, late).await;
    assert!(matches!(unknown, Err(Error::UnknownAthlete(8))), "{unknown:?}");
}

async fn a_file_is_kept_until_it_is_imported(harness: &Harness) {
    let storage = with_athlete(harness).await;
    let bytes = [0, 255, 10, 0];
    assert!(storage.save_upload("a", 7, "run.fit", &bytes).await.unwrap().is_some());
    assert!(storage.save_upload("a", 7, "other.fit", b"other").await.unwrap().is_none());
    assert!(storage.save_upload("b", 7, "bad.gpx", b"").await.unwrap().is_some());
    assert_eq!(storage.upload_bytes("a").await.unwrap().unwrap(), bytes);
    let upload = storage.upload("a").await.unwrap().unwrap();
    assert_eq!((upload.name.as_str(), upload.size, upload.state), ("run.fit", 4, UploadState::Waiting));
    for _ in 0..2 {
        assert!(storage.upload_imported("a", -5).await.unwrap());
    }
    assert!(!storage.upload_failed("a", "late").await.unwrap(), "imported stays imported");
    assert!(storage.upload_failed("b", "not a GPX file").await.unwrap());
    let listed: Vec<_> =
        storage.uploads(7, 9).await.unwrap().into_iter().map(|one| (one.id, one.state)).collect();
    let failed = UploadState::Failed { error: "not a GPX file".to_owned() };
    assert_eq!(listed, [("b".to_owned(), failed), ("a".to_owned(), UploadState::Imported { activity: -5 })]);
    assert_eq!(storage.upload_bytes("a").await.unwrap(), None);
    assert_eq!(storage.upload_bytes("b").await.unwrap().unwrap(), b"");
    assert_eq!(storage.upload("zzz").await.unwrap(), None);
    assert!(matches!(storage.save_upload("c", 8, "x", b"").await, Err(Error::UnknownAthlete(8))));
}
