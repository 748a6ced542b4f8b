//! TLS over `net`, for real only: in the tank nothing of it can be made.
//! Promises: certificates and keys are read again when their files change, without a restart, and a pair that does not
//! fit keeps the one before it in use; what is wrong with a certificate is said in words.
//!
//! | module | promise |
//! |---|---|
//! | `server`, `client` | the two ends of a handshake; `secured` is what comes of it |
//! | `offer` | versions and cipher suites |
//! | `origin` | whether a certificate is for where it comes from |
//! | `watched` | what is made of files, made again when they change |
//! | `pem` | certificates, keys and lists of those revoked, from files |
//! | `auto` | a certificate signed by itself, for who has none |
//! | `wrong` | why a handshake failed |

#[cfg(madsim)]
mod absent;
#[cfg(not(madsim))]
mod auto;
#[cfg(not(madsim))]
mod client;
mod offer;
#[cfg(not(madsim))]
mod origin;
#[cfg(not(madsim))]
mod pem;
#[cfg(not(madsim))]
mod secured;
#[cfg(not(madsim))]
mod server;
#[cfg(not(madsim))]
mod watched;
#[cfg(not(madsim))]
mod wrong;

#[cfg(madsim)]
pub(crate) use absent::Stream;
#[cfg(madsim)]
pub use absent::{Client, Server, signed_by_itself};
#[cfg(not(madsim))]
pub(crate) use secured::Stream;
#[cfg(not(madsim))]
pub use {auto::signed_by_itself, client::Client, server::Server};

pub use offer::{Offer, Suite, Version};

use std::path::PathBuf;

/// A certificate, followed by those that lead from it to a root, and its key: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// What a server shows, and what it wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    pub identity: Identity,
    /// Roots, a PEM file: who connects must show a certificate that leads to one of them. None: nobody is asked for one.
    pub trusted: Option<PathBuf>,
    /// Those of them that count no more: a PEM file of revocation lists.
    pub revoked: Option<PathBuf>,
    /// If there are any, the certificate shown must bear one of these common names.
    pub common_names: Vec<String>,
    /// If there are any, it must be valid for one of these hosts.
    pub hostnames: Vec<String>,
    /// It must be for the address that it comes from, or for a name that is found there.
    pub from_its_address: bool,
    pub protocol: Protocol,
    pub offer: Offer,
}

/// What a client wants to see, and what it shows if it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calling {
    pub trust: Trust,
    pub identity: Option<Identity>,
    pub protocol: Protocol,
    pub offer: Offer,
}

/// Which servers a client believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those whose certificate is valid for the address or the name asked for, and leads to a root in one of these PEM files.
    Roots(Vec<PathBuf>),
    /// Every one: what is said cannot be overheard, but nobody knows by whom it is heard.
    Anyone,
}

/// A handshake that takes longer is given up.
#[cfg(not(madsim))]
const HANDSHAKE: std::time::Duration = std::time::Duration::from_secs(10);

/// What is spoken (ALPN): nobody takes a member for an HTTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Peers,
}

#[cfg(not(madsim))]
impl Protocol {
    fn served(self) -> Vec<Vec<u8>> {
        match self {
            Protocol::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Protocol::Peers => vec![b"wavetank-peers".to_vec()],
        }
    }

    fn called(self) -> Vec<Vec<u8>> {
        match self {
            Protocol::Http => vec![b"h2".to_vec()],
            Protocol::Peers => self.served(),
        }
    }
}

/// The first byte from a server to a peer that it let in. Without it, one that was not would find out only when
/// something of its gets lost, and not why.
#[cfg(not(madsim))]
const GREETING: u8 = b'.';

/// The common name in the certificate that whoever sends a request has shown: an extension of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommonName(pub String);
