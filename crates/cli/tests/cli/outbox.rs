//! The outbox of an application's database.

use crate::world::World;
use legwork::outbox::{self, sqlx::SqlitePool};
use legwork::testing::server::TestServer;

async fn waits(world: &World) -> (SqlitePool, String) {
    let url = format!("sqlite:{}", world.file("app.db", ""));
    let pool = SqlitePool::connect(&url).await.expect("a database");
    outbox::migrate(&pool).await.expect("tables");
    let mut tx = pool.begin().await.expect("a transaction");
    for n in 0..3 {
        outbox::enqueue_raw(&mut tx, "a.job", &n.to_string()).await.expect("written");
    }
    tx.commit().await.expect("committed");
    (pool, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_and_handed_over() {
    let world = World::new().await;
    let (pool, url) = waits(&world).await;
    let told = world.json(&["outbox", &url]);
    assert_eq!(
        (&told["waiting"], &told["refused"], &told["handed_over"]),
        (&3.into(), &0.into(), &().into())
    );
    assert!(world.cli(&["outbox", &url]).good().starts_with("3 wait, the oldest for "));
    assert!(world.json(&["jobs"]).as_array().expect("a list").is_empty(), "only looked at");
    let edit = "UPDATE legwork_outbox SET record = 'no record' WHERE seq = 2";
    outbox::sqlx::query(edit).execute(&pool).await.expect("edited");
    let told = world.json(&["outbox", &url, "--hand-over"]);
    assert_eq!((&told["waiting"], &told["refused"], &told["handed_over"]), (&0.into(), &1.into(), &2.into()));
    assert_eq!(world.json(&["jobs"]).as_array().map(Vec::len), Some(2));
    let said = "0 wait\n1 refused; why stands in the column refused of legwork_outbox\n";
    assert_eq!(world.cli(&["outbox", &url]).good(), said);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_handed_over_to_redis() {
    let Some(server) = TestServer::start() else { return };
    let world = World::new().await;
    let (_pool, url) = waits(&world).await;
    let cli =
        |args: &[&str]| crate::run::legwork(&[&["--url", &server.url(), "--json"], args].concat()).json();
    assert_eq!(cli(&["outbox", &url, "--hand-over"])["handed_over"], 3);
    assert_eq!(cli(&["jobs"]).as_array().map(Vec::len), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_outbox_is_told_in_a_line() {
    let world = World::new().await;
    for (database, code, said) in [
        ("mysql://secret@h/db", 2, "database: not sqlite:app.db or postgres://host/db"),
        ("sqlite:no-such.db", 3, "database: there is no file "),
        ("postgres://secret@127.0.0.1:1/db", 3, "database: "),
        (world.url.as_str(), 1, "outbox: the tables are missing"),
    ] {
        let ran = world.cli(&["outbox", database]);
        assert!(ran.bad(code).contains(said) && !ran.err.contains("secret"), "{database}: {ran:?}");
    }
    assert!(world.cli(&["outbox"]).bad(2).contains("<DATABASE>"));
}
