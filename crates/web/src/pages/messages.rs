//! Messages: what has happened since the athlete looked last.

use super::{Frame, html};
use crate::fault::Result;
use crate::format;
use crate::params::Params;
use crate::session::Shown;
use crate::web::Shared;
use askama::Template;
use axum::extract::{Form, State};
use axum::response::{Redirect, Response};
use chrono::DateTime;
use runnerly::storage::Message;
use serde::Deserialize;

/// Messages listed.
const LIST: u32 = 100;

#[derive(Template)]
#[template(path = "messages.html")]
struct Page {
    frame: Frame,
    news: News,
}

/// Messages, and until when they are marked as read.
pub(crate) struct News {
    pub(crate) rows: Vec<Row>,
    pub(crate) unread: i64,
    /// The instant of the latest one, in microseconds; those that come later stay unread.
    pub(crate) until: i64,
}

/// A message in a list.
pub(crate) struct Row {
    pub(crate) run: i64,
    pub(crate) text: String,
    pub(crate) when: String,
    pub(crate) read: bool,
}

impl News {
    pub(crate) fn of(messages: Vec<Message>, unread: i64) -> News {
        let until = messages.iter().map(|m| m.made_at.timestamp_micros()).max().unwrap_or(0);
        let row = |message: Message| Row {
            run: message.activity,
            text: format::message(&message),
            when: format::ago(message.made_at),
            read: message.read,
        };
        News { rows: messages.into_iter().map(row).collect(), unread, until }
    }
}

pub(super) async fn page(
    State(web): State<Shared>,
    Shown(athlete): Shown,
    params: Params,
) -> Result<Response> {
    params.only(&[])?;
    let messages = web.app.storage.messages(athlete.id, LIST).await?;
    let unread = web.app.storage.unread(athlete.id).await?;
    let frame = Frame::new("Messages", "messages", Some(&athlete));
    html(&Page { frame, news: News::of(messages, unread) })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seen {
    until: i64,
}

pub(super) async fn read(
    State(web): State<Shared>,
    Shown(athlete): Shown,
    Form(seen): Form<Seen>,
) -> Result<Redirect> {
    let until = DateTime::from_timestamp_micros(seen.until).unwrap_or_default();
    web.app.storage.read_messages(athlete.id, until).await?;
    Ok(Redirect::to("/messages"))
}
