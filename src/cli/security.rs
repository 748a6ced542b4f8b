//! With what a member's connections are secured, by etcd's own flags.

use super::Error;
use clap::Args;
use member::{ListenUrl, Tls, Url};
use rt::net::Endpoint;
use rt::tls::{self, Calling, Identity, Offer, Protocol, Serving, Suite, Trust, Version, signed_by_itself};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

/// Names and meanings are etcd's. Files are PEM, and are read again when they change.
#[derive(Args)]
pub struct Security {
    /// The certificate shown to clients.
    #[arg(long, value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The certificate shown to the client port of another member. [default: the one shown to clients]
    #[arg(long, value_name = "FILE")]
    client_cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE")]
    client_key_file: Option<PathBuf>,
    /// Clients must show a certificate signed by one of these.
    #[arg(long, value_name = "FILE")]
    trusted_ca_file: Option<PathBuf>,
    /// Clients must show a certificate; its common name is a user.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    client_cert_auth: bool,
    /// Certificates of clients that count no more: revocation lists.
    #[arg(long, value_name = "FILE")]
    client_crl_file: Option<PathBuf>,
    /// Clients' certificates must be for one of these hosts.
    #[arg(long, value_delimiter = ',', value_name = "HOST,...")]
    client_cert_allowed_hostname: Vec<String>,
    /// Makes a certificate for clients, signed by itself.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    auto_tls: bool,
    /// The certificate shown to other members.
    #[arg(long, value_name = "FILE")]
    peer_cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE")]
    peer_key_file: Option<PathBuf>,
    /// The certificate shown to other members where this one calls them. [default: the same]
    #[arg(long, value_name = "FILE")]
    peer_client_cert_file: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE")]
    peer_client_key_file: Option<PathBuf>,
    /// Other members must show a certificate signed by one of these.
    #[arg(long, value_name = "FILE")]
    peer_trusted_ca_file: Option<PathBuf>,
    /// Other members must show a certificate.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    peer_client_cert_auth: bool,
    /// Certificates of members that count no more: revocation lists.
    #[arg(long, value_name = "FILE")]
    peer_crl_file: Option<PathBuf>,
    /// Other members' certificates must bear one of these common names.
    #[arg(long, value_delimiter = ',', value_name = "NAME,...")]
    peer_cert_allowed_cn: Vec<String>,
    /// Other members' certificates must be for one of these hosts.
    #[arg(long, value_delimiter = ',', value_name = "HOST,...")]
    peer_cert_allowed_hostname: Vec<String>,
    /// Other members' certificates need not be for the address that they come from.
    #[arg(long, alias = "experimental-peer-skip-client-san-verification", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    peer_skip_client_san_verification: bool,
    /// Makes a certificate for other members, signed by itself. Nobody can tell then whose the other end is.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    peer_auto_tls: bool,
    /// Years for which a certificate that is made is valid.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "YEARS")]
    self_signed_cert_validity: u32,
    /// Cipher suites of TLS1.2 that are spoken; those of TLS1.3 all are. [default: all]
    #[arg(long, value_delimiter = ',', value_name = "SUITE,...")]
    cipher_suites: Vec<Suite>,
    /// The oldest version of TLS that is spoken: TLS1.2 or TLS1.3.
    #[arg(long, default_value = "TLS1.2", value_name = "VERSION")]
    tls_min_version: Version,
    /// The newest one.
    #[arg(long, default_value = "TLS1.3", value_name = "VERSION")]
    tls_max_version: Version,
}

/// What a certificate for these URLs is for: their addresses and names, and this machine.
fn hosts(urls: &[Url]) -> Vec<String> {
    let mut hosts = BTreeSet::from(["127.0.0.1".to_string()]);
    hosts.extend(urls.iter().filter_map(|url| {
        match &url.addr {
            Endpoint::Named(name, _) => Some(name.without_root().to_string()),
            endpoint => endpoint
                .address()
                .map(|addr| addr.ip())
                .filter(|ip| !ip.is_unspecified())
                .map(|ip| ip.to_string()),
        }
    }));
    hosts.into_iter().collect()
}

