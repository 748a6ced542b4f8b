//! Where something is reached: an address and a port, or the name of a machine and a port. A name is looked up whenever a
//! connection is made, and never before.
//! Promises: an address is written and ordered as a `SocketAddr` is, also by formats that nobody
//! reads, as bincode; a name takes no more room than
//! DNS gives it, wherever it came from.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{SocketAddr, SocketAddrV4, SocketAddrV6},
    str::FromStr,
    sync::Arc,
};

/// Letters of a name, and of each of its labels, at the most. Source: RFC 1035, section 2.3.4.
const LETTERS: usize = 253;
const LABEL: usize = 63;

/// The order of the variants is that of `SocketAddr`, which stands in frames of before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Endpoint {
    V4(SocketAddrV4),
    V6(SocketAddrV6),
    Named(Name, u16),
}

impl Endpoint {
    /// None if it has a name that is to be looked up first.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Endpoint::V4(address) => Some((*address).into()),
            Endpoint::V6(address) => Some((*address).into()),
            Endpoint::Named(..) => None,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Endpoint::V4(address),
            SocketAddr::V6(address) => Endpoint::V6(address),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::V4(address) => address.fmt(f),
            Endpoint::V6(address) => address.fmt(f),
            Endpoint::Named(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    /// `IP:PORT`, `[IP]:PORT` or `NAME:PORT`. `localhost` is 127.0.0.1, without being looked up.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let (name, port) = text.rsplit_once(':').ok_or("that has no port")?;
        let digits = !port.is_empty() && port.bytes().all(|letter| letter.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits).ok_or("that is no port")?;
        let name: Name = name.parse()?;
        match name.as_str() {
            "localhost" => Ok(SocketAddr::from(([127, 0, 0, 1], port)).into()),
            _ => Ok(Endpoint::Named(name, port)),
        }
    }
}

/// The name of a machine, in small letters, as DNS does not tell them apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

impl Name {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in certificates, which have no full stop at its end.
    pub fn without_root(&self) -> &str {
        self.0.strip_suffix('.').unwrap_or(&self.0)
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let labels = || text.strip_suffix('.').unwrap_or(text).split('.');
        let letter = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_');
        let label = |label: &str| (1..=LABEL).contains(&label.len()) && label.bytes().all(letter);
        // `10.0.0` is meant as an address, and is none
        let number = |label: &str| label.bytes().all(|letter| letter.is_ascii_digit());
        if text.len() > LETTERS || !labels().all(label) || labels().next_back().is_none_or(number) {
            return Err("that is no address, and no name that a machine can have".into());
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.as_ref().into()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Endpoint, String> {
        text.parse()
    }

    #[test]
    fn addresses_and_names_are_read_and_written() {
        for text in ["10.0.0.1:2380", "[fd00::1]:2380", "etcd-0.etcd:2380", "a_b.example.:1", "4.example:1"] {
            assert_eq!(read(text).map(|endpoint| endpoint.to_string()), Ok(text.into()));
        }
        for text in ["localhost:1", "Localhost:1"] {
            assert_eq!(read(text), Ok(SocketAddr::from(([127, 0, 0, 1], 1)).into()), "{text}");
        }
        assert_eq!(read("Etcd-0.ETCD:1"), read("etcd-0.etcd:1"), "DNS does not tell letters apart");
        let longest = ["a".repeat(63).as_str(); 4].join(".")[..LETTERS].to_string();
        assert!(read(&format!("{longest}:1")).is_ok());
        let wrong = [
            format!("{longest}a:1"),
            format!("{}:1", "a".repeat(64)),
            ":1".into(),
            ".:1".into(),
            "a..b:1".into(),
            "a b:1".into(),
            "ä:1".into(),
            "a/b:1".into(),
            "a@b:1".into(),
            "fd00::1:1".into(),
            "10.0.0:1".into(),
            "10.0.0.256:1".into(),
        ];
        for text in wrong {
            assert!(read(&text).expect_err(&text).contains("no name that a machine can have"), "{text}");
        }
        assert!(read("etcd-0").expect_err("no port").contains("has no port"));
        for text in ["etcd-0:", "etcd-0:+1", "etcd-0:70000", "10.0.0.1:"] {
            assert!(read(text).expect_err(text).contains("is no port"), "{text}");
        }
    }

    #[test]
    fn endpoints_are_ordered_as_addresses_are_and_names_come_last() {
        let mut addresses: Vec<SocketAddr> =
            ["[::1]:1", "10.0.0.2:1", "10.0.0.1:2", "[::1]:0", "9.0.0.1:9", "10.0.0.1:1", "[::]:9"]
                .map(|text| text.parse().expect("an address"))
                .into();
        let mut endpoints: Vec<Endpoint> = addresses.iter().map(|address| (*address).into()).collect();
        endpoints.push(read("a:1").expect("a name"));
        addresses.sort_unstable();
        endpoints.sort_unstable();
        assert_eq!(endpoints.pop(), Some(read("a:1").expect("a name")));
        assert_eq!(endpoints, addresses.into_iter().map(Endpoint::from).collect::<Vec<_>>());
    }
}
