//! Connections by name: the name is looked up each time, so that a machine that came late, or moved, is found; then its
//! addresses are tried in turn.

use super::{Endpoint, Name, TcpStream};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// An answer that takes longer is none: as long as the system waits for a server of names before it asks the next.
pub(crate) const LOOKUP: Duration = Duration::from_secs(5);
/// All addresses but the last may take so long together: callers wait for seconds.
const BUT_THE_LAST: Duration = Duration::from_millis(1_500);

/// Connects; `NotFound` if there is no address to connect to.
pub(crate) async fn connect(to: &Endpoint) -> io::Result<TcpStream> {
    let (name, port) = match to {
        Endpoint::Named(name, port) => (name, *port),
        Endpoint::V4(address) => return TcpStream::connect((*address).into()).await,
        Endpoint::V6(address) => return TcpStream::connect((*address).into()).await,
    };
    let mut found = lookup(name).await?;
    let last = found.pop().ok_or_else(|| not_found(name, "it has no address"))?;
    let each = BUT_THE_LAST / found.len().max(1) as u32;
    for address in found {
        if let Ok(Ok(stream)) = crate::timeout(each, TcpStream::connect((address, port).into())).await {
            return Ok(stream);
        }
    }
    TcpStream::connect((last, port).into()).await
}

/// The addresses of a machine, the one to prefer first. `NotFound` if there is none, or no answer in time.
pub(crate) async fn lookup(name: &Name) -> io::Result<Vec<IpAddr>> {
    match crate::timeout(LOOKUP, ask(name)).await {
        Err(_) => Err(not_found(name, &format!("no answer in {LOOKUP:?}"))),
        Ok(Err(error)) => Err(not_found(name, &error.to_string())),
        Ok(Ok(found)) => Ok(found),
    }
}

fn not_found(name: &Name, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{name} is not found: {why}"))
}

async fn ask(name: &Name) -> io::Result<Vec<IpAddr>> {
    #[cfg(test)]
    if let Some(found) = book::of(name) {
        return Ok(found);
    }
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    Ok(found.map(|address: SocketAddr| address.ip()).collect())
}

/// Names that the tests of this crate know.
#[cfg(test)]
pub(crate) mod book {
    use super::*;
    use std::{collections::BTreeMap, sync::Mutex};

    static BOOK: Mutex<BTreeMap<String, Vec<IpAddr>>> = Mutex::new(BTreeMap::new());

    pub(crate) fn enter(name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        BOOK.lock().expect("the book").insert(name.into(), addresses);
    }

    pub(super) fn of(name: &Name) -> Option<Vec<IpAddr>> {
        BOOK.lock().expect("the book").get(name.as_str()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::TcpListener;

    fn endpoint(name: &str, port: u16) -> Endpoint {
        format!("{name}:{port}").parse().expect("an endpoint")
    }

    #[test]
    fn each_address_of_a_name_is_tried_in_turn() {
        crate::run(async {
            let listener = TcpListener::bind(([127, 0, 0, 3], 0).into()).await.expect("a port");
            let port = listener.local_addr().expect("bound").port();
            let there = |last: u8| SocketAddr::from(([127, 0, 0, last], port));
            let connected = async |name: &str| connect(&endpoint(name, port)).await?.peer_addr();
            book::enter("several.test", &["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
            assert_eq!(connected("several.test").await.ok(), Some(there(3)));
            let both = TcpListener::bind(there(2)).await.expect("a port");
            assert_eq!(connected("several.test").await.ok(), Some(there(2)), "the first that takes it");
            drop(both);
            // one that says nothing at all holds the next up for a moment only
            book::enter("silent.test", &["240.0.0.1", "127.0.0.3"]);
            let silent = crate::timeout(Duration::from_secs(2), connected("silent.test")).await;
            assert_eq!(silent.ok().and_then(io::Result::ok), Some(there(3)));
            book::enter("closed.test", &["127.0.0.1", "127.0.0.2"]);
            let refused = connected("closed.test").await.expect_err("nobody listens").kind();
            assert_eq!(refused, io::ErrorKind::ConnectionRefused);
        });
    }

    #[test]
    fn a_name_that_is_not_found_is_said_so() {
        crate::run(async {
            book::enter("empty.test", &[]);
            for name in ["empty.test", "no-such-machine.invalid"] {
                let error = connect(&endpoint(name, 1)).await.err().expect("nothing to connect to");
                assert_eq!(error.kind(), io::ErrorKind::NotFound);
                assert!(error.to_string().starts_with(&format!("{name} is not found: ")), "{error}");
            }
        });
    }
}
