//! One call: send it, read the answer with a cap on its length, and say what it means.

use super::error::clean;
use super::limits::{Usage, server_time};
use super::settings::join;
use super::{Error, Settings};
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A client of Strava's API. Clones share their connections and what they know of the rate limit.
#[derive(Debug, Clone)]
pub struct Strava {
    pub(super) settings: Arc<Settings>,
    http: reqwest::Client,
    usage: Arc<Mutex<Option<Usage>>>,
}

/// An answer that was understood.
pub(super) struct Answer {
    pub(super) json: Value,
    /// When it was made, by Strava's clock.
    pub(super) at: DateTime<Utc>,
}

impl Strava {
    /// A client with these settings. Opens no connection yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`], when this machine's TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        // reqwest panics without a provider. A binary chooses its own before it comes here.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // It fails only if another thread was first, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("runnerly/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
            .timeout(settings.timeout)
            .build()
            .map_err(|_| Error::unavailable("TLS cannot be set up on this machine"))?;
        Ok(Self { settings: Arc::new(settings), http, usage: Arc::default() })
    }

    /// How much of the rate limit was used when Strava last told; `None` before the first answer.
    pub fn usage(&self) -> Option<Usage> {
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A data call on behalf of the athlete who owns `token`.
    pub(super) async fn get(
        &self,
        token: &SecretString,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Answer, Error> {
        let url = join(&self.settings.api_base, path);
        let request = self.http.request(Method::GET, url).query(query).bearer_auth(token.expose_secret());
        self.send(request).await
    }

    /// An OAuth call with a form.
    pub(super) fn form(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.http.post(join(&self.settings.oauth_base, path)).form(form)
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Answer, Error> {
        let (headers, body) = self.send_for_bytes(request).await?;
        let json = serde_json::from_slice(&body).map_err(|e| {
            let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("no type");
            let problem = if e.is_eof() { "it ends early" } else { "it is not JSON" };
            Error::malformed(format!("{problem} ({})", clean(kind)))
        })?;
        Ok(Answer { json, at: server_time(&headers).unwrap_or_else(Utc::now) })
    }

    pub(super) async fn send_for_bytes(
        &self,
        request: RequestBuilder,
    ) -> Result<(HeaderMap, Vec<u8>), Error> {
        let response = request.send().await.map_err(|e| Error::from_transport(&e))?;
        if let Some(usage) = Usage::read(response.headers()) {
            self.note(usage);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_body(response, self.settings.max_body).await;
        if !status.is_success() {
            // The status says enough, also when the body of a refusal cannot be read.
            return Err(Error::from_answer(status, &headers, &body.unwrap_or_default()));
        }
        Ok((headers, body?))
    }

    fn note(&self, usage: Usage) {
        let mut last = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| usage.is_newer_than(&last)) {
            *last = Some(usage);
        }
    }
}

async fn read_body(mut response: Response, max: usize) -> Result<Vec<u8>, Error> {
    let too_long = || Error::malformed(format!("it is longer than {max} bytes"));
    if response.content_length().is_some_and(|length| length > max as u64) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Error::from_transport(&e))? {
        if body.len() + chunk.len() > max {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
