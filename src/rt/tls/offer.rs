//! Which versions of TLS are spoken, and with which cipher suites, by the names that Go and so etcd have for them.
//! Those of TLS 1.3 are all good, and cannot be chosen: they may be named, as in Go, which changes nothing.

use std::{fmt, str::FromStr};
#[cfg(not(madsim))]
use {
    super::pem,
    rustls::{SupportedProtocolVersion, crypto::CryptoProvider, version},
    std::sync::Arc,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Tls12,
    Tls13,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Version::Tls12 => "TLS1.2",
            Version::Tls13 => "TLS1.3",
        })
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = [Version::Tls12, Version::Tls13].into_iter().find(|version| version.to_string() == text);
        named.ok_or_else(|| format!("{text:?}: expected TLS1.2 or TLS1.3"))
    }
}

/// Every suite that can be spoken. What Go has besides is without forward secrecy, or not authenticated as a whole.
const SUITES: [(Version, &str); 9] = [
    (Version::Tls12, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    (Version::Tls12, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
    (Version::Tls12, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    (Version::Tls12, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    (Version::Tls12, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
    (Version::Tls12, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
    (Version::Tls13, "TLS_AES_128_GCM_SHA256"),
    (Version::Tls13, "TLS_AES_256_GCM_SHA384"),
    (Version::Tls13, "TLS_CHACHA20_POLY1305_SHA256"),
];

/// A cipher suite that can be spoken, and in which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite {
    pub version: Version,
    name: &'static str,
}

impl Suite {
    fn all() -> impl Iterator<Item = Suite> {
        SUITES.into_iter().map(|(version, name)| Suite { version, name })
    }

    /// The names of all, for who has to choose some.
    pub fn names() -> String {
        Self::all().map(|suite| suite.name).collect::<Vec<_>>().join(", ")
    }

    /// Go's first name for the suites with ChaCha20 said nothing of the hash.
    fn is_called(self, name: &str) -> bool {
        let chacha = self.version == Version::Tls12 && self.name.contains("CHACHA20");
        self.name == name || chacha && self.name.strip_suffix("_SHA256") == Some(name)
    }
}

impl FromStr for Suite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::all().find(|suite| suite.is_called(text));
        named.ok_or_else(|| format!("{text:?}: expected some of {}", Self::names()))
    }
}

/// What one end of a connection speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub oldest: Version,
    pub newest: Version,
    /// None: all.
    pub suites: Vec<Suite>,
}

impl Default for Offer {
    fn default() -> Self {
        Self { oldest: Version::Tls12, newest: Version::Tls13, suites: vec![] }
    }
}

#[cfg(not(madsim))]
impl Offer {
    /// What signs, hashes and encrypts.
    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = pem::provider();
        if !self.suites.is_empty() {
            let suites = &mut Arc::make_mut(&mut provider).cipher_suites;
            let is_chosen = |name: &str| self.suites.iter().any(|suite| suite.name == name);
            suites.retain(|suite| suite.tls13().is_some() || is_chosen(&name(suite.suite())));
        }
        provider
    }

    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let every = [(Version::Tls12, &version::TLS12), (Version::Tls13, &version::TLS13)];
        let spoken = every.into_iter().filter(|(version, _)| (self.oldest..=self.newest).contains(version));
        spoken.map(|(_, version)| version).collect()
    }
}

/// Go's name of it.
#[cfg(not(madsim))]
fn name(suite: rustls::CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_go() {
        let named = |text: &str| text.parse::<Suite>();
        let suite = named("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256").expect("a suite");
        assert_eq!(suite.version, Version::Tls12);
        assert_eq!(named("TLS_AES_128_GCM_SHA256").expect("a suite").version, Version::Tls13);
        let chacha = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305";
        assert_eq!(named(chacha), named(&format!("{chacha}_SHA256")));
        for wrong in
            ["", "TLS_ECDHE_RSA_WITH_AES_128_GCM", "TLS_CHACHA20_POLY1305", "TLS_RSA_WITH_RC4_128_SHA"]
        {
            let said = named(wrong).expect_err("no suite");
            assert!(said.starts_with(&format!("{wrong:?}: expected")), "{said}");
            assert!(SUITES.iter().all(|(_, name)| said.contains(name)), "{said}");
        }
        assert_eq!("TLS1.3".parse(), Ok(Version::Tls13));
        assert!(["", "1.2", "TLS1.1", "tls1.2"].iter().all(|text| text.parse::<Version>().is_err()));
    }

    #[cfg(not(madsim))]
    #[test]
    fn every_suite_that_can_be_named_is_spoken_and_no_other() {
        let spoken = |offer: &Offer| -> Vec<String> {
            let provider = offer.provider();
            let mut names: Vec<_> = provider.cipher_suites.iter().map(|suite| name(suite.suite())).collect();
            names.sort();
            names
        };
        let mut all: Vec<_> = SUITES.iter().map(|(_, name)| name.to_string()).collect();
        all.sort();
        assert_eq!(spoken(&Offer::default()), all);
        let chosen = |names: &[&str]| {
            let suites = names.iter().map(|name| name.parse().expect("a suite")).collect();
            spoken(&Offer { suites, ..Offer::default() })
        };
        let (one, newer) = ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256");
        let of_13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
        assert_eq!(chosen(&[newer]), of_13);
        assert_eq!(chosen(&[one, newer]), [&of_13[..], &[one]].concat());
    }
}