/// Flags of one kind: those about clients, or those about peers.
struct Files<'a> {
    prefix: &'static str,
    cert: &'a Option<PathBuf>,
    key: &'a Option<PathBuf>,
    /// Of a client: those it is shown as where this member calls.
    called: (&'a Option<PathBuf>, &'a Option<PathBuf>),
    trusted: &'a Option<PathBuf>,
    asked: bool,
    auto: bool,
}

/// A certificate and its key, if they were named: both, or neither.
fn pair(prefix: &str, files: (&Option<PathBuf>, &Option<PathBuf>)) -> Result<Option<Identity>, Error> {
    match files {
        (Some(cert), Some(key)) => Ok(Some(Identity { cert: cert.clone(), key: key.clone() })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(format!("--{prefix}cert-file: expected --{prefix}key-file as well").into()),
        (None, Some(_)) => Err(format!("--{prefix}key-file: expected --{prefix}cert-file as well").into()),
    }
}

impl Files<'_> {
    /// What was said about the certificate; nothing if none was named.
    fn identity(&self) -> Result<Option<Identity>, Error> {
        let prefix = self.prefix;
        if self.asked && self.trusted.is_none() {
            return Err(
                format!("--{prefix}client-cert-auth: expected --{prefix}trusted-ca-file as well").into()
            );
        }
        pair(prefix, (self.cert, self.key))
    }

    /// What is shown where this member calls: what was named for that, else what it shows as a server.
    fn shown_by_a_client(&self, as_server: &Identity) -> Result<Identity, Error> {
        let named = pair(&format!("{}client-", self.prefix), self.called)?;
        Ok(named.unwrap_or_else(|| as_server.clone()))
    }

    /// The certificate to show; one that was made, if that was asked for, and kept in this folder.
    async fn shown(
        &self,
        secured: bool,
        folder: &Path,
        hosts: &[String],
        valid: Duration,
    ) -> Result<Option<Identity>, Error> {
        match self.identity()? {
            _ if !secured => Ok(None),
            Some(identity) => Ok(Some(identity)),
            None if self.auto => Ok(Some(signed_by_itself(folder, hosts, valid).await?)),
            None => {
                let prefix = self.prefix;
                let expected =
                    format!("expected --{prefix}cert-file and --{prefix}key-file, or --{prefix}auto-tls");
                Err(format!("an https URL needs a certificate: {expected}").into())
            }
        }
    }
}

