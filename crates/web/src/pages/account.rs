//! The athletes of this browser: show another one, disconnect, forget.

use super::{Frame, html};
use crate::fault::{Fault, Result};
use crate::format;
use crate::session::{Session, Shown};
use crate::web::{Shared, Web};
use askama::Template;
use axum::extract::{Form, State};
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use runnerly::storage::{Athlete, Connection};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "account.html")]
struct Page {
    frame: Frame,
    athlete: Card,
    others: Vec<Card>,
}

struct Card {
    id: i64,
    name: String,
    state: &'static str,
    connected: bool,
    local: bool,
    private: bool,
    synced: String,
}

impl Card {
    fn of(athlete: &Athlete) -> Card {
        Card {
            id: athlete.id,
            name: athlete.name.clone(),
            state: match athlete.connection {
                Connection::Connected => "connected to Strava",
                Connection::Revoked => "no longer connected to Strava",
                Connection::Local => "files only",
            },
            connected: athlete.connection == Connection::Connected,
            local: athlete.connection == Connection::Local,
            private: athlete.scope.contains("activity:read_all"),
            synced: athlete.sync.last_synced_at.map_or("never".into(), format::ago),
        }
    }
}

pub(super) async fn page(
    State(web): State<Shared>,
    session: Session,
    Shown(athlete): Shown,
) -> Result<Response> {
    let mut others = Vec::new();
    for id in session.athletes().iter().filter(|id| **id != athlete.id) {
        others.extend(web.app.storage.athlete(*id).await?.as_ref().map(Card::of));
    }
    html(&Page {
        frame: Frame::new("Account", "account", Some(&athlete)),
        athlete: Card::of(&athlete),
        others,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    athlete: i64,
}

pub(super) async fn show(
    State(web): State<Shared>,
    mut session: Session,
    Form(which): Form<Which>,
) -> Result<Response> {
    if !session.holds(which.athlete) {
        return Err(Fault::missing("athlete"));
    }
    session.show(which.athlete);
    redirect(&web, session, "/")
}

/// Forgets this browser; athletes stay connected.
pub(super) async fn leave(State(web): State<Shared>) -> Result<Response> {
    redirect(&web, Session::default(), "/")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disconnect {
    athlete: i64,
    /// Whether everything of the athlete is deleted here, too.
    delete: Option<String>,
}

pub(super) async fn disconnect(
    State(web): State<Shared>,
    mut session: Session,
    Form(form): Form<Disconnect>,
) -> Result<Response> {
    if !session.holds(form.athlete) {
        return Err(Fault::missing("athlete"));
    }
    let told = revoke(&web, form.athlete).await?;
    if form.delete.is_some() {
        web.app.storage.delete_athlete(form.athlete).await?;
        session.forget(form.athlete);
        return redirect(&web, session, if told { "/?note=deleted" } else { "/?note=deleted-untold" });
    }
    redirect(&web, session, if told { "/?note=disconnected" } else { "/?note=disconnected-untold" })
}

/// Ends the connection at Strava and forgets the tokens here, even when Strava cannot be
/// told; says whether it was.
async fn revoke(web: &Web, athlete: i64) -> Result<bool> {
    let told = match web.app.storage.tokens(athlete).await {
        Ok(Some(held)) => match web.app.strava.revoke(&held.tokens.refresh).await {
            Ok(()) | Err(runnerly::strava::Error::Unauthorized { .. }) => true,
            Err(e) => {
                tracing::warn!(athlete, error = %e, "Strava could not be told of a disconnect");
                false
            }
        },
        Ok(None) => true,
        Err(e) if e.is_unavailable() => return Err(e.into()),
        // Tokens that do not open cannot be revoked; they are forgotten all the same.
        Err(e) => {
            tracing::warn!(athlete, error = %e, "the tokens of an athlete do not open");
            false
        }
    };
    web.app.storage.revoke_athlete(athlete).await?;
    Ok(told)
}

fn redirect(web: &Web, session: Session, to: &str) -> Result<Response> {
    let cookie = session.cookie(web)?;
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(to)).into_response())
}
