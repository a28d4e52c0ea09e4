//! `outbox`: what waits in a table of the application's database.

use super::Done;
use crate::out::Out;
use crate::problem::Problem;
use crate::words::span;
use legwork::Client;
use legwork::outbox::{Relay, Status, sqlx};
use serde_json::json;
use sqlx::{PgPool, SqlitePool};

pub(super) async fn tell(client: &Client, database: &str, hand_over: bool, out: &mut Out) -> Done {
    let mut relay = open(client.clone(), database).await?;
    let handed = match hand_over {
        true => Some(relay.hand_over().await?),
        false => None,
    };
    let Status { waiting, oldest, refused } = relay.status().await?;
    let oldest_ms = oldest.map(|oldest| oldest.as_millis() as i64);
    if out.json {
        return out.value(&json!({
            "waiting": waiting, "oldest_ms": oldest_ms, "refused": refused, "handed_over": handed,
        }));
    }
    if let Some(handed) = handed {
        out.line(format!("{handed} handed over"));
    }
    let since = oldest_ms.map(|ms| format!(", the oldest for {}", span(ms))).unwrap_or_default();
    out.line(format!("{waiting} wait{since}"));
    if refused > 0 {
        out.line(format!("{refused} refused; why stands in the column refused of legwork_outbox"));
    }
    Ok(())
}

async fn open(client: Client, database: &str) -> Result<Relay, Problem> {
    // Neither says where to, or as whom: a URL may hold a password.
    let wrong = |e: sqlx::Error| match e {
        sqlx::Error::Configuration(_) => Problem::invalid("database: not a URL of SQLite or PostgreSQL"),
        e => Problem::unreachable(format!("database: {e}")),
    };
    if database.starts_with("sqlite:") {
        super::must_exist("database", database)?;
        return Ok(Relay::new(client, SqlitePool::connect(database).await.map_err(wrong)?));
    }
    if database.starts_with("postgres:") || database.starts_with("postgresql:") {
        return Ok(Relay::new(client, PgPool::connect(database).await.map_err(wrong)?));
    }
    Err(Problem::invalid("database: not sqlite:app.db or postgres://host/db"))
}
