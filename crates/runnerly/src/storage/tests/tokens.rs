use super::*;
use crate::storage::{RefreshError, Saved};
use secrecy::ExposeSecret;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

on_every_database!(
    tokens_are_sealed_and_replaced_by_version,
    a_revoked_athlete_stays_revoked,
    one_process_refreshes_at_a_time,
    many_who_need_a_token_refresh_once,
    a_lease_that_was_overslept_harms_nobody,
    a_refusal_is_passed_on_and_the_lease_given_back,
    a_replaced_key_opens_and_seals_anew,
);

const HOUR: TimeDelta = TimeDelta::hours(1);

async fn connected(storage: &Storage, tokens: &Tokens) {
    storage.connect_athlete(7, "Ada", &json!({}), "read", tokens).await.unwrap();
}

async fn access(storage: &Storage) -> (String, i64) {
    let held = storage.tokens(7).await.unwrap().unwrap();
    (held.tokens.access.expose_secret().to_owned(), held.version)
}

async fn tokens_are_sealed_and_replaced_by_version(harness: &Harness) {
    let storage = harness.open().await;
    connected(&storage, &tokens("a", HOUR)).await;
    let held = storage.tokens(7).await.unwrap().unwrap();
    assert_eq!(held.tokens.refresh.expose_secret(), "refresh-a\"\\");
    assert!(!format!("{held:?}").contains("refresh-a"));
    let sealed: Vec<u8> = on_pool!(storage, pool => {
        sqlx::query_scalar("SELECT tokens FROM athletes").fetch_one(pool).await.unwrap()
    });
    assert!(!String::from_utf8_lossy(&sealed).contains("access-a"));
    let version = held.version;
    assert_eq!(storage.save_tokens(7, version, &tokens("b", HOUR)).await.unwrap(), Saved::Saved);
    assert_eq!(storage.save_tokens(7, version, &tokens("c", HOUR)).await.unwrap(), Saved::Stale);
    assert_eq!(access(&storage).await, ("access-b".to_owned(), version + 1));
    assert_eq!(storage.save_tokens(8, 0, &tokens("d", HOUR)).await.unwrap(), Saved::Stale);
}

async fn a_revoked_athlete_stays_revoked(harness: &Harness) {
    let storage = harness.open().await;
    connected(&storage, &tokens("a", -HOUR)).await;
    let revoking = async |_: Tokens| {
        storage.revoke_athlete(7).await.unwrap();
        Ok::<_, String>(tokens("b", HOUR))
    };
    let outcome = storage.fresh_token(7, TimeDelta::zero(), None, revoking).await;
    assert!(matches!(outcome, Err(RefreshError::NotConnected(7))), "{outcome:?}");
    assert!(storage.tokens(7).await.unwrap().is_none());
}

async fn one_process_refreshes_at_a_time(harness: &Harness) {
    let [first, second] = harness.open_twice().await;
    connected(&first, &tokens("a", HOUR)).await;
    let minute = Duration::from_secs(60);
    let lease = first.try_lease_refresh(7, minute).await.unwrap().unwrap();
    assert!(second.try_lease_refresh(7, minute).await.unwrap().is_none());
    first.release_refresh(lease).await.unwrap();
    let overslept = second.try_lease_refresh(7, Duration::ZERO).await.unwrap().unwrap();
    let lease = first.try_lease_refresh(7, minute).await.unwrap().expect("a lease ends by itself");
    second.release_refresh(overslept).await.unwrap();
    assert!(second.try_lease_refresh(7, minute).await.unwrap().is_none(), "only its holder gives it back");
    first.release_refresh(lease).await.unwrap();
    assert!(second.try_lease_refresh(8, minute).await.unwrap().is_none(), "there is no such athlete");
}

