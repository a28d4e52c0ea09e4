use super::*;
use crate::storage::Connection;

on_every_database!(
    an_athlete_connects_and_leaves,
    a_sync_is_remembered,
    deleting_an_athlete_deletes_everything,
);

async fn an_athlete_connects_and_leaves(harness: &Harness) {
    let storage = with_athlete(harness).await;
    let local = storage.athlete(7).await.unwrap().unwrap();
    assert_eq!((local.connection, local.profile), (Connection::Local, json!({"id": 7})));
    let first = tokens("a", TimeDelta::hours(6));
    storage.connect_athlete(7, "Ada L.", &json!({"id": 7, "sex": null}), "read", &first).await.unwrap();
    let connected = storage.athlete(7).await.unwrap().unwrap();
    assert_eq!((connected.connection, connected.name.as_str()), (Connection::Connected, "Ada L."));
    assert_eq!((connected.scope.as_str(), connected.expires_at), ("read", Some(first.expires_at)));
    assert_eq!(connected.created_at, local.created_at);
    storage.save_athlete(7, "Ada", &json!({})).await.unwrap();
    assert_eq!(storage.athlete(7).await.unwrap().unwrap().connection, Connection::Connected);
    assert!(storage.revoke_athlete(7).await.unwrap());
    assert!(!storage.revoke_athlete(7).await.unwrap(), "the second time there is nothing to revoke");
    let revoked = storage.athlete(7).await.unwrap().unwrap();
    assert_eq!((revoked.connection, revoked.expires_at), (Connection::Revoked, None));
    assert!(storage.tokens(7).await.unwrap().is_none());
    assert!(storage.athlete(8).await.unwrap().is_none());
}

async fn a_sync_is_remembered(harness: &Harness) {
    let storage = with_athlete(harness).await;
    assert_eq!(storage.athlete(7).await.unwrap().unwrap().sync, Sync::default());
    let at = Some(time("2024-05-01T00:00:00.000001Z"));
    let sync = Sync { last_synced_at: at, cursor: Some("page 3".to_owned()), count: 400 };
    for _ in 0..2 {
        storage.save_sync(7, &sync).await.unwrap();
        assert_eq!(storage.athletes().await.unwrap()[0].sync, sync);
    }
    assert!(matches!(storage.save_sync(8, &sync).await, Err(Error::UnknownAthlete(8))));
}

async fn deleting_an_athlete_deletes_everything(harness: &Harness) {
    let storage = with_athlete(harness).await;
    storage.save_athlete(8, "Bob", &json!({})).await.unwrap();
    let others = Activity { athlete: 8, ..run(1, 1) };
    let both = [fetched(run(1, 1), "2024-06-01T00:00:00Z"), fetched(others, "2024-06-01T00:00:00Z")];
    storage.upsert_activities(&both).await.unwrap();
    let streams = crate::run::Streams { time: vec![0], distance: vec![0.0], ..Default::default() };
    assert!(storage.save_streams(7, 1, &streams).await.unwrap());
    storage.save_stats(7, "summary", &1, Utc::now()).await.unwrap();
    storage.save_upload("u", 7, "a.gpx", b"x").await.unwrap();
    storage.delete_activity(7, 2, Utc::now()).await.unwrap();
    assert!(storage.delete_athlete(7).await.unwrap());
    assert!(!storage.delete_athlete(7).await.unwrap());
    for table in ["activities", "tombstones", "streams", "stats", "uploads"] {
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table} WHERE athlete = 7"));
        let left: i64 = on_pool!(storage, pool => sqlx::query_scalar(sql).fetch_one(pool).await.unwrap());
        assert_eq!(left, 0, "{table}");
    }
    assert_eq!(storage.count_activities(8).await.unwrap(), 1);
}
