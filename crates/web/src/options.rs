//! What may be said about the web front.

use axum::http::Uri;
use metrics_exporter_prometheus::PrometheusHandle;
use runnerly::app::{Places, Usage};
use runnerly::secret::{KEY_VARIABLE, Keyring};
use std::net::SocketAddr;
use std::sync::Arc;

/// What may be said about the web front. The default serves the machine it runs on.
///
/// ```
/// let options = runnerly_web::WebOptions {
///     public_url: Some("https://runs.example.org".into()),
///     ..Default::default()
/// };
/// assert!(options.check("0.0.0.0:8080".parse().unwrap()).is_ok());
/// ```
#[derive(Clone, Default)]
pub struct WebOptions {
    /// How browsers reach it, as `https://host` without a path. Without one, only requests
    /// to a name of this machine itself are answered.
    pub public_url: Option<String>,
    /// What seals the cookies. Without keys a random one is made, and everybody is signed
    /// out when the process ends.
    pub keys: Option<Arc<Keyring>>,
    /// The recorder whose figures `/metrics` shows, beside those of the queues.
    pub metrics: Option<PrometheusHandle>,
    /// What a reader of `/metrics` must show as a bearer token. With a public URL and
    /// without a token there is no `/metrics`.
    pub metrics_token: Option<String>,
}

impl WebOptions {
    /// Whether these options are allowed for a server that listens there.
    ///
    /// ```
    /// let here = "127.0.0.1:8080".parse().unwrap();
    /// let options = runnerly_web::WebOptions { public_url: Some("ftp://x".into()), ..Default::default() };
    /// assert!(options.check(here).unwrap_err().to_string().starts_with("public url: "));
    /// let open = "0.0.0.0:8080".parse().unwrap();
    /// assert!(runnerly_web::WebOptions::default().check(open).is_err(), "others could reach it");
    /// ```
    ///
    /// # Errors
    /// [`Usage`], naming the option.
    pub fn check(&self, listen: SocketAddr) -> Result<(), Usage> {
        match &self.public_url {
            Some(url) if origin(url).is_none() => Err(Usage(
                "public url: not an address; allowed is http://host[:port] or https://host[:port], without a path"
                    .into(),
            )),
            None if !listen.ip().is_loopback() => Err(Usage(format!(
                "listen {listen}: others can reach it; say with --public-url how browsers do, or listen on 127.0.0.1"
            ))),
            _ => Ok(()),
        }
    }

    /// Takes the keys of the installation, so that browsers stay signed in when the process
    /// ends, and with every process of the same installation.
    ///
    /// # Errors
    /// [`Usage`], naming the key or its file.
    pub fn with_keys_of(self, places: &Places) -> Result<Self, Usage> {
        let keys = match std::env::var(KEY_VARIABLE) {
            Ok(text) if !text.trim().is_empty() => Keyring::parse(&text),
            _ => Keyring::load(None, &places.data_dir),
        };
        let keys = keys.map_err(|e| Usage(e.to_string()))?;
        Ok(WebOptions { keys: Some(Arc::new(keys)), ..self })
    }

    /// The public origin in the shape in which browsers send it.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.public_url.as_deref().and_then(origin)
    }
}

/// Scheme and authority of the public URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// `https://host:port`, without a default port.
    pub(crate) text: String,
    /// `host:port`, without a default port.
    pub(crate) authority: String,
    pub(crate) https: bool,
}

fn origin(url: &str) -> Option<Origin> {
    let uri: Uri = url.trim().trim_end_matches('/').parse().ok()?;
    let scheme = uri.scheme_str()?;
    let https = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let plain = uri.path() == "/" && uri.query().is_none() && !uri.authority()?.as_str().contains('@');
    let default = if https { 443 } else { 80 };
    let host = uri.host()?.to_ascii_lowercase();
    let authority = match uri.port_u16() {
        Some(port) if port != default => format!("{host}:{port}"),
        _ => host,
    };
    plain.then(|| Origin { text: format!("{scheme}://{authority}"), authority, https })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_as_browsers_send_it() {
        let seen = origin("https://Runs.Example:443/").unwrap();
        assert_eq!((seen.text.as_str(), seen.https), ("https://runs.example", true));
        assert_eq!(origin("http://10.0.0.1:8080").unwrap().authority, "10.0.0.1:8080");
        for bad in
            ["", "runs.example", "https://", "https://u:p@h", "https://h/path", "https://h?x", "file:///etc"]
        {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }
}
