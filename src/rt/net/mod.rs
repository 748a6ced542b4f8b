//! The network: TCP, and datagrams between members. Machines are reached by address, for real also by name.
//! In the tank both are `world`'s, so that links can be cut, slow and lossy.

mod endpoint;
#[cfg(not(madsim))]
mod lookup;
#[cfg(not(madsim))]
mod peers_real;
#[cfg(madsim)]
mod peers_sim;
mod stream;
#[cfg(not(madsim))]
mod tcp_real;

#[cfg(madsim)]
pub use self::peers_sim::Peers;
#[cfg(not(madsim))]
pub use self::{
    peers_real::Peers,
    tcp_real::{TcpListener, TcpStream},
};
#[cfg(madsim)]
pub use world::{TcpListener, TcpStream};

pub use endpoint::{Endpoint, Name};
#[cfg(all(test, not(madsim)))]
pub(crate) use lookup::book;
#[cfg(not(madsim))]
pub(crate) use lookup::lookup;
pub(crate) use stream::Stream;
pub use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// The largest frame `Peers` carries.
pub const MAX_FRAME: usize = 4 << 20;
