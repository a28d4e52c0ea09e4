//! Jobs that come in together and are alike: by one statement, however many they are.
//!
//! Its text does not depend on their number, and it binds few values: of a statement with a row
//! for each, writing its text and binding take as long as the rows.

use super::enqueue::Row;
use super::fault::Sql;
use super::tx::Tx;

/// Fewer than these are taken in row by row.
const FEW: usize = 16;

/// At most so many bytes of records go into one statement.
const MOST: usize = 4 << 20;

/// How many of the first rows differ by their ids and records only; none where they are few.
pub(super) fn alike(rows: &[Row], now: i64) -> Option<usize> {
    let first = rows.first()?;
    let start = first.start(now);
    let mut bytes = 0;
    let same = rows.iter().take_while(|row| {
        bytes += row.record.len();
        let plain = !row.chosen && row.unique.is_none() && row.limit.is_none();
        let here = row.queue == first.queue && row.priority == first.priority;
        plain
            && here
            && row.name == first.name
            && row.cost == first.cost
            && row.start(now) == start
            && bytes <= MOST
    });
    Some(same.count()).filter(|n| *n >= FEW)
}

/// Takes in rows that are alike, the first of them at this place.
pub(super) async fn put(tx: &mut Tx, rows: &[Row], first: i64) -> Sql<()> {
    let (state, due_ms) = rows[0].start(tx.now);
    let mut records = Vec::with_capacity(rows.iter().map(|row| row.record.len()).sum());
    let mut places = Vec::with_capacity(rows.len());
    for row in rows {
        places.push((records.len() as u64) << 32 | row.record.len() as u64);
        records.extend_from_slice(&row.record);
    }
    let ids: Vec<u8> = rows.iter().flat_map(|row| *row.id.as_bytes()).collect();
    let places = serde_json::to_string(&places).map_err(super::fault::broken)?;
    let put = sqlx::query(include_str!("sql/enqueue_alike.sql")).bind(ids).bind(records).bind(places);
    let put = put.bind(&*rows[0].name).bind(&*rows[0].queue).bind(rows[0].priority).bind(state as i64);
    let put = put.bind(first).bind(due_ms).bind(rows[0].cost);
    put.execute(&mut *tx.conn).await.map(drop)
}
