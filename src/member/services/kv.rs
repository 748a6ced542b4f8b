//! Ranges, puts, deletes, txns and compaction. Writes and linearizable reads go through Raft, on any member;
//! serializable reads are answered from what this member has applied.

use super::{admit, admit_at_learner, convert, refuse, refuse_if_learner, sender::Sender, space};
use crate::{
    handle::{Applied, Handle},
    slow,
};
use base::reached;
use etcd::{error, pb};
use pb::request_op::Request as Op;
use prost::Message;
use rt::sync::mpsc;
use store::{Command, RangeResponse, Response as Answer, Store, auth::Access};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

pub struct Kv {
    handle: Handle,
}

impl Kv {
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// Refuses what is too large, then what no state could accept; agrees on the rest.
    async fn write(
        &self,
        sender: &Sender,
        command: Command,
        bytes: usize,
    ) -> Result<(Answer, pb::ResponseHeader), Status> {
        if bytes as u64 > self.handle.knobs().request_bytes {
            return Err(error::request_too_large());
        }
        store::check(&command, self.handle.knobs().txn_ops as usize).map_err(refuse::by_store)?;
        space::afford(&self.handle, &command).await?;
        let Applied { revision, response, .. } = sender.propose(&self.handle, command).await?;
        Ok((response.map_err(refuse::by_store)?, self.handle.header(revision)))
    }

    /// A range as asked for, and the state it was read from.
    async fn read(&self, request: Request<pb::RangeRequest>) -> Result<(RangeResponse, Store), Status> {
        let serializable = request.get_ref().serializable;
        if !serializable {
            refuse_if_learner(&self.handle)?;
        }
        let began = rt::now();
        let (sender, request) = admit_at_learner(&self.handle, request).await?;
        let request = convert::range(request)?;
        request.check().map_err(refuse::by_store)?;
        let read = self.range_of(&sender, &request, serializable).await;
        let keys = read.as_ref().ok().map(|(answer, _)| answer.kvs.len());
        slow::ranged(&self.handle, began, &request, keys);
        read
    }

    async fn range_of(
        &self,
        sender: &Sender,
        request: &store::RangeRequest,
        serializable: bool,
    ) -> Result<(RangeResponse, Store), Status> {
        self.up_to_date(serializable).await?;
        let store = self.handle.store(); // a long range must not keep writes waiting
        reached!(
            "member: a serializable read is behind what is committed",
            serializable && self.handle.view().committed > store.applied()
        );
        let by = sender.identity(&store);
        let permitted = store.auth().permit(by.as_ref(), &request.key, &request.range_end, Access::Read);
        let answer = permitted.and_then(|()| store.range(request)).map_err(refuse::by_store)?;
        Ok((answer, store))
    }

    /// As far as a read wants it.
    async fn up_to_date(&self, serializable: bool) -> Result<(), Status> {
        if serializable {
            self.handle.stood_up().await;
            return Ok(());
        }
        self.handle.read_index().await.map_err(refuse::by_read)
    }

    async fn read_txn(
        &self,
        sender: &Sender,
        txn: store::TxnRequest,
        serializable: bool,
    ) -> Result<pb::TxnResponse, Status> {
        let command = Command::Txn(txn);
        store::check(&command, self.handle.knobs().txn_ops as usize).map_err(refuse::by_store)?;
        let Command::Txn(txn) = command else { unreachable!("made above") };
        let began = rt::now();
        self.up_to_date(serializable).await?;
        let (answer, revision) = self.handle.with_store(|store| {
            let permitted = store.permit_txn(sender.identity(store).as_ref(), &txn);
            (store.read_txn(&txn).map(|answer| permitted.and(answer)), store.revision())
        });
        slow::read(&self.handle, began, &txn);
        let answer = answer.expect("a txn that only reads is answered as a read");
        Ok(convert::txn_response(self.handle.header(revision), answer.map_err(refuse::by_store)?))
    }
}

/// Parts of a range that wait for the client to read.
const PARTS: usize = 4;

/// What is sorted, or filtered by revision, is not known in parts (as with etcd).
fn refuse_unstreamable(request: &pb::RangeRequest) -> Result<(), Status> {
    let by_key =
        request.sort_target == 0 && request.sort_order != pb::range_request::SortOrder::Descend as i32;
    let filters = [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    if by_key && filters == [0; 4] {
        return Ok(());
    }
    Err(Status::unimplemented(
        "etcdserver: range stream does not support custom sort orders or revision filters",
    ))
}

/// True when no operation of a txn asks for more than what this member has applied.
fn is_serializable(txn: &pb::TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).all(|op| match &op.request {
        Some(Op::RequestRange(range)) => range.serializable,
        Some(Op::RequestTxn(txn)) => is_serializable(txn),
        _ => false,
    }) && !(txn.success.is_empty() && txn.failure.is_empty())
}

#[tonic::async_trait]
impl pb::kv_server::Kv for Kv {
    type RangeStreamStream = ReceiverStream<Result<pb::RangeStreamResponse, Status>>;

    async fn range(&self, request: Request<pb::RangeRequest>) -> Result<Response<pb::RangeResponse>, Status> {
        let (answer, store) = self.read(request).await?;
        let header = Some(self.handle.header(store.revision()));
        Ok(Response::new(convert::range_response(header, answer)))
    }

    /// The same, in parts: none is much larger than a request may be.
    async fn range_stream(
        &self,
        request: Request<pb::RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        refuse_unstreamable(request.get_ref())?;
        let (answer, store) = self.read(request).await?;
        let header = self.handle.header(store.revision());
        let most = self.handle.knobs().request_bytes as usize;
        let (out, parts) = mpsc::channel(PARTS);
        rt::spawn(async move {
            for part in convert::range_parts(header, answer, most) {
                if out.send(Ok(pb::RangeStreamResponse { range_response: Some(part) })).await.is_err() {
                    return reached!("member: nobody waits for the rest of a range");
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(parts)))
    }

    async fn put(&self, request: Request<pb::PutRequest>) -> Result<Response<pb::PutResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        let bytes = request.encoded_len();
        let (answer, header) = self.write(&sender, Command::Put(convert::put(request)), bytes).await?;
        let Answer::Put(answer) = answer else { return Err(refuse::mismatch()) };
        Ok(Response::new(convert::put_response(Some(header), answer)))
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        let bytes = request.encoded_len();
        let (answer, header) =
            self.write(&sender, Command::DeleteRange(convert::delete_range(request)), bytes).await?;
        let Answer::DeleteRange(answer) = answer else { return Err(refuse::mismatch()) };
        Ok(Response::new(convert::delete_range_response(Some(header), answer)))
    }

    async fn txn(&self, request: Request<pb::TxnRequest>) -> Result<Response<pb::TxnResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        let (bytes, serializable) = (request.encoded_len(), is_serializable(&request));
        let txn = convert::txn(request)?;
        if txn.is_read_only() {
            return self.read_txn(&sender, txn, serializable).await.map(Response::new);
        }
        let (answer, header) = self.write(&sender, Command::Txn(txn), bytes).await?;
        let Answer::Txn(answer) = answer else { return Err(refuse::mismatch()) };
        Ok(Response::new(convert::txn_response(header, answer)))
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        let bytes = request.encoded_len();
        let (_, header) = self.write(&sender, Command::Compact { revision: request.revision }, bytes).await?;
        Ok(Response::new(pb::CompactionResponse { header: Some(header) }))
    }
}
