//! Runnerly's web front: pages that work without JavaScript, and a JSON API.
//!
//! It is thin. It checks what comes in, enqueues jobs, and shows what is stored; no job is
//! handled here, and nothing is computed that would take long. Who may see what is in
//! `session`; what every answer must go through is in `guard`.
//!
//! | question | where |
//! |---|---|
//! | one page | `pages/`, its HTML in `templates/` |
//! | one call of the API | `api/` |
//! | one chart | `chart/` |
//! | how errors look | `fault` |
//! | where a job stands, and why it does not run | `status` |

mod api;
mod assets;
mod chart;
mod fault;
mod format;
mod guard;
mod health;
mod options;
mod pages;
mod params;
mod session;
mod status;
mod web;

pub use options::WebOptions;

use axum::Router;
use runnerly::app::App;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long open connections may go on after the word to stop.
const GRACE: Duration = Duration::from_secs(10);

/// All pages and the API, as a service to mount or to test.
///
/// ```
/// # fn example(app: runnerly::app::App) {
/// let router: axum::Router = runnerly_web::router(app, runnerly_web::WebOptions::default());
/// # let _ = router;
/// # }
/// ```
pub fn router(app: App, options: WebOptions) -> Router {
    web::build(app, options, CancellationToken::new())
}

/// Serves until `stop`, then lets open requests end; live streams end at once.
///
/// ```
/// # async fn example(app: runnerly::app::App) -> anyhow::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let stop = tokio_util::sync::CancellationToken::new();
/// runnerly_web::serve(listener, app, runnerly_web::WebOptions::default(), stop).await
/// # }
/// ```
///
/// # Errors
/// [`Usage`](runnerly::app::Usage) for options that are not allowed, such as an address that others can reach
/// without a public URL; else what the listener says.
pub async fn serve(
    listener: TcpListener,
    app: App,
    options: WebOptions,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    options.check(listener.local_addr()?)?;
    let router = web::build(app, options, stop.clone());
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        done = served => done?,
        // A client that keeps its connection busy is not waited for.
        () = late => {}
    }
    Ok(())
}
