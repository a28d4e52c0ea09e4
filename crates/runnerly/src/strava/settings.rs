//! Where Strava is, and who we are to it.

use secrecy::SecretString;
use std::time::Duration;
use url::Url;

/// Where Strava is, and who we are to it.
///
/// ```
/// use runnerly::strava::Settings;
/// let settings = Settings::new("12345", "hush".to_owned());
/// assert_eq!(settings.api_base.as_str(), "https://www.strava.com/api/v3");
/// assert!(!format!("{settings:?}").contains("hush"));
/// let error = settings.with_bases("ftp://x", "https://www.strava.com").unwrap_err();
/// assert_eq!(error.to_string(), "strava api base: not an address; allowed is http://host/path or https://host/path");
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    /// The base of data calls; from January 2027 also `https://api-v3.strava.com`, without a path.
    pub api_base: Url,
    /// The base of OAuth calls, without `/oauth`.
    pub oauth_base: Url,
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: SecretString,
    /// How long one call may take in all.
    pub timeout: Duration,
    /// The longest answer read, in bytes after decompression.
    pub max_body: usize,
}

/// A base address that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("strava {which} base: not an address; allowed is http://host/path or https://host/path")]
pub struct BadBase {
    which: &'static str,
}

impl Settings {
    /// Settings for the real Strava.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<SecretString>) -> Self {
        let host = |path| {
            let mut url =
                Url::parse("https://www.strava.com").unwrap_or_else(|_| unreachable!("a constant address"));
            url.set_path(path);
            url
        };
        Self {
            api_base: host("/api/v3"),
            oauth_base: host(""),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            timeout: Duration::from_secs(30),
            max_body: 32 << 20,
        }
    }

    /// The same with other addresses, such as a simulator's.
    ///
    /// # Errors
    /// Names the base that is not an `http` or `https` address.
    pub fn with_bases(mut self, api: &str, oauth: &str) -> Result<Self, BadBase> {
        self.api_base = base("api", api)?;
        self.oauth_base = base("oauth", oauth)?;
        Ok(self)
    }
}

fn base(which: &'static str, text: &str) -> Result<Url, BadBase> {
    let url = Url::parse(text.trim().trim_end_matches('/')).map_err(|_| BadBase { which })?;
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let http = matches!(url.scheme(), "http" | "https") && url.has_host();
    if http && plain { Ok(url) } else { Err(BadBase { which }) }
}

/// `base` with `path` behind it.
pub(super) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_may_have_a_path_or_none() {
        let settings = Settings::new("1", "s".to_owned());
        assert_eq!(join(&settings.api_base, "/athlete").as_str(), "https://www.strava.com/api/v3/athlete");
        assert_eq!(join(&settings.oauth_base, "/oauth/token").as_str(), "https://www.strava.com/oauth/token");
        let settings = settings.with_bases("https://api-v3.strava.com/", "http://127.0.0.1:8090").unwrap();
        assert_eq!(join(&settings.api_base, "/athlete").as_str(), "https://api-v3.strava.com/athlete");
        assert_eq!(join(&settings.oauth_base, "/oauth/token").as_str(), "http://127.0.0.1:8090/oauth/token");
    }

    #[test]
    fn other_addresses_are_refused() {
        for bad in
            ["", "strava", "file:///etc", "https://", "https://u:p@host", "https://host?x=1", "mailto:a@b"]
        {
            assert_eq!(base("oauth", bad), Err(BadBase { which: "oauth" }), "{bad}");
        }
    }
}
