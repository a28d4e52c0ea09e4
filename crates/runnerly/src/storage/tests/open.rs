use super::*;

on_every_database!(opening_again_finds_what_was_stored, first_starts_at_once_all_succeed);

async fn opening_again_finds_what_was_stored(harness: &Harness) {
    let [first, second] = harness.open_twice().await;
    first.save_athlete(7, "Ada", &json!({"id": 7})).await.unwrap();
    assert_eq!(second.athletes().await.unwrap()[0].name, "Ada");
    second.ping().await.unwrap();
    assert!(["sqlite", "postgres"].contains(&second.backend()));
    assert_eq!(format!("{first:?}"), format!("Storage {{ db: \"{}\", .. }}", first.backend()));
}

async fn first_starts_at_once_all_succeed(harness: &Harness) {
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let url = harness.url.clone();
            tokio::spawn(async move {
                Storage::open(&url, Keyring::parse(KEY).unwrap()).await.map(|s| s.backend())
            })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn bad_addresses_get_one_line_without_the_password() {
    let cases = [
        ("", "database url: no scheme; allowed are sqlite:"),
        ("runnerly.db", "database url: no scheme; allowed are"),
        ("mysql://root:hush@host/db", "database url: cannot use mysql; allowed are"),
        ("sqlite:", "database url: the path is empty; allowed are"),
        ("sqlite://", "database url: the path is empty; allowed are"),
        ("sqlite:/x.db?mode=hush", "database url: not an SQLite address ("),
        ("postgres://u:hush@host:port/db", "database url: not a PostgreSQL address; allowed are"),
        ("sqlite:/proc/none/runnerly.db", "cannot open the database: "),
        ("postgres://u:hush@%2Fnowhere/db", "cannot open the database: "),
    ];
    for (url, expected) in cases {
        let message = Storage::open(url, Keyring::parse(KEY).unwrap()).await.unwrap_err().to_string();
        assert!(message.starts_with(expected), "{url}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(!message.contains(":hush"), "{message}");
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let harness = Harness::file();
    let storage = harness.open().await;
    on_pool!(storage, pool => {
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
            SELECT 99, 'from tomorrow', success, checksum, 0 FROM _sqlx_migrations LIMIT 1";
        sqlx::query(newer).execute(pool).await.map(drop).unwrap();
    });
    storage.close().await;
    let error = Storage::open(&harness.url, Keyring::parse(KEY).unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Newer(99)), "{error}");
}
