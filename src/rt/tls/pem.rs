//! Certificates, keys and lists of those revoked, from the contents of PEM files. What is wrong is said with the file.

use super::wrong;
use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject},
};
use std::{io, path::Path, sync::Arc};

/// What signs, hashes and encrypts.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(super) fn bad(path: &Path, what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

/// The certificates in a file; one at least.
pub(super) fn certificates(path: &Path, pem: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|why| bad(path, format!("expected certificates in PEM form: {why}")))?;
    if found.is_empty() {
        return Err(bad(
            path,
            "expected certificates in PEM form (-----BEGIN CERTIFICATE-----), and there are none",
        ));
    }
    Ok(found)
}

/// The first key in a file.
pub(super) fn key(path: &Path, pem: &[u8]) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|why| {
        bad(
            path,
            format!("expected a private key in PEM form (PKCS#8, PKCS#1 or SEC1), not encrypted: {why}"),
        )
    })
}

pub(super) fn revoked(path: &Path, pem: &[u8]) -> io::Result<Vec<CertificateRevocationListDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    found.map_err(|why| bad(path, format!("expected revocation lists in PEM form: {why}")))
}

/// All certificates of several files, as roots.
pub(super) fn roots<'a>(
    files: impl IntoIterator<Item = (&'a Path, &'a [u8])>,
) -> io::Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for (path, pem) in files {
        for certificate in certificates(path, pem)? {
            roots.add(certificate).map_err(|why| bad(path, wrong::words(&why)))?;
        }
    }
    Ok(Arc::new(roots))
}
