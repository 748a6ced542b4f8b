//! The ports on which clients are served, each plain or secured, or both: then a connection is what it begins as. Those on
//! which there is HTTP alone, if it has ports of its own: the others serve gRPC alone then. And those on which there is health
//! and metrics only, for probes that have no certificate to show. A client that pings too often is not served on.

use super::{Served, http};
use crate::{Error, Listen, ListenUrl, handle::Handle};
use base::knobs::ms;
use futures::future::join_all;
use rt::{http::Router, net::TcpListener, tls};
use std::{io, net::SocketAddr};

/// Ports that are listened on.
pub struct Doors {
    clients: Vec<Door>,
    http: Vec<Door>,
    metrics: Vec<Door>,
}

struct Door {
    listener: TcpListener,
    tls: Option<tls::Server>,
}

impl Doors {
    /// Listens wherever it is told to.
    pub async fn open(listen: &Listen) -> Result<Self, Error> {
        Ok(Self {
            clients: open(&listen.clients, listen).await?,
            http: open(&listen.http, listen).await?,
            metrics: open(&listen.metrics, listen).await?,
        })
    }

    /// One port for clients that is listened on already, not secured.
    pub fn plain(listener: TcpListener) -> Self {
        Self { clients: vec![Door { listener, tls: None }], http: vec![], metrics: vec![] }
    }

    /// Never returns; ends when dropped.
    pub(super) async fn serve(self, handle: Handle, served: &Served) {
        let knobs = handle.knobs();
        let serve = |door: Door, router: Router| {
            let options = rt::http::ServeOptions {
                keepalive: ms(knobs.keepalive_ms),
                keepalive_timeout: ms(knobs.keepalive_timeout_ms),
                least_between_pings: ms(knobs.keepalive_min_ms),
                most_streams: u32::try_from(knobs.most_streams).ok().filter(|most| *most < u32::MAX),
                tls: door.tls,
            };
            rt::http::serve(door.listener, router, options)
        };
        let of_clients = if self.http.is_empty() { &served.all } else { &served.grpc };
        let clients = self.clients.into_iter().map(|door| serve(door, of_clients.clone()));
        let apart = self.http.into_iter().map(|door| serve(door, served.http.clone()));
        let metrics = self.metrics.into_iter().map(|door| serve(door, http::router(handle.clone())));
        join_all(clients.chain(apart).chain(metrics)).await;
    }
}

/// Each address is listened at once, whatever is to be spoken there.
async fn open(urls: &[ListenUrl], listen: &Listen) -> Result<Vec<Door>, Error> {
    let mut doors = Vec::with_capacity(urls.len());
    for (at, ListenUrl { addr, .. }) in urls.iter().enumerate() {
        let address = *addr;
        // port 0 is another one each time
        let (any, before) = (address.port() == 0, &urls[..at]);
        if !any && before.iter().any(|url| url.addr == address) {
            continue;
        }
        let here = if any { &urls[at..=at] } else { urls };
        let asked = |secured| here.contains(&ListenUrl { secured, addr: address });
        let tls = secured_by(address, asked(true), asked(false), listen)?;
        let listener =
            TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
        doors.push(Door { listener, tls });
    }
    Ok(doors)
}

/// What an address is secured by, if it is; where it serves both, who speaks no TLS is let in as well.
fn secured_by(
    address: SocketAddr,
    secured: bool,
    plain: bool,
    listen: &Listen,
) -> Result<Option<tls::Server>, Error> {
    if !secured {
        return Ok(None);
    }
    let none = || {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "there is no certificate to secure it with");
        Error::Listen { address, source }
    };
    let server = listen.tls.clients.clone().ok_or_else(none)?;
    Ok(Some(if plain { server.or_plain() } else { server }))
}
