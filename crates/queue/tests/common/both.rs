//! One body, a test per backend: SQLite in memory, and Redis where there is a server.

macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(legwork::Client::connect("sqlite::memory:").await.unwrap()).await;
            })* }
        mod on_redis { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(server) = legwork::testing::server::TestServer::start() else { return };
                super::$name(legwork::Client::connect(&server.url()).await.unwrap()).await;
            })* }
    };
}
