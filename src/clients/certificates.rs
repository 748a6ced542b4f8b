//! Certificates for tests: authorities, and what they sign.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Who signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// What is to be signed.
#[derive(Clone, Copy, Default)]
pub struct Wanted {
    pub common_name: &'static str,
    /// The address it is for, and whether for an address at all.
    pub address: Option<&'static str>,
    /// The name of a machine that it is for, besides.
    pub machine: Option<&'static str>,
    pub valid: Valid,
    pub usage: Usage,
    /// By which it can be revoked.
    pub serial: u64,
}

/// What it is for (RFC 5280, extended key usage).
#[derive(Clone, Copy, Default)]
pub enum Usage {
    #[default]
    Both,
    Server,
    Client,
}

impl Usage {
    fn purposes(self) -> Vec<ExtendedKeyUsagePurpose> {
        match self {
            Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        }
    }
}

/// For how long.
#[derive(Clone, Copy, Default)]
pub enum Valid {
    #[default]
    ForLong,
    /// From now on.
    For(Duration),
    UntilLongAgo,
}

/// The files of a certificate and its key.
pub struct Files {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Files {
    pub fn at(folder: &Path, name: &str) -> Self {
        Self { cert: folder.join(format!("{name}.crt")), key: folder.join(format!("{name}.key")) }
    }
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Writes its own certificate.
    pub fn write(&self, path: &Path) -> PathBuf {
        std::fs::write(path, &self.pem).expect("a file");
        path.to_path_buf()
    }

    /// Writes a list that revokes the certificate of this number.
    pub fn revoke(&self, path: &Path, serial: u64) {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("a list");
        std::fs::write(path, list.pem().expect("a list")).expect("a file");
    }

    /// Writes its own certificate and that of another, as they are trusted both.
    pub fn write_both(&self, other: &Self, path: &Path) {
        std::fs::write(path, format!("{}{}", self.pem, other.pem)).expect("a file");
    }

    /// Signs a certificate, and writes it and its key as `NAME.crt` and `NAME.key`.
    pub fn sign(&self, folder: &Path, name: &str, wanted: Wanted) -> Files {
        let mut params = CertificateParams::new(vec![]).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, wanted.common_name);
        let address = wanted.address.map(|address| address.parse().expect("an address"));
        let machine = wanted.machine.map(|name| name.try_into().expect("a name"));
        let machine = machine.map(SanType::DnsName);
        params.subject_alt_names = address.map(SanType::IpAddress).into_iter().chain(machine).collect();
        params.serial_number = Some(SerialNumber::from(wanted.serial.max(1)));
        params.extended_key_usages = wanted.usage.purposes();
        match wanted.valid {
            Valid::ForLong => {}
            Valid::For(time) => {
                params.not_after =
                    (SystemTime::UNIX_EPOCH + rt::wall().since(rt::Wall::from_secs(0)) + time).into()
            }
            Valid::UntilLongAgo => {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            }
        }
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let files = Files::at(folder, name);
        std::fs::write(&files.key, key.serialize_pem()).expect("a file");
        std::fs::write(&files.cert, cert.pem()).expect("a file");
        files
    }
}
