//! What every request must pass, and what every answer must carry.

use crate::fault::Fault;
use crate::web::Shared;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// Nothing is loaded from elsewhere, nothing inline runs, nobody frames a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The longest address and the most header bytes taken.
const MAX_URI: usize = 8 * 1024;
const MAX_HEADERS: usize = 32 * 1024;

/// Adds the security headers to every answer.
pub(crate) async fn headers(State(web): State<Shared>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if web.origin.as_ref().is_some_and(|origin| origin.https) {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses addresses and headers that are too long.
pub(crate) async fn size(request: Request, next: Next) -> Response {
    let uri = request.uri();
    let length = uri.path().len() + uri.query().map_or(0, str::len);
    if length > MAX_URI {
        let detail = format!("The address is longer than {MAX_URI} bytes.");
        return Fault::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail).into_response();
    }
    let bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > MAX_HEADERS {
        let detail = format!("The headers are longer than {MAX_HEADERS} bytes.");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Fault::new(status, "headers_too_large", detail).into_response();
    }
    next.run(request).await
}

/// Refuses requests to a name that is not ours: a page elsewhere whose name was pointed at
/// this machine would otherwise read it with the visitor's browser (DNS rebinding).
pub(crate) async fn host(State(web): State<Shared>, request: Request, next: Next) -> Response {
    let probe = matches!(request.uri().path(), "/healthz" | "/readyz");
    let ours = |host: &Authority| {
        let public =
            web.origin.as_ref().is_some_and(|origin| origin.authority.eq_ignore_ascii_case(host.as_str()));
        public || is_this_machine(host.host())
    };
    if probe || authority(&request).is_some_and(|host| ours(&host)) {
        return next.run(request).await;
    }
    let detail = "This server is not the one that the address names. Open it as localhost, or start it with --public-url.";
    Fault::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", detail).into_response()
}

/// Whom the request is for.
pub(crate) fn authority(request: &Request) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next()?;
    if hosts.next().is_some() {
        return None;
    }
    host.to_str().ok()?.parse().ok()
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = bare.eq_ignore_ascii_case("localhost") || bare.to_ascii_lowercase().ends_with(".localhost");
    name || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_this_machine() {
        for ours in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "[::1]", "runs.localhost"] {
            assert!(is_this_machine(ours), "{ours}");
        }
        for other in ["evil.example", "localhost.evil.example", "10.0.0.1", "notlocalhost", "0.0.0.0", ""] {
            assert!(!is_this_machine(other), "{other}");
        }
    }
}
