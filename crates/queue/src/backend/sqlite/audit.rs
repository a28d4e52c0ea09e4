//! What must hold of the whole database, checked in one read transaction.

use super::fault::Sql;
use sqlx::{Connection, SqliteConnection};

/// Each statement selects one text for everything that breaks its rule.
const RULES: &[&str] = &[
    include_str!("sql/audit_counts.sql"),
    include_str!("sql/audit_leases.sql"),
    include_str!("sql/audit_batches.sql"),
    include_str!("sql/audit_fields.sql"),
    include_str!("sql/audit_keys.sql"),
    include_str!("sql/audit_unique.sql"),
    include_str!("sql/audit_flows.sql"),
    include_str!("sql/audit_index.sql"),
    "SELECT 'the file: ' || integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
];

/// At most this many lines for one rule.
const MAX_LINES: usize = 20;

pub(super) async fn audit(conn: &mut SqliteConnection) -> Sql<Vec<String>> {
    // Rolled back when it is dropped, so that no caller that gives up leaves it open.
    let mut snapshot = conn.begin().await?;
    let mut lines = Vec::new();
    for rule in RULES {
        let broken: Vec<String> = sqlx::query_scalar(*rule).fetch_all(&mut *snapshot).await?;
        lines.extend(broken.into_iter().take(MAX_LINES));
    }
    snapshot.commit().await?;
    Ok(lines)
}
