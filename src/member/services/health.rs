//! gRPC's own question whether a server serves. Like etcd, a member that answers at all serves; whether it has a leader
//! is what `/health` says.

use etcd::pb::grpc_health::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server,
};
use futures::{StreamExt, stream};
use std::pin::Pin;
use tonic::{Request, Response, Status};

pub struct Health;

type Answers = Pin<Box<dyn futures::Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

fn status_of(service: &str) -> ServingStatus {
    if service.is_empty() { ServingStatus::Serving } else { ServingStatus::ServiceUnknown }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = Answers;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match status_of(&request.get_ref().service) {
            ServingStatus::ServiceUnknown => Err(Status::not_found("unknown service")),
            status => Ok(Response::new(HealthCheckResponse { status: status.into() })),
        }
    }

    /// Says it once: it never changes.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let status = status_of(&request.get_ref().service).into();
        let once = stream::once(async move { Ok(HealthCheckResponse { status }) });
        Ok(Response::new(Box::pin(once.chain(stream::pending()))))
    }
}
