//! What a checkup says of a file.

use super::fault::Sql;
use crate::Durability;
use crate::backend::{Finding, Gravity};
use sqlx::SqliteConnection;

/// A WAL that is larger than this has not been written back for long: a reader holds it.
const LARGE_WAL: u64 = 256 << 20;

/// What is wrong with the pages of the file.
pub(super) async fn quick_check(conn: &mut SqliteConnection) -> Sql<Vec<String>> {
    let mut lines: Vec<String> = sqlx::query_scalar("PRAGMA quick_check(20)").fetch_all(conn).await?;
    lines.retain(|line| line != "ok");
    Ok(lines)
}

/// What follows from how it was opened, and from what lies beside it.
pub(super) fn of_settings(shown: &str, memory: bool, durability: Durability) -> Vec<Finding> {
    if memory {
        return vec![Finding::new(
            Gravity::Warning,
            "file",
            "sqlite::memory: nothing is kept when this process ends",
        )];
    }
    let mut all = Vec::new();
    if durability == Durability::Memory {
        let line = "synchronous=NORMAL by ?durability=memory: a power loss costs the last commits";
        all.push(Finding::new(Gravity::Warning, "durability", line));
    }
    let path = shown.strip_prefix("sqlite:").unwrap_or(shown);
    let bytes = super::files::log_length(std::path::Path::new(path));
    if bytes > LARGE_WAL {
        let line = format!("the WAL holds {} MB: a reader has been open for long", bytes >> 20);
        all.push(Finding::new(Gravity::Warning, "file", line));
    }
    all
}
