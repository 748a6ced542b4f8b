//! Whether a certificate is for where it comes from, as etcd asks of members: for the other end's address, or for a name
//! of its machine. One that is for no address and no name may come from anywhere. Names are not looked up, so that
//! `localhost` is the only one that helps.

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

    fn may_come_from(&self, from: IpAddr) -> bool {
        let local = |name: &String| name.eq_ignore_ascii_case("localhost") && from.is_loopback();
        self.addresses.contains(&from)
            || self.names.iter().any(local)
            || self.addresses.is_empty() && self.names.is_empty()
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let of_four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let of_sixteen = || <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).to_canonical());
    of_four.or_else(|_| of_sixteen()).ok()
}

/// Says why it may not come from this address.
pub(super) fn check(shown: &CertificateDer<'_>, from: IpAddr) -> Result<(), String> {
    let (hosts, from) = (Hosts::of(shown)?, from.to_canonical());
    if hosts.may_come_from(from) {
        return Ok(());
    }
    let listed: Vec<String> =
        hosts.addresses.iter().map(IpAddr::to_string).chain(hosts.names.clone()).collect();
    let mut why = format!("its certificate is not for {from}, but for {}", listed.join(", "));
    if !hosts.names.is_empty() {
        why += "; names are not looked up: expected the address in it, or --peer-skip-client-san-verification here";
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let from = |hosts: &[&str], from: &str| check(&certificate(hosts), from.parse().expect("an address"));
        for (hosts, there) in [
            (&["10.0.0.1", "10.0.0.2"][..], "10.0.0.2"),
            (&["10.0.0.1"], "::ffff:10.0.0.1"),
            (&["::ffff:10.0.0.1"], "10.0.0.1"),
            (&["fd00::1"], "fd00::1"),
            (&["one.example", "10.0.0.1"], "10.0.0.1"),
            (&["localhost"], "127.0.0.1"),
            (&["LocalHost", "10.0.0.1"], "::1"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(from(hosts, there), Ok(()), "{hosts:?} from {there}");
        }
        for (hosts, there) in [
            (&["10.0.0.1"][..], "10.0.0.2"),
            (&["10.0.0.1"], "fd00::1"),
            (&["localhost"], "10.0.0.1"),
            (&["localhost.example"], "127.0.0.1"),
            (&["*.example"], "10.0.0.1"),
        ] {
            let said = from(hosts, there).expect_err("from elsewhere");
            let expected = format!("its certificate is not for {there}, but for {}", hosts[0]);
            assert!(said.starts_with(&expected), "{said}");
            assert_eq!(said.contains("names are not looked up"), hosts[0] != "10.0.0.1", "{said}");
        }
        assert!(check(&CertificateDer::from(vec![1, 2]), [10, 0, 0, 1].into()).is_err());
    }
}
