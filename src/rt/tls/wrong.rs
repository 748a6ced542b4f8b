//! Why a handshake failed, in words for the person who has to mend it.

use crate::Wall;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible, pki_types::UnixTime};
use std::io;

pub(super) fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no handshake in time")
}

/// What is wrong, from what the handshake gave.
pub(super) fn reason(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(error) => words(error),
        None => error.to_string(),
    }
}

/// The same error, with the reason in words.
pub(super) fn in_words(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), reason(&error))
}

pub(super) fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(alert) => format!("the other side ended it: {}", refused(*alert)),
        Error::NoCertificatesPresented => "it showed no certificate, and one is asked for".into(),
        Error::InvalidMessage(_) => "what came was no TLS: is one side set to plain HTTP?".into(),
        Error::InconsistentKeys(_) => "the key is not that of the certificate".into(),
        Error::PeerIncompatible(why) => incompatible(why),
        other => other.to_string(),
    }
}

fn incompatible(why: &PeerIncompatible) -> String {
    match why {
        PeerIncompatible::NoCipherSuitesInCommon => {
            "no cipher suite is spoken by both sides that goes with the certificate".into()
        }
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => "no version of TLS is spoken by both sides".into(),
        other => Error::PeerIncompatible(other.clone()).to_string(),
    }
}

fn certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate has expired: it was valid until {}", date(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("its certificate is not valid yet: it will be from {}", date(*not_before))
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "its certificate is not for {}, but for {}",
            expected.to_str(),
            if presented.is_empty() {
                "no name at all".into()
            } else {
                presented.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")
            }
        ),
        CertificateError::UnknownIssuer => {
            "its certificate is not trusted: it was signed by nobody in the file of trusted certificates"
                .into()
        }
        CertificateError::Revoked => "its certificate was revoked".into(),
        CertificateError::InvalidPurposeContext { required, .. } => {
            format!(
                "its certificate may not be used for this: {required} is not among its extended key usages"
            )
        }
        other => format!("its certificate is wrong: {other}"),
    }
}

/// A name without the kind of name it is.
fn plain(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn date(time: UnixTime) -> String {
    Wall(time.as_secs() * 1_000_000_000).rfc3339()
}

fn refused(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => "it asks for a certificate, and none was shown".into(),
        AlertDescription::CertificateExpired => "it says that the certificate shown has expired".into(),
        AlertDescription::UnknownCA => "it does not trust the certificate shown".into(),
        AlertDescription::BadCertificate | AlertDescription::UnsupportedCertificate => {
            "it does not take the certificate shown".into()
        }
        AlertDescription::CertificateRevoked => "it says that the certificate shown was revoked".into(),
        AlertDescription::NoApplicationProtocol => {
            "it speaks another protocol: peer and client ports are different ones".into()
        }
        AlertDescription::ProtocolVersion => "no version of TLS is spoken by both sides".into(),
        AlertDescription::HandshakeFailure => {
            "it found nothing that both sides speak: are the cipher suites different ones?".into()
        }
        other => format!("{other:?}"),
    }
}