impl Security {
    fn clients(&self) -> Files<'_> {
        Files {
            prefix: "",
            cert: &self.cert_file,
            key: &self.key_file,
            called: (&self.client_cert_file, &self.client_key_file),
            trusted: &self.trusted_ca_file,
            asked: self.client_cert_auth,
            auto: self.auto_tls,
        }
    }

    fn peers(&self) -> Files<'_> {
        Files {
            prefix: "peer-",
            cert: &self.peer_cert_file,
            key: &self.peer_key_file,
            called: (&self.peer_client_cert_file, &self.peer_client_key_file),
            trusted: &self.peer_trusted_ca_file,
            asked: self.peer_client_cert_auth,
            auto: self.peer_auto_tls,
        }
    }

    /// What is spoken with clients and members. What etcd refuses is refused, and what would leave nothing to speak.
    fn offer(&self) -> Result<Offer, Error> {
        let (oldest, newest, suites) = (self.tls_min_version, self.tls_max_version, &self.cipher_suites);
        let of_12 = suites.iter().any(|suite| suite.version == Version::Tls12);
        if oldest > newest {
            let why = format!(
                "--tls-min-version {oldest}: expected no newer one than --tls-max-version, which is {newest}"
            );
            return Err(why.into());
        }
        if oldest == Version::Tls13 && !suites.is_empty() {
            return Err(
                "--cipher-suites: expected none where only TLS1.3 is spoken: its own are all spoken".into()
            );
        }
        if newest == Version::Tls12 && !suites.is_empty() && !of_12 {
            let why = format!("--cipher-suites: expected one of TLS1.2 as well, of {}", Suite::names());
            return Err(why.into());
        }
        Ok(Offer { oldest, newest, suites: suites.clone() })
    }

    /// Reads the files, for a member that listens at these URLs.
    pub async fn load(
        &self,
        data_dir: &Path,
        peers: &[ListenUrl],
        served: &[ListenUrl],
        advertised: &[Url],
    ) -> Result<Tls, Error> {
        let offer = self.offer()?;
        let valid = Duration::from_secs(u64::from(self.self_signed_cert_validity) * 365 * 86_400);
        let reached = |urls: &[ListenUrl]| urls.iter().copied().map(Url::from).collect::<Vec<_>>();
        let urls = [&reached(served), advertised].concat();
        let secured = served.iter().any(|url| url.secured);
        let folder = data_dir.join("fixtures/client");
        let clients = self.clients().shown(secured, &folder, &hosts(&urls), valid).await?;
        let (folder, between) = (data_dir.join("fixtures/peer"), peers.iter().any(|url| url.secured));
        let peers = self.peers().shown(between, &folder, &hosts(&reached(peers)), valid).await?;
        let leader = match &clients {
            Some(identity) => Some(tls::Client::load(self.to_leader(identity, offer.clone())?).await?),
            None => None,
        };
        Ok(Tls {
            clients: match clients {
                Some(identity) => Some(tls::Server::load(self.to_clients(identity, offer.clone())).await?),
                None => None,
            },
            peers: match peers {
                Some(_) if self.peer_cert_file.is_some() && self.peer_trusted_ca_file.is_none() => {
                    let why = "--peer-cert-file: expected --peer-trusted-ca-file as well, to tell members from others";
                    return Err(why.into());
                }
                Some(identity) => {
                    let (server, client) = self.to_peers(identity, offer)?;
                    Some((tls::Server::load(server).await?, tls::Client::load(client).await?))
                }
                None => None,
            },
            leader,
        })
    }

    fn to_clients(&self, identity: Identity, offer: Offer) -> Serving {
        Serving {
            identity,
            trusted: self.trusted_ca_file.clone(),
            revoked: self.client_crl_file.clone(),
            common_names: vec![],
            hostnames: self.client_cert_allowed_hostname.clone(),
            from_its_address: false,
            protocol: Protocol::Http,
            offer,
        }
    }

    /// To the leader's client port a member shows what it shows to clients, or what was named for it, and believes who is
    /// signed by a root that was named. If none was, it could not tell a member from somebody else in any way.
    fn to_leader(&self, identity: &Identity, offer: Offer) -> Result<Calling, Error> {
        let named: Vec<PathBuf> =
            [&self.trusted_ca_file, &self.peer_trusted_ca_file].into_iter().flatten().cloned().collect();
        let trust = if named.is_empty() { Trust::Anyone } else { Trust::Roots(named) };
        let identity = Some(self.clients().shown_by_a_client(identity)?);
        Ok(Calling { trust, identity, protocol: Protocol::Http, offer })
    }

    fn to_peers(&self, identity: Identity, offer: Offer) -> Result<(Serving, Calling), Error> {
        let trust = match &self.peer_trusted_ca_file {
            Some(trusted) => Trust::Roots(vec![trusted.clone()]),
            None => Trust::Anyone,
        };
        let (shown, protocol) = (Some(self.peers().shown_by_a_client(&identity)?), Protocol::Peers);
        let calling = Calling { trust, identity: shown, protocol, offer: offer.clone() };
        let serving = Serving {
            identity,
            trusted: self.peer_trusted_ca_file.clone(),
            revoked: self.peer_crl_file.clone(),
            common_names: self.peer_cert_allowed_cn.clone(),
            hostnames: self.peer_cert_allowed_hostname.clone(),
            from_its_address: !self.peer_skip_client_san_verification,
            protocol,
            offer,
        };
        Ok((serving, calling))
    }
}
