//! A client's end of the handshake.

use super::{
    Calling, HANDSHAKE, Protocol, Trust, pem,
    secured::Stream,
    watched::Watched,
    wrong::{self, too_late},
};
use crate::{
    complaints::Complaints,
    net::{Endpoint, TcpStream},
};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{
    fmt, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::io::AsyncReadExt;
use tokio_rustls::{TlsConnector, TlsStream};

/// A client's end; clones share it.
#[derive(Clone)]
pub struct Client {
    calling: Calling,
    config: Arc<Watched<ClientConfig>>,
    complaints: Arc<Complaints>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.calling.fmt(f)
    }
}

impl Client {
    /// Reads the files; from then on they are looked at again as connections are made.
    pub async fn load(calling: Calling) -> io::Result<Self> {
        let mut paths = match &calling.trust {
            Trust::Roots(paths) => paths.clone(),
            Trust::Anyone => vec![],
        };
        paths.extend(calling.identity.iter().flat_map(|shown| [shown.cert.clone(), shown.key.clone()]));
        let (wanted, of) = (calling.clone(), paths.clone());
        let config = Watched::load(paths, move |files| configure(&wanted, &of, files)).await?;
        Ok(Self { calling, config: Arc::new(config), complaints: Arc::default() })
    }

    /// Secures a connection to the server at this address or of this name: its certificate must be for that.
    pub(crate) async fn connect(&self, stream: TcpStream, to: &Endpoint) -> io::Result<Stream> {
        let secured = crate::timeout(HANDSHAKE, self.handshake(stream, to)).await;
        let secured = secured.unwrap_or_else(|_| Err(too_late())).map_err(wrong::in_words);
        if let (Protocol::Peers, Err(error)) = (self.calling.protocol, &secured) {
            self.complaints.say(format!("no connection to the member at {to}: {error}"));
        }
        secured
    }

    async fn handshake(&self, stream: TcpStream, to: &Endpoint) -> io::Result<Stream> {
        let config = self.config.current().await;
        let stream = TlsConnector::from(config).connect(server_name(to)?, stream).await?;
        let mut stream = Stream { inner: TlsStream::Client(stream), common_name: None };
        if self.calling.protocol == Protocol::Peers {
            stream.read_u8().await.map_err(not_let_in)?;
        }
        Ok(stream)
    }
}

fn server_name(to: &Endpoint) -> io::Result<ServerName<'static>> {
    match to {
        Endpoint::V4(address) => Ok(ServerName::IpAddress(IpAddr::from(*address.ip()).into())),
        Endpoint::V6(address) => Ok(ServerName::IpAddress(IpAddr::from(*address.ip()).into())),
        Endpoint::Named(name, _) => {
            let none =
                |_| io::Error::new(io::ErrorKind::InvalidInput, format!("no certificate is for {name}"));
            ServerName::try_from(name.without_root().to_string()).map_err(none)
        }
    }
}

/// A server that shuts the door has told its own log why.
fn not_let_in(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(
            io::ErrorKind::PermissionDenied,
            "it does not let this member in: its own log says why",
        ),
        _ => error,
    }
}

fn configure(calling: &Calling, paths: &[PathBuf], files: &[Vec<u8>]) -> io::Result<ClientConfig> {
    let none = |why: rustls::Error| io::Error::other(wrong::words(&why));
    let builder = ClientConfig::builder_with_provider(calling.offer.provider());
    let builder = builder.with_protocol_versions(&calling.offer.versions()).map_err(none)?;
    let mut read = paths.iter().map(PathBuf::as_path).zip(files.iter().map(Vec::as_slice));
    let verifier: Arc<dyn ServerCertVerifier> = match &calling.trust {
        Trust::Anyone => Arc::new(Anyone(pem::provider())),
        Trust::Roots(of) => {
            let roots = pem::roots(read.by_ref().take(of.len()))?;
            let built = WebPkiServerVerifier::builder_with_provider(roots, pem::provider()).build();
            built.map_err(|why| pem::bad(of.first().map_or(Path::new(""), PathBuf::as_path), why))?
        }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match (read.next(), read.next()) {
        (Some((cert, chain)), Some((path, key))) => builder
            .with_client_auth_cert(pem::certificates(cert, chain)?, pem::key(path, key)?)
            .map_err(|why| pem::bad(path, wrong::words(&why)))?,
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = calling.protocol.called();
    Ok(config)
}

/// Believes every server, as long as it has the key of what it shows.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
