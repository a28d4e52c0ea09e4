//! What must hold of the whole database, checked in one read transaction.

use super::fault::Sql;
use sqlx::SqliteConnection;

/// Each statement selects one text for everything that breaks its rule.
const RULES: &[&str] = &[
    include_str!("sql/audit_counts.sql"),
    include_str!("sql/audit_leases.sql"),
    include_str!("sql/audit_batches.sql"),
    include_str!("sql/audit_fields.sql"),
    include_str!("sql/audit_serial.sql"),
    "SELECT 'the file: ' || integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
];

/// At most this many lines for one rule.
const MAX_LINES: usize = 20;

pub(super) async fn audit(conn: &mut SqliteConnection) -> Sql<Vec<String>> {
    sqlx::query("BEGIN").execute(&mut *conn).await?;
    let mut lines = Vec::new();
    let found = async {
        for rule in RULES {
            let broken: Vec<String> = sqlx::query_scalar(*rule).fetch_all(&mut *conn).await?;
            lines.extend(broken.into_iter().take(MAX_LINES));
        }
        Ok(lines)
    };
    let found = found.await;
    sqlx::query("COMMIT").execute(&mut *conn).await?;
    found
}
