//! The ports on which clients are served, each plain or secured; and those on which there is health and metrics only, for
//! probes that have no certificate to show. A client that pings too often is not served on.

use super::http;
use crate::{Error, Listen, ListenUrl, handle::Handle};
use base::knobs::ms;
use futures::future::join_all;
use rt::{http::Router, net::TcpListener, tls};
use std::io;

/// Ports that are listened on.
pub struct Doors {
    clients: Vec<Door>,
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
            metrics: open(&listen.metrics, listen).await?,
        })
    }

    /// One port for clients that is listened on already, not secured.
    pub fn plain(listener: TcpListener) -> Self {
        Self { clients: vec![Door { listener, tls: None }], metrics: vec![] }
    }

    /// Never returns; ends when dropped.
    pub async fn serve(self, handle: Handle, router: &Router) {
        let knobs = handle.knobs();
        let serve = |door: Door, router| {
            let options = rt::http::ServeOptions {
                keepalive: ms(knobs.keepalive_ms),
                keepalive_timeout: ms(knobs.keepalive_timeout_ms),
                least_between_pings: ms(knobs.keepalive_min_ms),
                most_streams: u32::try_from(knobs.most_streams).ok().filter(|most| *most < u32::MAX),
                tls: door.tls,
            };
            rt::http::serve(door.listener, router, options)
        };
        let clients = self.clients.into_iter().map(|door| serve(door, router.clone()));
        let metrics = self.metrics.into_iter().map(|door| serve(door, http::router(handle.clone())));
        join_all(clients.chain(metrics)).await;
    }
}

async fn open(urls: &[ListenUrl], listen: &Listen) -> Result<Vec<Door>, Error> {
    let mut doors = Vec::with_capacity(urls.len());
    for ListenUrl { secured, addr } in urls {
        let (address, tls) = (*addr, listen.tls.clients.clone().filter(|_| *secured));
        if *secured && tls.is_none() {
            let source =
                io::Error::new(io::ErrorKind::InvalidInput, "there is no certificate to secure it with");
            return Err(Error::Listen { address, source });
        }
        let listener =
            TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
        doors.push(Door { listener, tls });
    }
    Ok(doors)
}
