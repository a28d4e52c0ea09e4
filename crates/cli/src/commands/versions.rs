//! `versions`: which versions of which payloads are queued, and who could run them.

use super::Done;
use crate::out::{Color, Out, coloured};
use crate::words::shown;
use comfy_table::Cell;
use legwork::{Client, VersionView};

pub(super) async fn list(client: &Client, out: &mut Out) -> Done {
    let seen = client.versions().await?;
    if out.json {
        return out.value(&seen);
    }
    if seen.versions.is_empty() {
        out.line("nothing is queued, and no worker has said what it knows");
        return Ok(());
    }
    let places = client.snapshot().await?;
    let mut table = out.table(&["NAME", "VERSION", "QUEUED", "PARKED", "WORKERS"]);
    for one in &seen.versions {
        let parked = (one.parked > 0).then_some(Color::Yellow);
        let workers: Vec<String> = one.workers.iter().map(|id| super::place(id, &places)).collect();
        table.add_row([
            Cell::new(shown(&one.name)),
            Cell::new(one.version),
            Cell::new(one.queued),
            coloured(one.parked, parked),
            who(one, &workers),
        ]);
    }
    out.print(table, &[0, 1, 2, 3]);
    if !seen.whole {
        out.note("there are more jobs than were looked at: the counts are of those that were");
    }
    Ok(())
}

fn who(one: &VersionView, workers: &[String]) -> Cell {
    match workers {
        [] if one.queued > 0 => coloured("none", Some(Color::Red)),
        [] => Cell::new("none"),
        some => Cell::new(some.join(", ")),
    }
}
