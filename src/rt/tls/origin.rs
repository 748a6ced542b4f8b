//! Whether a certificate is for where it comes from, as etcd asks of members: for the other end's address, or for a name
//! at one of whose addresses that is. One that is for no address and no name may come from anywhere. The names of an
//! address are not looked up, as etcd does besides, so that a pattern (`*.example`) is for no address.
//! Source: etcd, client/pkg/transport/listener_tls.go (checkCertSAN, isHostInDNS).

use crate::net::{Name, lookup};
use rustls::pki_types::CertificateDer;
use std::net::{IpAddr, Ipv6Addr};
use x509_parser::extensions::GeneralName;

/// What a certificate is for.
#[derive(Default)]
struct Hosts {
    addresses: Vec<IpAddr>,
    names: Vec<String>,
}

impl Hosts {
    /// Its subject alternative names.
    fn of(shown: &CertificateDer<'_>) -> Result<Self, String> {
        let unread = |why: String| format!("what its certificate is for cannot be read: {why}");
        let (_, parsed) =
            x509_parser::parse_x509_certificate(shown).map_err(|why| unread(why.to_string()))?;
        let listed = parsed.subject_alternative_name().map_err(|why| unread(why.to_string()))?;
        let mut hosts = Self::default();
        for name in listed.iter().flat_map(|listed| &listed.value.general_names) {
            match name {
                GeneralName::DNSName(name) => hosts.names.push(name.to_string()),
                GeneralName::IPAddress(bytes) => hosts.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        Ok(hosts)
    }

    /// Says what stands against it.
    async fn may_come_from(&self, from: IpAddr) -> Result<(), String> {
        if self.addresses.contains(&from) || self.addresses.is_empty() && self.names.is_empty() {
            return Ok(());
        }
        let mut why: Vec<String> = self.addresses.iter().map(IpAddr::to_string).collect();
        for name in &self.names {
            match is_found_at(name, from).await {
                Ok(()) => return Ok(()),
                Err(but) => why.push(format!("{name} ({but})")),
            }
        }
        Err(why.join(", "))
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let of_four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let of_sixteen = || <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).to_canonical());
    of_four.or_else(|_| of_sixteen()).ok()
}

/// Says why not.
async fn is_found_at(name: &str, from: IpAddr) -> Result<(), String> {
    if name.eq_ignore_ascii_case("localhost") && from.is_loopback() {
        return Ok(());
    }
    let name: Name = name.parse().map_err(|_| "no name that is looked up")?;
    let found = lookup(&name).await.map_err(|_| "not found")?;
    let found: Vec<IpAddr> = found.iter().map(IpAddr::to_canonical).collect();
    if found.contains(&from) {
        return Ok(());
    }
    let shown: Vec<String> = found.iter().map(IpAddr::to_string).collect();
    Err(format!("found at {}", shown.join(", ")))
}

/// Says why it may not come from this address.
pub(super) async fn check(shown: &CertificateDer<'_>, from: IpAddr) -> Result<(), String> {
    let (hosts, from) = (Hosts::of(shown)?, from.to_canonical());
    let Err(listed) = hosts.may_come_from(from).await else { return Ok(()) };
    let mut why = format!("its certificate is not for {from}, but for {listed}");
    if !hosts.names.is_empty() {
        why += "; expected the address in it or a name that is found there, or --peer-skip-client-san-verification here";
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::book;
    use rcgen::{CertificateParams, KeyPair, SanType};

    /// For these addresses and names.
    fn certificate(hosts: &[&str]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec![]).expect("parameters");
        let name = |host: &&str| match host.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*host).try_into().expect("a name")),
        };
        params.subject_alt_names = hosts.iter().map(name).collect();
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").into()
    }

    #[test]
    fn a_certificate_comes_from_where_it_is_for() {
        book::enter("one.test", &["10.0.0.7", "10.0.0.1", "::ffff:10.0.0.3", "fd00::1"]);
        let from = async |hosts: &[&str], from: &str| {
            check(&certificate(hosts), from.parse().expect("an address")).await
        };
        crate::run(async {
            for (hosts, there) in [
                (&["10.0.0.1", "10.0.0.2"][..], "10.0.0.2"),
                (&["10.0.0.1"], "::ffff:10.0.0.1"),
                (&["::ffff:10.0.0.1"], "10.0.0.1"),
                (&["fd00::1"], "fd00::1"),
                (&["one.invalid", "10.0.0.1"], "10.0.0.1"),
                (&["localhost"], "127.0.0.1"),
                (&["LocalHost", "10.0.0.1"], "::1"),
                (&[], "10.0.0.1"),
                (&["one.test"], "10.0.0.1"),
                (&["10.0.0.9", "two.invalid", "One.Test"], "10.0.0.3"),
                (&["one.test"], "fd00::1"),
                (&["one.test"], "::ffff:10.0.0.7"),
            ] {
                assert_eq!(from(hosts, there).await, Ok(()), "{hosts:?} from {there}");
            }
            for (hosts, there, but) in [
                (&["10.0.0.1"][..], "10.0.0.2", ""),
                (&["10.0.0.1"], "fd00::1", ""),
                (&["localhost"], "10.0.0.1", " (found at "),
                (&["localhost.invalid"], "127.0.0.1", " (not found); expected the address in it or a name"),
                (&["*.test"], "10.0.0.1", " (no name that is looked up); expected the address"),
                (&["one.test"], "10.0.0.2", " (found at 10.0.0.7, 10.0.0.1, 10.0.0.3, fd00::1); expected"),
            ] {
                let said = from(hosts, there).await.expect_err("from elsewhere");
                let expected = format!("its certificate is not for {there}, but for {}{but}", hosts[0]);
                assert!(said.starts_with(&expected), "{said}");
            }
            assert!(check(&CertificateDer::from(vec![1, 2]), [10, 0, 0, 1].into()).await.is_err());
        });
    }
}
