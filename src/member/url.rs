//! Where something is reached: `http://IP:PORT`, or `https://IP:PORT` if it is secured. Names of machines are not looked
//! up, but for `localhost`.

use std::{fmt, net::SocketAddr, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Url {
    pub secured: bool,
    pub addr: SocketAddr,
}

impl Url {
    /// Not secured.
    pub fn plain(addr: SocketAddr) -> Self {
        Self { secured: false, addr }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secured { "https" } else { "http" }, self.addr)
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?}: {why}; expected http://IP:PORT or https://IP:PORT");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let secured = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(wrong("that scheme is not served")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let local = rest.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let addr = local.as_deref().unwrap_or(rest).parse();
        let addr = addr.map_err(|_| wrong("that is no address, and names are not looked up"))?;
        Ok(Url { secured, addr })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_written() {
        let read = |text: &str| Url::from_str(text).map(|url| url.to_string());
        assert_eq!(read("http://10.0.0.1:2380"), Ok("http://10.0.0.1:2380".into()));
        assert_eq!(read("https://[::1]:2380/"), Ok("https://[::1]:2380".into()));
        assert_eq!(read("http://localhost:2379"), Ok("http://127.0.0.1:2379".into()));
        let wrong = |text: &str| read(text).expect_err("wrong");
        assert!(wrong("10.0.0.1:2380").contains("no scheme"));
        assert!(wrong("unix://x:1").contains("not served"));
        assert!(wrong("http://10.0.0.1").contains("expected http://IP:PORT"));
        assert!(wrong("http://etcd-0.example:2380").contains("names are not looked up"));
        assert!(wrong("http://10.0.0.1:2380/path").contains("no address"));
    }
}
