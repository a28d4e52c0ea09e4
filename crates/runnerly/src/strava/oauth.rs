//! Connecting an athlete, keeping the connection fresh, ending it.

use super::api::Athlete;
use super::settings::join;
use super::{Error, Strava};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// What Runnerly asks an athlete for: the runs, the private ones too, and the heart-rate zones. The athlete may grant
/// less; what was granted comes back with the code.
pub const SCOPES: &str = "read,activity:read,activity:read_all,profile:read_all";

/// What lets us act for an athlete.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Goes with every data call; lives six hours.
    pub access: SecretString,
    /// Buys the next pair. Dead as soon as Strava has handed out another one.
    pub refresh: SecretString,
    /// When `access` dies.
    pub expires_at: DateTime<Utc>,
}

impl Tokens {
    /// Whether the access token lives for at least `margin` more.
    pub fn is_fresh(&self, margin: TimeDelta) -> bool {
        self.expires_at - Utc::now() >= margin
    }
}

/// An athlete who has just connected.
#[derive(Debug, Clone)]
pub struct Connected {
    /// The first tokens.
    pub tokens: Tokens,
    /// Who it is.
    pub athlete: Athlete,
}

impl Strava {
    /// The page where an athlete allows us to read the runs. `redirect` is where the browser comes back to, with `code`,
    /// `scope` and `state`, or with `error`; `state` must be unguessable and checked there.
    ///
    /// ```
    /// use runnerly::strava::{SCOPES, Settings, Strava};
    /// let strava = Strava::new(Settings::new("12345", "hush".to_owned())).unwrap();
    /// let url = strava.authorize_url("http://localhost:3000/back", SCOPES, "random");
    /// assert!(url.starts_with("https://www.strava.com/oauth/authorize?client_id=12345&redirect_uri=http%3A%2F%2Flocal"));
    /// assert!(url.ends_with("&state=random") && !url.contains("hush"));
    /// ```
    pub fn authorize_url(&self, redirect: &str, scopes: &str, state: &str) -> String {
        let mut url = join(&self.settings.oauth_base, "/oauth/authorize");
        url.query_pairs_mut()
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("response_type", "code")
            .append_pair("approval_prompt", "auto")
            .append_pair("scope", scopes)
            .append_pair("state", state);
        url.into()
    }

    /// Buys the first tokens with the code that the browser brought back. A code works once.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for a code that is wrong or was used; else as any call.
    pub async fn exchange(&self, code: &str) -> Result<Connected, Error> {
        let json = self.token(&[("grant_type", "authorization_code"), ("code", code)]).await?;
        let athlete = json.get("athlete").ok_or_else(|| Error::malformed("athlete: missing"))?;
        Ok(Connected { tokens: tokens(&json, Utc::now())?, athlete: Athlete::read(athlete)? })
    }

    /// Buys the next tokens. Store them before they are used, and let nobody else refresh meanwhile: the old refresh
    /// token may be dead already. Strava may also answer with the same tokens, while they live for another hour.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] for a refresh token that is dead; else as any call.
    pub async fn refresh(&self, refresh: &SecretString) -> Result<Tokens, Error> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose_secret())];
        tokens(&self.token(&form).await?, Utc::now())
    }

    /// Ends the connection that `token` belongs to: all tokens of this athlete are dead afterwards.
    ///
    /// # Errors
    /// As any call; [`Error::Unauthorized`] if Strava no longer knows the token.
    pub async fn revoke(&self, token: &SecretString) -> Result<(), Error> {
        let secret = self.settings.client_secret.expose_secret();
        let request = self.form("/oauth/revoke", &[("token", token.expose_secret())]);
        // It answers 200, with a body or without.
        self.send_for_bytes(request.basic_auth(&self.settings.client_id, Some(secret))).await.map(drop)
    }

    async fn token(&self, grant: &[(&str, &str)]) -> Result<Value, Error> {
        let secret = self.settings.client_secret.expose_secret();
        let mut form = vec![("client_id", self.settings.client_id.as_str()), ("client_secret", secret)];
        form.extend(grant);
        Ok(self.send(self.form("/oauth/token", &form)).await?.json)
    }
}

pub(super) fn tokens(json: &Value, now: DateTime<Utc>) -> Result<Tokens, Error> {
    let text = |name: &str| match json.get(name).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(SecretString::from(text)),
        _ => Err(Error::malformed(format!("{name}: expected a string that is not empty"))),
    };
    let seconds = |name: &str| json.get(name).and_then(Value::as_f64);
    let at = |seconds: f64| DateTime::from_timestamp(seconds as i64, 0);
    let expires_at = match (seconds("expires_at"), seconds("expires_in")) {
        (Some(instant), _) => at(instant),
        (None, Some(rest)) => at(now.timestamp() as f64 + rest),
        (None, None) => None,
    };
    Ok(Tokens {
        access: text("access_token")?,
        refresh: text("refresh_token")?,
        expires_at: expires_at.ok_or_else(|| Error::malformed("expires_at: expected seconds since 1970"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tokens_are_read_and_never_shown() {
        let json = json!({"access_token": "aaaa", "refresh_token": "rrrr", "expires_at": 1542940199.0});
        let read = tokens(&json, Utc::now()).unwrap();
        assert_eq!(read.access.expose_secret(), "aaaa");
        assert_eq!(read.expires_at.timestamp(), 1_542_940_199);
        assert!(!read.is_fresh(TimeDelta::zero()));
        let shown = format!("{read:?}");
        assert!(!shown.contains("aaaa") && !shown.contains("rrrr"), "{shown}");
        let json = json!({"access_token": "aaaa", "refresh_token": "rrrr", "expires_in": 21600});
        assert!(tokens(&json, Utc::now()).unwrap().is_fresh(TimeDelta::hours(5)));
    }

    #[test]
    fn an_answer_without_a_token_is_malformed() {
        let whole = json!({"access_token": "a", "refresh_token": "r", "expires_at": 1});
        for (field, value) in
            [("access_token", json!("")), ("refresh_token", json!(null)), ("expires_at", json!(1e300))]
        {
            let mut json = whole.clone();
            json[field] = value;
            let error = tokens(&json, Utc::now()).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("Strava's answer cannot be read: {field}: expected")),
                "{error}"
            );
        }
        assert!(tokens(&json!([]), Utc::now()).is_err());
    }
}
