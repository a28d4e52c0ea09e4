//! One list of cases, run on every database: SQLite in memory, SQLite in a file, PostgreSQL when
//! `RUNNERLY_TEST_POSTGRES` holds the address of one.

mod activities;
mod athletes;
mod news;
mod open;
mod results;
mod tokens;

use super::*;
use crate::run::{Activity, Source};
use crate::strava::Tokens;
use chrono::TimeDelta;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// A database of one test's own.
struct Harness {
    url: String,
    schema: Option<(String, String)>,
    _dir: tempfile::TempDir,
}

/// 32 bytes of `AAA…`, shifted, in base64.
const KEY: &str = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
const OTHER_KEY: &str = "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=";

impl Harness {
    fn memory() -> Self {
        Self { url: "sqlite::memory:".to_owned(), schema: None, _dir: tempfile::tempdir().unwrap() }
    }

    fn file() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("runnerly.db").display());
        Self { url, schema: None, _dir: dir }
    }

    async fn postgres() -> Option<Self> {
        let Ok(base) = std::env::var("RUNNERLY_TEST_POSTGRES") else {
            println!("skipped: RUNNERLY_TEST_POSTGRES is not set");
            return None;
        };
        let schema = format!("test_{:016x}", rand::random::<u64>());
        let mut connection = PgConnection::connect(&base).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut connection).await.unwrap();
        let sign = if base.contains('?') { '&' } else { '?' };
        let url = format!("{base}{sign}options[search_path]={schema}");
        Some(Self { url, schema: Some((base, schema)), _dir: tempfile::tempdir().unwrap() })
    }

    /// Opens it. What is in memory can be opened once.
    async fn open(&self) -> Storage {
        Storage::open(&self.url, Keyring::parse(KEY).unwrap()).await.unwrap()
    }

    /// As many doors to the same database as there can be, up to two: one in memory.
    async fn open_twice(&self) -> [Storage; 2] {
        let first = self.open().await;
        let second = if self.url.contains(":memory:") { first.clone() } else { self.open().await };
        [first, second]
    }

    async fn drop_schema(self) {
        if let Some((base, schema)) = self.schema {
            let mut connection = PgConnection::connect(&base).await.unwrap();
            let drop = format!("DROP SCHEMA {schema} CASCADE");
            sqlx::query(AssertSqlSafe(drop)).execute(&mut connection).await.unwrap();
        }
    }
}

/// Registers the cases of one file, each for every database.
macro_rules! on_every_database {
    ($($case:ident),* $(,)?) => {
        $(mod $case {
            use crate::storage::tests::Harness;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn memory() {
                super::$case(&Harness::memory()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn file() {
                super::$case(&Harness::file()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(harness) = Harness::postgres().await {
                    super::$case(&harness).await;
                    harness.drop_schema().await;
                }
            }
        })*
    };
}

use on_every_database;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A run of athlete 7 that started on the given day of May 2024.
fn run(id: i64, day: u32) -> Activity {
    let start = time(&format!("2024-05-{day:02}T06:00:00.123456Z"));
    Activity {
        id,
        athlete: 7,
        name: format!("Run {id} 'quoted' ☀"),
        sport: "Run".to_owned(),
        start,
        start_local: start.naive_utc() + TimeDelta::hours(2),
        timezone: Some("(GMT+01:00) Europe/Berlin".to_owned()),
        distance_m: 10_000.1,
        moving_s: 3000,
        elapsed_s: 3100,
        gain_m: 12.5,
        average_hr: Some(150.25),
        max_hr: None,
        average_cadence: None,
        workout_type: Some(1),
        gear: None,
        private: true,
        source: Source::Strava,
    }
}

fn fetched(activity: Activity, read_at: &str) -> Fetched {
    Fetched { activity, raw: Some(json!({"kudos": 0})), read_at: time(read_at) }
}

fn tokens(name: &str, lives: TimeDelta) -> Tokens {
    let expires_at = DateTime::from_timestamp_micros((Utc::now() + lives).timestamp_micros()).unwrap();
    Tokens {
        access: format!("access-{name}").into(),
        refresh: format!("refresh-{name}\"\\").into(),
        expires_at,
    }
}

async fn with_athlete(harness: &Harness) -> Storage {
    let storage = harness.open().await;
    storage.save_athlete(7, "Ada", &json!({"id": 7})).await.unwrap();
    storage
}
