//! Streams of requests and responses: watch and lease keepalive. Opening one does not wait for the server, so
//! that a server which answers only after the first request works too. `recv` may be dropped and called again
//! (in a `select!`) without losing anything.

use crate::{
    client::{Client, Pick},
    credentials::signed,
    pb,
    retry::connection_lost,
    transport::Transport,
};
use base::reached;
use futures::future::BoxFuture;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming, metadata::MetadataValue};

/// Requests that may wait to be sent. More than a client has ever in hand at once.
const QUEUE: usize = 64;

/// A watch stream: creates, cancels and progress requests out, events in.
pub type WatchStream = Stream<pb::WatchRequest, pb::WatchResponse>;
/// A keepalive stream: lease ids out, remaining times to live in.
pub type KeepAliveStream = Stream<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>;

/// A stream in both directions over one channel.
pub struct Stream<Req, Resp> {
    client: Client,
    pick: Pick,
    token: Option<String>,
    requests: rt::sync::mpsc::Sender<Req>,
    inbound: Inbound<Resp>,
}

enum Inbound<Resp> {
    Opening(BoxFuture<'static, Result<Streaming<Resp>, Status>>),
    Open(Box<Streaming<Resp>>),
    Ended,
}

impl<Req: Send + 'static, Resp> Stream<Req, Resp> {
    pub(crate) fn open(
        client: Client,
        pick: Pick,
        token: Option<String>,
        open: impl FnOnce(
            Transport,
            Request<ReceiverStream<Req>>,
        ) -> BoxFuture<'static, Result<Streaming<Resp>, Status>>,
    ) -> Result<Self, Status> {
        let (requests, queue) = rt::sync::mpsc::channel(QUEUE);
        let mut request = signed(ReceiverStream::new(queue), token.as_deref())?;
        // Ask to be told when the member we talk to is cut off, instead of waiting on it for ever.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        let inbound = Inbound::Opening(open(pick.transport(), request));
        Ok(Self { client, pick, token, requests, inbound })
    }

    /// Sends one request; waits while many are queued. An error means that the stream has ended.
    pub fn send<R: Into<Req>>(
        &self,
        request: R,
    ) -> impl Future<Output = Result<(), Status>> + Send + use<Req, Resp, R> {
        // The future holds the queue and not the stream, which cannot be shared between threads.
        let (requests, request) = (self.requests.clone(), request.into());
        async move { requests.send(request).await.map_err(|_| connection_lost("the stream has ended")) }
    }

    /// The next response. After an error the stream is of no more use.
    pub async fn recv(&mut self) -> Result<Resp, Status> {
        loop {
            let ended = match &mut self.inbound {
                Inbound::Opening(opening) => match opening.await {
                    Ok(stream) => {
                        self.inbound = Inbound::Open(Box::new(stream));
                        continue;
                    }
                    Err(status) => {
                        reached!("etcd: a stream could not be opened");
                        status
                    }
                },
                Inbound::Open(stream) => match stream.message().await {
                    Ok(Some(response)) => return Ok(response),
                    Ok(None) => connection_lost("the server ended the stream"),
                    Err(status) => {
                        reached!("etcd: a stream broke off");
                        status
                    }
                },
                Inbound::Ended => return Err(connection_lost("the stream has ended")),
            };
            self.inbound = Inbound::Ended;
            self.client.forget(self.token.as_deref(), &ended);
            self.client.drop_pick(&self.pick);
            return Err(ended);
        }
    }
}
