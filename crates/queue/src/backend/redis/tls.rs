//! TLS with rustls: the server's certificate and its host name are always checked.
//!
//! The provider is named here, so that no program needs to install one, and none that has
//! installed another is in the way.

#[cfg(not(feature = "tls"))]
pub(super) use absent::Tls;
#[cfg(feature = "tls")]
pub(super) use present::Tls;

use std::path::Path;

/// What a URL says about certificates.
#[derive(Default)]
pub(super) struct Files<'a> {
    /// Whom to trust, instead of whom this machine trusts.
    pub(super) ca: Option<&'a Path>,
    /// What this program shows of itself: certificate and key.
    pub(super) own: Option<(&'a Path, &'a Path)>,
}

#[cfg(not(feature = "tls"))]
mod absent {
    use super::Files;
    use crate::backend::redis::node::Node;
    use crate::{Error, Result};
    use tokio::net::TcpStream;

    /// Nothing is of this type.
    #[derive(Clone)]
    pub(in crate::backend::redis) enum Tls {}

    impl Tls {
        pub(in crate::backend::redis) fn new(files: &Files<'_>) -> Result<Tls> {
            let _ = (files.ca, files.own);
            Err(Error::invalid("url: TLS (rediss://) is not built into this program: feature tls of legwork"))
        }

        pub(in crate::backend::redis) async fn wrap(
            &self,
            _: &Node,
            _: &str,
            _: TcpStream,
        ) -> Result<TcpStream> {
            match *self {}
        }
    }
}

#[cfg(feature = "tls")]
mod present {
    use super::{Files, Path};
    use crate::backend::redis::errors;
    use crate::backend::redis::node::Node;
    use crate::error::Kind;
    use crate::{Error, Result};
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    use rustls::{CertificateError, ClientConfig, RootCertStore};
    use std::sync::Arc;
    use tokio::net::TcpStream;
    use tokio_rustls::{TlsConnector, client::TlsStream};

    /// How streams are wrapped.
    #[derive(Clone)]
    pub(in crate::backend::redis) struct Tls(TlsConnector);

    impl Tls {
        pub(in crate::backend::redis) fn new(files: &Files<'_>) -> Result<Tls> {
            let wrong = |e: rustls::Error| Error::invalid(format!("url: TLS: {e}"));
            let roots = roots(files.ca)?;
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(wrong)?;
            let config = config.with_root_certificates(roots);
            let config = match files.own {
                Some((cert, key)) => {
                    let key = PrivateKeyDer::from_pem_file(key)
                        .map_err(|e| Error::invalid(format!("url: key: {}: {e}", key.display())))?;
                    config.with_client_auth_cert(certificates("cert", cert)?, key).map_err(wrong)?
                }
                None => config.with_no_client_auth(),
            };
            Ok(Tls(TlsConnector::from(Arc::new(config))))
        }

        pub(in crate::backend::redis) async fn wrap(
            &self,
            node: &Node,
            host: &str,
            stream: TcpStream,
        ) -> Result<TlsStream<TcpStream>> {
            let name = ServerName::try_from(host.to_owned())
                .map_err(|_| Error::invalid(format!("url: host {host:?} cannot stand in a certificate")))?;
            self.0.connect(name, stream).await.map_err(|e| failed(node, host, e))
        }
    }

    fn roots(ca: Option<&Path>) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let found = match ca {
            Some(path) => certificates("ca", path)?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        let (taken, _) = roots.add_parsable_certificates(found);
        match (taken, ca) {
            (0, Some(path)) => {
                Err(Error::invalid(format!("url: ca: {} holds no certificate", path.display())))
            }
            (0, None) => Err(Error::invalid(
                "url: this machine trusts no certificate authority; name one with ca=FILE",
            )),
            _ => Ok(roots),
        }
    }

    fn certificates(part: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
        let wrong = |e: rustls::pki_types::pem::Error| {
            Error::invalid(format!("url: {part}: {}: {e}", path.display()))
        };
        let found = CertificateDer::pem_file_iter(path).map_err(wrong)?;
        let found = found.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        match found.is_empty() {
            true => Err(Error::invalid(format!("url: {part}: {} holds no certificate", path.display()))),
            false => Ok(found),
        }
    }

    /// What went wrong, in words that say what to do.
    fn failed(node: &Node, host: &str, error: std::io::Error) -> Error {
        use rustls::Error as Tls;
        let Some(cause) = error.get_ref().and_then(|e| e.downcast_ref::<Tls>()) else {
            return errors::told(&node.to_string(), error.into());
        };
        let what = match cause {
            Tls::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                "its certificate is signed by nobody who is trusted here; name the authority with ca=FILE"
                    .into()
            }
            Tls::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => format!("its certificate is not for {host}"),
            Tls::InvalidMessage(_) => "what answers there does not speak TLS".into(),
            other => other.to_string().replace('\n', " "),
        };
        Error::with(Kind::Refused, format!("redis at {node}: TLS: {what}"), error)
    }
}
