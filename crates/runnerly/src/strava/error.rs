//! What can go wrong with a call, told apart by what the caller should do about it.

use super::limits::{Pause, Usage};
use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::time::Duration;

/// Why a call to Strava gave no answer of use. Never holds a token, a secret or an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The application has used up a window of its rate limit. Every call before `until` is refused too, and a refused
    /// call still counts against the day: no call should be made for any athlete before then.
    #[error("rate limited by Strava until {until} ({})", if *.daily { "daily limit" } else { "15-minute limit" })]
    RateLimited {
        /// When the window ends, by Strava's clock.
        until: DateTime<Utc>,
        /// Whether it is the day's window, not that of the quarter hour.
        daily: bool,
        /// How long to wait from now, whatever the local clock says.
        wait: Duration,
    },
    /// The token is dead or was revoked: refresh it, and if that says so too, the athlete must connect again.
    #[error("Strava does not accept the token: {message}")]
    Unauthorized {
        /// What Strava said.
        message: String,
    },
    /// Strava knows the token and refuses.
    #[error("Strava refuses: {message}")]
    Forbidden {
        /// What Strava said.
        message: String,
        /// Whether it concerns the whole application (inactive, too many athletes), not this athlete or this call.
        application: bool,
    },
    /// There is no such thing, or not for this athlete.
    #[error("Strava does not know it")]
    NotFound,
    /// Strava cannot be reached, took too long, or has trouble of its own: try again later.
    #[error("Strava is unavailable: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// The answer cannot be read: not JSON, cut off, too long, or without a field that must be there.
    #[error("Strava's answer cannot be read: {reason}")]
    Malformed {
        /// What was wrong with it.
        reason: String,
    },
    /// Strava refuses the call itself: a parameter, or the application's id or secret.
    #[error("Strava refuses the call ({status}): {message}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// What Strava said.
        message: String,
    },
}

impl Error {
    /// Whether the same call may succeed later with nothing changed: unavailable, or an answer that cannot be read.
    /// Not a rate limit, which says itself when.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Malformed { .. })
    }

    pub(super) fn malformed(reason: impl Into<String>) -> Self {
        Self::Malformed { reason: reason.into() }
    }

    pub(super) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }

    /// What went wrong on the way. reqwest would tell the address, which may hold what is nobody's business.
    pub(super) fn from_transport(e: &reqwest::Error) -> Self {
        if e.is_timeout() {
            Self::unavailable("no answer in time")
        } else if e.is_connect() {
            Self::unavailable("cannot connect")
        } else if e.is_body() || e.is_decode() {
            Self::malformed("the body ends early or cannot be decompressed")
        } else if e.is_builder() {
            Self::Rejected { status: 0, message: "the request cannot be built".to_owned() }
        } else {
            Self::unavailable("the connection broke")
        }
    }

    /// What an answer other than 2xx means.
    pub(super) fn from_answer(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let fault = Fault::read(status, body);
        match status.as_u16() {
            429 => Usage::at_refusal(headers).into(),
            401 => Self::Unauthorized { message: fault.message },
            403 => Self::Forbidden { message: fault.message, application: fault.application },
            404 => Self::NotFound,
            408 | 500.. => Self::unavailable(format!("it answered {status}")),
            300..400 => {
                Self::malformed(format!("it answered {status}, a redirection, which is not followed"))
            }
            // A dead code or refresh token is told with 400, like any bad parameter.
            400 if fault.token => Self::Unauthorized { message: fault.message },
            status => Self::Rejected { status, message: fault.message },
        }
    }
}

impl From<Pause> for Error {
    fn from(Pause { until, daily, wait }: Pause) -> Self {
        Self::RateLimited { until, daily, wait }
    }
}

/// Strava's error body.
struct Fault {
    message: String,
    application: bool,
    token: bool,
}

impl Fault {
    fn read(status: StatusCode, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut message = body.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        let errors = body.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for error in errors {
            let part = |name| error.get(name).and_then(Value::as_str).unwrap_or_default();
            message +=
                &format!(" ({} {} {})", part("resource"), part("field"), part("code")).replace("  ", " ");
        }
        let about = |test: fn(&str) -> bool| {
            errors.iter().any(|error| error.get("resource").and_then(Value::as_str).is_some_and(test))
        };
        if message.is_empty() {
            message = status.to_string();
        }
        Self {
            message: clean(&message),
            application: about(|resource| resource == "Application")
                || message.contains("connected athletes"),
            token: about(|resource| resource.ends_with("Token")),
        }
    }
}

/// One line of bounded length, whatever the other side sent.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Error {
        Error::from_answer(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn recorded_faults_are_told_apart() {
        let dead = r#"{"message":"Authorization Error","errors":[{"resource":"Application","field":"","code":"invalid"}]}"#;
        assert_eq!(
            answer(401, dead).to_string(),
            "Strava does not accept the token: Authorization Error (Application invalid)"
        );
        let inactive = r#"{"message":"Forbidden","errors":[{"resource":"Application","field":"Status","code":"Inactive"}]}"#;
        let message = "Forbidden (Application Status Inactive)".to_owned();
        assert_eq!(answer(403, inactive), Error::Forbidden { message, application: true });
        let code = r#"{"message":"Bad Request","errors":[{"resource":"RequestToken","field":"code","code":"invalid"}]}"#;
        assert!(matches!(answer(400, code), Error::Unauthorized { .. }));
        let client = r#"{"message":"Bad Request","errors":[{"resource":"Application","field":"client_id","code":"invalid"}]}"#;
        assert!(matches!(answer(400, client), Error::Rejected { status: 400, .. }));
        let full = r#"{"message":"limit of connected athletes exceeded"}"#;
        assert!(matches!(answer(403, full), Error::Forbidden { application: true, .. }));
        let scope =
            r#"{"message":"Forbidden","errors":[{"resource":"Activity","field":"read","code":"missing"}]}"#;
        assert!(matches!(answer(403, scope), Error::Forbidden { application: false, .. }));
    }

    #[test]
    fn other_statuses_have_a_meaning_whatever_the_body() {
        for body in
            ["", "<html>", "[]", "null", r#"{"errors":7,"message":null}"#, r#"{"errors":[1,{"resource":2}]}"#]
        {
            assert_eq!(answer(404, body), Error::NotFound);
            assert!(matches!(answer(302, body), Error::Malformed { .. }));
            assert!(answer(503, body).is_transient() && answer(599, body).is_transient());
            assert!(matches!(answer(429, body), Error::RateLimited { daily: false, .. }));
            assert!(matches!(answer(418, body), Error::Rejected { status: 418, .. }));
        }
        let long = format!(r#"{{"message":"a\nb{}"}}"#, "x".repeat(9000));
        assert_eq!(answer(401, &long).to_string().lines().count(), 1);
        assert!(answer(401, &long).to_string().len() < 300);
    }
}
