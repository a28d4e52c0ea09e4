//! A web front that enqueues and shows, a worker beside it: `cargo run -p examples --bin axum`
//! It calls itself twice and ends; with `STAY=1` it stays until Ctrl-C.
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use legwork::{Client, Context, Failure, Job, JobId, Worker, shutdown_signal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Serialize, Deserialize)]
struct Square {
    of: i64,
}

impl Job for Square {
    const NAME: &'static str = "square";
    type Output = i64;
}

async fn square(job: Square, _: Context) -> Result<i64, Failure> {
    job.of.checked_mul(job.of).ok_or_else(|| Failure::discard("too large to be squared"))
}

async fn enqueue(
    State(jobs): State<Client>,
    Json(job): Json<Square>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let receipt = jobs.enqueue(job).await.map_err(|e| (StatusCode::SERVICE_UNAVAILABLE, e.to_string()))?;
    Ok(Json(json!({ "id": receipt.id })))
}

async fn result(
    State(jobs): State<Client>,
    Path(id): Path<JobId>,
) -> Result<Json<Value>, (StatusCode, String)> {
    let squared = jobs.wait::<Square>(id).await.map_err(|e| (StatusCode::CONFLICT, e.to_string()))?;
    Ok(Json(json!({ "squared": squared })))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let jobs = Client::connect(&examples::url()).await?;
    let worker = Worker::new(jobs.clone(), ()).handle(square).start().await?;
    let routes =
        Router::new().route("/squares", post(enqueue)).route("/squares/{id}", get(result)).with_state(jobs);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let at = listener.local_addr()?;
    println!("listening on http://{at}");
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });

    let body = r#"{"of":12}"#;
    let answer = http(at, "POST /squares", body).await?;
    println!("enqueued: {answer}");
    let id: Value = serde_json::from_str(&answer)?;
    let path = format!("GET /squares/{}", id["id"].as_str().unwrap_or_default());
    println!("answered: {}", http(at, &path, "").await?);
    if std::env::var_os("STAY").is_some() {
        shutdown_signal().await;
    }
    server.abort();
    worker.stop().await;
    Ok(())
}

/// The smallest HTTP client that can call a server of one's own.
async fn http(at: std::net::SocketAddr, call: &str, body: &str) -> anyhow::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(at).await?;
    let head = format!(
        "{call} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text.split("\r\n\r\n").nth(1).unwrap_or_default().into())
}
