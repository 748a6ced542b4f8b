//! Who sends a request: the user that its token stands for, or whose name its certificate bears. While users are not
//! told apart nobody looks at either.

use super::refuse;
use crate::handle::{Applied, Handle};
use crate::signed::Signer;
use crate::tokens;
use base::reached;
use etcd::{TOKEN, error};
use rt::tls::CommonName;
use store::{Command, Identity, Store};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
};

/// Where a request that came over HTTP carries its token.
const AUTHORIZATION: &str = "authorization";

/// What a request shows of its sender.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    token: Option<MetadataValue<Ascii>>,
    common_name: Option<CommonName>,
}

impl Shown {
    pub fn of<T>(request: &Request<T>) -> Self {
        let metadata = request.metadata();
        let token = metadata.get(TOKEN).or_else(|| metadata.get(AUTHORIZATION)).cloned();
        Self { token, common_name: request.extensions().get().cloned() }
    }

    pub fn token(&self) -> Option<&MetadataValue<Ascii>> {
        self.token.as_ref()
    }

    /// The user that its certificate names, if that is what counts.
    pub fn certified(&self) -> Option<&str> {
        let name = self.common_name.as_ref().map(|name| name.0.as_str());
        name.filter(|_| self.token.is_none())
    }
}

/// The sender of one request.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    user: Option<String>,
    /// Of users and roles, when its token was signed.
    revision: Option<u64>,
}

impl Sender {
    /// The user that a request's token stands for; without one, the user that the common name of its certificate names.
    /// A token that is not known here is an error; neither is nobody.
    pub async fn of(handle: &Handle, shown: &Shown) -> Result<Self, Status> {
        if !handle.with_store(|store| store.auth().enabled) {
            return Ok(Self::default());
        }
        let Some(token) = shown.token() else {
            return Ok(Self { user: shown.certified().map(str::to_string), revision: None });
        };
        let token = token.to_str().map_err(|_| error::invalid_auth_token())?;
        if let Some(signer) = &handle.config().listen.signer {
            return Self::signed(handle, signer, token).await;
        }
        let index = tokens::index(token).ok_or_else(error::invalid_auth_token)?;
        let known = rt::timeout(handle.request_timeout(), handle.wait_applied(index)).await.is_ok();
        let user = handle.user_of(token).filter(|_| known);
        reached!("member: a token is not known here", user.is_none());
        user.map(|user| Self { user: Some(user), revision: None }).ok_or_else(error::invalid_auth_token)
    }

    /// The user in a signed token. Users and roles must be as they were when it was signed; a member that lags waits
    /// until it knows of that.
    async fn signed(handle: &Handle, signer: &Signer, token: &str) -> Result<Self, Status> {
        let claims = signer.read(token, rt::wall()).ok_or_else(error::invalid_auth_token)?;
        let known = async {
            loop {
                let seen = handle.changed().version();
                if handle.with_store(|store| store.auth().revision) >= claims.revision {
                    return;
                }
                handle.changed().changed(seen).await;
            }
        };
        let _ = rt::timeout(handle.request_timeout(), known).await;
        let sender = Self { user: Some(claims.username), revision: Some(claims.revision) };
        sender.require_user(handle).map(|()| sender)
    }

    /// Who that is in this state.
    pub fn identity(&self, store: &Store) -> Option<Identity> {
        let revision = self.revision.unwrap_or(store.auth().revision);
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
            let old = applied.response == Err(store::Error::AuthOldRevision);
            if !old || self.revision.is_some() || rt::now() >= deadline {
                return Ok(applied);
            }
            reached!("member: a command starts again, as users or roles have changed");
        }
    }
}

/// A new token for a user of whom it is known that it is that one.
pub async fn token_for(handle: &Handle, user: &str) -> Result<String, Status> {
    if let Some(signer) = &handle.config().listen.signer {
        return sign(signer, user, handle.with_store(|store| store.auth().revision));
    }
    let deadline = rt::now() + handle.request_timeout();
    loop {
        let (word, checked) = (tokens::word(), handle.with_store(|store| store.auth().revision));
        let command = Command::Authenticate { user: user.into(), checked, token: word.clone() };
        let applied = handle.propose(command).await.map_err(refuse::by_propose)?;
        match applied.response {
            Ok(_) => return Ok(tokens::token(&word, applied.index)),
            Err(store::Error::AuthOldRevision) if rt::now() < deadline => {}
            Err(store::Error::UserNotFound) => return Err(error::permission_denied()),
            Err(refusal) => return Err(refuse::by_store(refusal)),
        }
    }
}

/// A token that says itself whom it stands for.
pub fn sign(signer: &Signer, user: &str, revision: u64) -> Result<String, Status> {
    signer.sign(user, revision, rt::wall()).map_err(|why| Status::failed_precondition(why.to_string()))
}
