//! The worker's own little server: `/healthz`, `/readyz`, `/metrics`.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::time::Duration;
use tokio::net::TcpListener;

/// Collects what the process counts, and renders it as Prometheus text.
#[derive(Clone)]
pub struct Recorder(PrometheusHandle);

impl Recorder {
    /// Installs the recorder of this process; call it once, inside a runtime, before
    /// anything is counted.
    ///
    /// # Errors
    /// There is one already.
    pub fn install() -> anyhow::Result<Recorder> {
        let handle = PrometheusBuilder::new().install_recorder()?;
        let upkeep = handle.clone();
        // Histograms grow until somebody drains them, with or without a scrape.
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(5)).await;
                upkeep.run_upkeep();
            }
        });
        Ok(Recorder(handle))
    }

    /// What has been counted so far.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// The handle, for whoever serves it beside other pages.
    pub fn handle(&self) -> PrometheusHandle {
        self.0.clone()
    }
}

/// Serves `/healthz` (the process is up), `/readyz` (its last look for work succeeded) and
/// `/metrics` until the process ends.
///
/// # Errors
/// The listener fails.
pub async fn serve_health(
    listener: TcpListener,
    recorder: Recorder,
    ready: impl Fn() -> bool + Clone + Send + Sync + 'static,
) -> std::io::Result<()> {
    let readiness = move || {
        let answer = match ready() {
            true => (StatusCode::OK, "ready\n"),
            false => (StatusCode::SERVICE_UNAVAILABLE, "not consuming\n"),
        };
        std::future::ready(answer)
    };
    let routes = Router::new()
        .route("/healthz", get(|| async { "up\n" }))
        .route("/readyz", get(readiness))
        .route("/metrics", get(move || std::future::ready(recorder.render())));
    axum::serve(listener, routes).await
}

#[cfg(test)]
mod tests {
    use super::Recorder;
    use legwork::{Client, Context, Failure, Job, Worker};
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Ping;

    impl Job for Ping {
        const NAME: &'static str = "ping";
        type Output = ();
    }

    async fn ping(_: Ping, _: Context) -> Result<(), Failure> {
        Ok(())
    }

    #[tokio::test]
    async fn attempts_are_counted_once_and_timed() {
        let recorder = Recorder::install().unwrap();
        let jobs = Client::connect("sqlite::memory:").await.unwrap();
        let worker = Worker::new(jobs.clone(), ()).handle(ping).start().await.unwrap();
        let id = jobs.enqueue(Ping).await.unwrap().id;
        jobs.wait::<Ping>(id).await.unwrap();
        worker.stop().await;
        let text = recorder.render();
        for line in [
            r#"legwork_attempts_total{name="ping",outcome="succeeded"} 1"#,
            r#"legwork_job_duration_seconds_count{name="ping"} 1"#,
            r#"legwork_jobs_leased_total{queue="default"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in:\n{text}");
        }
    }
}
