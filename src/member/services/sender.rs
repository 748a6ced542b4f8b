//! Who sends a request: the user that its token stands for. While users are not told apart nobody looks at tokens.

use super::refuse;
use crate::handle::{Applied, Handle};
use crate::tokens;
use base::reached;
use etcd::{TOKEN, error};
use store::{Command, Identity, Store};
use tonic::{Status, metadata::MetadataMap};

/// Where a request that came over HTTP carries its token.
const AUTHORIZATION: &str = "authorization";

/// The sender of one request.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    user: Option<String>,
}

impl Sender {
    /// The user that a request's token stands for. A token that is not known here is an error; none is nobody.
    pub async fn of(handle: &Handle, metadata: &MetadataMap) -> Result<Self, Status> {
        if !handle.with_store(|store| store.auth().enabled) {
            return Ok(Self::default());
        }
        let token = metadata.get(TOKEN).or_else(|| metadata.get(AUTHORIZATION));
        let Some(token) = token else { return Ok(Self::default()) };
        let token = token.to_str().map_err(|_| error::invalid_auth_token())?;
        let index = tokens::index(token).ok_or_else(error::invalid_auth_token)?;
        let known = rt::timeout(handle.request_timeout(), handle.wait_applied(index)).await.is_ok();
        let user = handle.user_of(token).filter(|_| known);
        reached!("member: a token is not known here", user.is_none());
        user.map(|user| Self { user: Some(user) }).ok_or_else(error::invalid_auth_token)
    }

    /// Who that is in this state.
    pub fn identity(&self, store: &Store) -> Option<Identity> {
        let revision = store.auth().revision;
        self.user.clone().map(|user| Identity { user, revision })
    }

    /// The name; nothing if it is nobody.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Refuses who may not administer, as far as is known here.
    pub fn require_admin(&self, handle: &Handle) -> Result<(), Status> {
        let permitted = handle.with_store(|store| store.auth().permit_admin(self.identity(store).as_ref()));
        permitted.map_err(refuse::by_store)
    }

    /// Refuses who is no user, as far as is known here.
    pub fn require_user(&self, handle: &Handle) -> Result<(), Status> {
        let permitted = handle.with_store(|store| store.auth().permit_user(self.identity(store).as_ref()));
        permitted.map_err(refuse::by_store)
    }

    /// Agrees on a command of this sender. Users that changed meanwhile make it start again: it was refused then.
    pub async fn propose(&self, handle: &Handle, command: Command) -> Result<Applied, Status> {
        let deadline = rt::now() + handle.request_timeout();
        loop {
            let by = handle.with_store(|store| self.identity(store));
            let applied = handle.propose_by(by, command.clone()).await.map_err(refuse::by_propose)?;
            if applied.response != Err(store::Error::AuthOldRevision) || rt::now() >= deadline {
                return Ok(applied);
            }
            reached!("member: a command starts again, as users or roles have changed");
        }
    }
}
