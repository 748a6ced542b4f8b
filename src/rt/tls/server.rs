//! A server's end of the handshake.

use super::{
    CommonName, GREETING, HANDSHAKE, Protocol, Serving, origin, pem,
    secured::Stream,
    watched::Watched,
    wrong::{self, too_late},
};
use crate::{complaints::Complaints, net::TcpStream};
use rustls::{
    ServerConfig,
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::{ParsedCertificate, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{fmt, io, net::SocketAddr, path::Path, sync::Arc};
use tokio::io::AsyncWriteExt;
use tokio_rustls::{TlsAcceptor, TlsStream};

/// A server's end; clones share it.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
    or_plain: bool,
}

/// How a handshake begins (RFC 8446, 5.1: ContentType handshake); no request of HTTP does so.
const HANDSHAKE_BEGINS: u8 = 22;

struct Inner {
    serving: Serving,
    config: Watched<ServerConfig>,
    complaints: Complaints,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.serving.fmt(f)
    }
}

impl Server {
    /// Reads the files; from then on they are looked at again as connections come.
    pub async fn load(serving: Serving) -> io::Result<Self> {
        if serving.trusted.is_none() && (!serving.common_names.is_empty() || !serving.hostnames.is_empty()) {
            let why = "names of clients are of no use without a file of trusted certificates";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let mut paths = vec![serving.identity.cert.clone(), serving.identity.key.clone()];
        paths.extend(serving.trusted.clone());
        paths.extend(serving.revoked.clone());
        let wanted = serving.clone();
        let config = Watched::load(paths, move |files| configure(&wanted, files)).await?;
        let inner = Arc::new(Inner { serving, config, complaints: Complaints::default() });
        Ok(Self { inner, or_plain: false })
    }

    /// The same, for where plain connections are let in, too.
    pub fn or_plain(self) -> Self {
        Self { or_plain: true, ..self }
    }

    /// Whether a connection is a plain one, which is let in. Of one that says nothing the handshake finds out.
    pub(crate) async fn lets_in_plain(&self, stream: &TcpStream) -> bool {
        if !self.or_plain {
            return false;
        }
        let first = crate::timeout(HANDSHAKE, stream.first_byte()).await;
        matches!(first, Ok(Ok(Some(byte))) if byte != HANDSHAKE_BEGINS)
    }

    /// Secures a connection; one that fails is told of, and closed.
    pub(crate) async fn accept(&self, stream: TcpStream, from: SocketAddr) -> Option<Stream> {
        let accepted = crate::timeout(HANDSHAKE, self.handshake(stream, from)).await;
        match accepted.unwrap_or_else(|_| Err(too_late())) {
            Ok(stream) => Some(stream),
            // a probe that only looked whether somebody listens
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => {
                let text = format!("refused a connection from {}: {}", from.ip(), wrong::reason(&error));
                self.inner.complaints.say(text);
                None
            }
        }
    }

    async fn handshake(&self, stream: TcpStream, from: SocketAddr) -> io::Result<Stream> {
        let config = self.inner.config.current().await;
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        self.let_in(shown, from).await?;
        let common_name = shown.and_then(common_name).map(CommonName);
        let mut stream = Stream { inner: TlsStream::Server(stream), common_name };
        if self.inner.serving.protocol == Protocol::Peers {
            stream.write_u8(GREETING).await?;
            stream.flush().await?;
        }
        Ok(stream)
    }

    /// Refuses whoever bears another name than those that are let in, or comes from elsewhere.
    async fn let_in(&self, shown: Option<&CertificateDer<'_>>, from: SocketAddr) -> io::Result<()> {
        let serving = &self.inner.serving;
        let refuse = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        let name = shown.and_then(common_name).unwrap_or_default();
        if !serving.common_names.is_empty() && !serving.common_names.contains(&name) {
            let expected = serving.common_names.join(", ");
            return refuse(format!("the common name in its certificate is {name:?}, expected {expected}"));
        }
        let is_for = |host: &String| shown.is_some_and(|shown| is_for(shown, host));
        if !serving.hostnames.is_empty() && !serving.hostnames.iter().any(is_for) {
            return refuse(format!("its certificate is not for {}", serving.hostnames.join(" or ")));
        }
        match shown {
            Some(shown) if serving.from_its_address => origin::check(shown, from.ip()).await.or_else(refuse),
            _ => Ok(()),
        }
    }
}

fn configure(serving: &Serving, files: &[Vec<u8>]) -> io::Result<ServerConfig> {
    let (cert, key) = (&serving.identity.cert, &serving.identity.key);
    let bad = |why: rustls::Error| pem::bad(cert, wrong::words(&why));
    let builder = ServerConfig::builder_with_provider(serving.offer.provider());
    let builder = builder.with_protocol_versions(&serving.offer.versions()).map_err(bad)?;
    let builder = match &serving.trusted {
        Some(trusted) => builder.with_client_cert_verifier(verifier(serving, trusted, &files[2..])?),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(pem::certificates(cert, &files[0])?, pem::key(key, &files[1])?)
        .map_err(|why| pem::bad(key, wrong::words(&why)))?;
    config.alpn_protocols = serving.protocol.served();
    Ok(config)
}

fn verifier(serving: &Serving, trusted: &Path, files: &[Vec<u8>]) -> io::Result<Arc<dyn ClientCertVerifier>> {
    let roots = pem::roots([(trusted, files[0].as_slice())])?;
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, pem::provider());
    if let Some(path) = &serving.revoked {
        builder = builder.with_crls(pem::revoked(path, &files[1])?).allow_unknown_revocation_status();
    }
    builder.build().map_err(|why| pem::bad(trusted, why))
}

/// The common name of a certificate's subject.
fn common_name(shown: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = x509_parser::parse_x509_certificate(shown).ok()?;
    let name = parsed.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_string)
}

fn is_for(shown: &CertificateDer<'_>, host: &str) -> bool {
    let (Ok(parsed), Ok(name)) = (ParsedCertificate::try_from(shown), ServerName::try_from(host)) else {
        return false;
    };
    verify_server_name(&parsed, &name).is_ok()
}
