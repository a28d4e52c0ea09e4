//! `errors`: what goes wrong most.

use super::Done;
use crate::out::Out;
use crate::words::{cut, relative, shown};
use comfy_table::Cell;
use legwork::Client;

pub(super) async fn list(client: &Client, limit: usize, out: &mut Out) -> Done {
    let groups = client.errors(limit).await?;
    if out.json {
        return out.value(&groups);
    }
    if groups.is_empty() {
        out.line("no job that is kept has failed");
        return Ok(());
    }
    let now = client.snapshot().await?.now_ms;
    let mut table = out.table(&["JOBS", "FINGERPRINT", "NEWEST JOB", "LAST", "ERROR"]);
    for group in &groups {
        let error = shown(&group.error);
        let error = out.width.map_or(error.clone(), |_| cut(&error, 120));
        table.add_row([
            Cell::new(group.count),
            Cell::new(&group.fingerprint),
            Cell::new(group.example),
            Cell::new(relative(group.at_ms, now)),
            Cell::new(error),
        ]);
    }
    out.print(table, &[0, 1, 2, 3]);
    Ok(())
}
