//! Messages to an athlete.

use super::Asker;
use super::body::Body;
use crate::fault::{Problem, Result};
use crate::format;
use crate::params::Params;
use crate::web::Shared;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use runnerly::storage::Message;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A message: there is a new run.
#[derive(Serialize, ToSchema)]
pub(super) struct MessageView {
    /// The run.
    activity: String,
    /// In words.
    text: String,
    /// What was planned for it.
    planned: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    made_at: DateTime<Utc>,
    read: bool,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> MessageView {
        let text = format::message(&message);
        let Message { activity, planned, made_at, read, .. } = message;
        MessageView { activity: activity.to_string(), text, planned, made_at, read }
    }
}

/// Messages, the latest first.
#[derive(Serialize, ToSchema)]
pub(super) struct Messages {
    messages: Vec<MessageView>,
    /// How many were not read, of all there are.
    unread: i64,
}

/// Messages to the shown athlete, the latest first
#[utoipa::path(get, path = "/api/messages", params(
    ("athlete" = Option<i64>, Query, description = "The shown one unless given"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 200, description = "50 unless given"),
), responses(
    (status = 200, body = Messages),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(State(web): State<Shared>, asker: Asker, params: Params) -> Result<Json<Messages>> {
    let params = params.only(&["athlete", "limit"])?;
    let limit = params.number("limit", 1..=200)?.unwrap_or(50);
    let athlete = asker.athlete(&web, params.number("athlete", 0..=i64::MAX)?).await?;
    let messages = web.app.storage.messages(athlete.id, limit as u32).await?;
    let unread = web.app.storage.unread(athlete.id).await?;
    Ok(Json(Messages { messages: messages.into_iter().map(MessageView::from).collect(), unread }))
}

/// Which messages were read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadRequest {
    /// All that were made until then: the `made_at` of the latest one shown.
    #[schema(value_type = String, format = DateTime)]
    until: DateTime<Utc>,
}

/// How many messages were marked.
#[derive(Serialize, ToSchema)]
pub(super) struct Marked {
    marked: u64,
}

/// Marks messages as read
#[utoipa::path(post, path = "/api/messages/read", request_body = ReadRequest, params(
    ("athlete" = Option<i64>, Query, description = "The shown one unless given"),
), responses(
    (status = 200, body = Marked),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn read(
    State(web): State<Shared>,
    asker: Asker,
    params: Params,
    Body(request): Body<ReadRequest>,
) -> Result<Json<Marked>> {
    let params = params.only(&["athlete"])?;
    let athlete = asker.athlete(&web, params.number("athlete", 0..=i64::MAX)?).await?;
    let marked = web.app.storage.read_messages(athlete.id, request.until).await?;
    Ok(Json(Marked { marked }))
}
