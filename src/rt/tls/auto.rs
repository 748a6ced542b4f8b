//! A certificate signed by itself, for who has none (etcd's --auto-tls). It is its own root: whoever is given the file
//! `cert.pem` can tell that it speaks with whom it means to.

use super::{Identity, pem};
use base::Note;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

/// The certificate in a folder, for these addresses and names; a new one, valid for so long, if there is none or it has expired.
pub async fn signed_by_itself(folder: &Path, hosts: &[String], valid: Duration) -> io::Result<Identity> {
    let identity = Identity { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    if crate::fs::exists(&identity.cert).await? && crate::fs::exists(&identity.key).await? {
        let pem = crate::fs::read(&identity.cert).await?;
        let certificates = pem::certificates(&identity.cert, &pem)?;
        if certificates.first().is_some_and(still_valid) {
            return Ok(identity);
        }
        say(format!("{}: has expired, and is made anew", identity.cert.display()));
    }
    crate::fs::create_dir_all(folder).await?;
    let (cert, key) = make(hosts, valid).map_err(io::Error::other)?;
    write(&identity.key, &key)?;
    write(&identity.cert, &cert)?;
    say(format!(
        "{}: a certificate signed by itself was made; give it to clients as their CA",
        identity.cert.display()
    ));
    Ok(identity)
}

fn say(text: String) {
    crate::note(Note::Said { text });
}

fn still_valid(certificate: &CertificateDer<'_>) -> bool {
    let now = (crate::wall().0 / 1_000_000_000) as i64;
    let parsed = x509_parser::parse_x509_certificate(certificate);
    parsed.is_ok_and(|(_, parsed)| now < parsed.validity().not_after.timestamp())
}

/// The certificate and its key, in PEM form.
fn make(hosts: &[String], valid: Duration) -> Result<(String, String), rcgen::Error> {
    // addresses among them are told from names
    let mut params = CertificateParams::new([&["localhost".to_string()], hosts].concat())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "wavetank");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let now = std::time::UNIX_EPOCH + Duration::from_nanos(crate::wall().0);
    params.not_before = now.into();
    params.not_after = (now + valid).into();
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), key.serialize_pem()))
}

/// Writes a file that nobody else may read; durable when it returns.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