/// A provider that kills an athlete's tokens when an old refresh token is used, as Strava does.
async fn many_who_need_a_token_refresh_once(harness: &Harness) {
    let doors = harness.open_twice().await;
    connected(&doors[0], &tokens("0", -HOUR)).await;
    let refreshes = std::sync::Arc::new(AtomicUsize::new(0));
    let all: Vec<_> = (0..12)
        .map(|k| {
            let (storage, refreshes) = (doors[k % 2].clone(), refreshes.clone());
            tokio::spawn(async move {
                let refresh = async |old: Tokens| {
                    let known = refreshes.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    match old.refresh.expose_secret() == format!("refresh-{known}\"\\") {
                        true => Ok(tokens(&(known + 1).to_string(), HOUR)),
                        false => Err("the refresh token is dead"),
                    }
                };
                storage.fresh_token(7, TimeDelta::minutes(5), None, refresh).await.unwrap()
            })
        })
        .collect();
    let mut refreshed = 0;
    for one in all {
        let fresh = one.await.unwrap();
        assert_eq!(fresh.access.expose_secret(), "access-1");
        refreshed += usize::from(fresh.refreshed);
    }
    assert_eq!((refreshed, refreshes.load(Ordering::SeqCst)), (1, 1));
    // A token that lives is refreshed only when the provider has refused it.
    let refresh = async |_: Tokens| Ok::<_, String>(tokens("2", HOUR));
    let dead = "access-1".into();
    let fresh = doors[0].fresh_token(7, TimeDelta::zero(), Some(&dead), refresh).await.unwrap();
    assert!(fresh.refreshed && fresh.access.expose_secret() == "access-2");
    let fresh = doors[1].fresh_token(7, TimeDelta::zero(), Some(&dead), refresh).await.unwrap();
    assert!(
        !fresh.refreshed && fresh.access.expose_secret() == "access-2",
        "somebody has refreshed it already"
    );
}

async fn a_lease_that_was_overslept_harms_nobody(harness: &Harness) {
    let storage = harness.open().await;
    for told in [Ok(tokens("late", HOUR)), Err("dead")] {
        connected(&storage, &tokens("a", -HOUR)).await;
        let overtaken = async |_: Tokens| {
            let version = access(&storage).await.1;
            storage.save_tokens(7, version, &tokens("other", HOUR)).await.unwrap();
            told
        };
        let fresh = storage.fresh_token(7, TimeDelta::zero(), None, overtaken).await.unwrap();
        assert_eq!((fresh.access.expose_secret(), fresh.refreshed), ("access-other", false));
        assert_eq!(access(&storage).await.0, "access-other");
    }
}

async fn a_refusal_is_passed_on_and_the_lease_given_back(harness: &Harness) {
    let storage = harness.open().await;
    connected(&storage, &tokens("a", -HOUR)).await;
    for _ in 0..2 {
        let outcome = storage.fresh_token(7, TimeDelta::zero(), None, async |_| Err("no")).await;
        assert!(matches!(outcome, Err(RefreshError::Refused("no"))), "{outcome:?}");
    }
    assert_eq!(access(&storage).await.0, "access-a");
    let unknown = storage.fresh_token(8, TimeDelta::zero(), None, async |_| Err("no")).await;
    assert!(matches!(unknown, Err(RefreshError::NotConnected(8))));
}

async fn a_replaced_key_opens_and_seals_anew(harness: &Harness) {
    let storage = harness.open().await;
    connected(&storage, &tokens("a", HOUR)).await;
    let with = |keys: &str| Storage { keys: Arc::new(Keyring::parse(keys).unwrap()), ..storage.clone() };
    let (both, new) = (with(&format!("{OTHER_KEY},{KEY}")), with(OTHER_KEY));
    let error = new.tokens(7).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "sealed with a key that is not at hand; add the old key behind a comma to RUNNERLY_KEY"
    );
    assert_eq!(both.reseal_tokens().await.unwrap(), 1);
    assert_eq!(both.reseal_tokens().await.unwrap(), 0);
    assert_eq!(access(&new).await.0, "access-a");
}
