//! Where something is reached: `http://HOST:PORT`, or `https://HOST:PORT` if it is secured. A host is an address or the name
//! of a machine, which is looked up whenever a connection is made; `localhost` is 127.0.0.1. Where somebody listens is an
//! address.

use rt::net::Endpoint;
use std::{fmt, net::SocketAddr, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Url<A = Endpoint> {
    pub secured: bool,
    pub addr: A,
}

/// Where somebody listens.
pub type ListenUrl = Url<SocketAddr>;

impl Url {
    /// Not secured.
    pub fn plain(addr: impl Into<Endpoint>) -> Self {
        Self { secured: false, addr: addr.into() }
    }
}

impl From<ListenUrl> for Url {
    fn from(url: ListenUrl) -> Self {
        Self { secured: url.secured, addr: url.addr.into() }
    }
}

impl<A: fmt::Display> fmt::Display for Url<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secured { "https" } else { "http" }, self.addr)
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?}: {why}; expected http://HOST:PORT or https://HOST:PORT");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let secured = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(wrong("that scheme is not served")),
        };
        let addr = rest.strip_suffix('/').unwrap_or(rest).parse().map_err(|why: String| wrong(&why))?;
        Ok(Url { secured, addr })
    }
}

impl FromStr for ListenUrl {
    type Err = String;

    /// A name is refused in etcd's words.
    fn from_str(text: &str) -> Result<Self, String> {
        let Url { secured, addr } = text.parse::<Url>()?;
        let bound = addr.address().map(|addr| Url { secured, addr });
        bound.ok_or_else(|| format!("expected IP in URL for binding ({text})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_written() {
        let read = |text: &str| text.parse::<Url>().map(|url| url.to_string());
        assert_eq!(read("http://10.0.0.1:2380"), Ok("http://10.0.0.1:2380".into()));
        assert_eq!(read("https://[::1]:2380/"), Ok("https://[::1]:2380".into()));
        assert_eq!(read("http://localhost:2379"), Ok("http://127.0.0.1:2379".into()));
        let wrong = |text: &str| read(text).expect_err("wrong");
        assert!(wrong("10.0.0.1:2380").contains("no scheme"));
        assert!(wrong("unix://x:1").contains("not served"));
        assert!(wrong("http://10.0.0.1").contains("expected http://HOST:PORT"));
        assert!(wrong("http://10.0.0.1:2380/path").contains("no port"));
        assert!(wrong("http://a b:2380").contains("no name that a machine can have"));
    }

    #[test]
    fn a_name_is_where_something_is_reached_and_not_where_it_listens() {
        let text = "https://etcd-0.etcd:2380";
        let url: Url = text.parse().expect("a URL");
        assert_eq!((url.to_string().as_str(), url.addr.address()), (text, None));
        let listen = |text: &str| text.parse::<ListenUrl>().map(|url| url.to_string());
        assert_eq!(listen(text), Err(format!("expected IP in URL for binding ({text})")));
        assert_eq!(listen("http://localhost:2380"), Ok("http://127.0.0.1:2380".into()));
        assert_eq!(listen("https://[::]:2380"), Ok("https://[::]:2380".into()));
    }
}
