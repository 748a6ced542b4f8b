//! Users, roles and tokens. Passwords never enter the log: what does is their hash, made here.
//!
//! Reading users and roles is linearizable, as changing them is.

use super::{
    admit, refuse, refuse_if_learner,
    sender::{self, Sender},
};
use crate::{handle::Handle, tokens};
use base::{Revision, reached};
use bytes::Bytes;
use etcd::{error, pb};
use pb::authpb;
use std::sync::Arc;
use store::auth::{Access, Auth as Users, AuthChange};
use store::{Command, Error};
use tonic::{Request, Response, Status};

/// bcrypt takes no more of a password than this many bytes; a longer one is refused.
const LONGEST: usize = 72;

pub struct Auth {
    handle: Handle,
}

/// bcrypt's own limits on the cost; etcd takes the default outside of them.
fn cost(handle: &Handle) -> u32 {
    let cost = handle.knobs().bcrypt_cost;
    if (4..=31).contains(&cost) { cost as u32 } else { 10 }
}

async fn hash(handle: &Handle, password: String) -> Result<Bytes, Status> {
    if password.len() > LONGEST {
        return Err(Status::invalid_argument(format!(
            "expected a password of at most {LONGEST} bytes, got {}",
            password.len()
        )));
    }
    let cost = cost(handle);
    let mut salt = [0; 16];
    salt.copy_from_slice(&rt::random_bytes(16));
    let hashed = rt::heavy(move || bcrypt::hash_with_salt(password, cost, salt)).await;
    let hashed = hashed.map_err(|why| Status::internal(format!("the password cannot be hashed: {why}")))?;
    Ok(hashed.to_string().into())
}

async fn is_right(password: String, hash: Bytes) -> bool {
    let compare = move || {
        let hash = std::str::from_utf8(&hash).unwrap_or_default();
        bcrypt::verify(password, hash).unwrap_or(false)
    };
    rt::heavy(compare).await
}

impl Auth {
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    fn head(&self, revision: Revision) -> Option<pb::ResponseHeader> {
        Some(self.handle.header(revision))
    }

    async fn change(
        &self,
        sender: &Sender,
        change: AuthChange,
    ) -> Result<Option<pb::ResponseHeader>, Status> {
        let command = Command::Auth(change);
        if let Err(wrong) = store::check(&command, 0) {
            // who may not ask is told so, and nothing of what was asked
            self.handle
                .with_store(|store| store.auth().permit_admin(sender.identity(store).as_ref()))
                .map_err(refuse::by_store)?;
            return Err(refuse::by_store(wrong));
        }
        let applied = sender.propose(&self.handle, command).await?;
        applied.response.map_err(refuse::by_store)?;
        Ok(self.head(applied.revision))
    }

    /// The users and roles as they are at some moment of the request, for those who may know them.
    async fn read(
        &self,
        sender: &Sender,
        may: impl Fn(&Users) -> bool,
    ) -> Result<(Arc<Users>, Option<pb::ResponseHeader>), Status> {
        self.handle.read_index().await.map_err(refuse::by_read)?;
        let store = self.handle.store();
        let users = store.auth().clone();
        if !may(&users) {
            users.permit_admin(sender.identity(&store).as_ref()).map_err(refuse::by_store)?;
        }
        Ok((users, self.head(store.revision())))
    }

    /// Checks a password against the users as they are, and makes a token known for it.
    async fn authenticate(&self, name: &str, password: &str) -> Result<pb::AuthenticateResponse, Status> {
        loop {
            self.handle.read_index().await.map_err(refuse::by_read)?;
            let users = self.handle.with_store(|store| store.auth().clone());
            if !users.enabled {
                return Err(error::auth_not_enabled());
            }
            let hash = users.users.get(name).and_then(|user| user.password.clone());
            let hash = hash.ok_or_else(error::auth_failed)?;
            if !is_right(password.into(), hash).await {
                reached!("member: a password was wrong");
                return Err(error::auth_failed());
            }
            if let Some(signer) = &self.handle.config().listen.signer {
                let token = sender::sign(signer, name, users.revision)?;
                let header = self.head(self.handle.with_store(store::Store::revision));
                return Ok(pb::AuthenticateResponse { header, token });
            }
            let (user, token) = (name.to_owned(), tokens::word());
            let command = Command::Authenticate { user, checked: users.revision, token: token.clone() };
            let applied = self.handle.propose(command).await.map_err(refuse::by_propose)?;
            match applied.response {
                Ok(_) => {
                    let token = tokens::token(&token, applied.index);
                    return Ok(pb::AuthenticateResponse { header: self.head(applied.revision), token });
                }
                Err(Error::AuthOldRevision) => {
                    reached!("member: a password is checked again, as users have changed");
                }
                Err(Error::UserNotFound) => return Err(error::auth_failed()),
                Err(refusal) => return Err(refuse::by_store(refusal)),
            }
        }
    }
}

fn access(permission: &authpb::Permission) -> Result<Access, Status> {
    match authpb::permission::Type::try_from(permission.perm_type) {
        Ok(authpb::permission::Type::Read) => Ok(Access::Read),
        Ok(authpb::permission::Type::Write) => Ok(Access::Write),
        Ok(authpb::permission::Type::Readwrite) => Ok(Access::ReadWrite),
        Err(_) => Err(error::permission_not_given()),
    }
}

fn permission((range, access): (&(Bytes, Bytes), &Access)) -> authpb::Permission {
    let kind = match access {
        Access::Read => authpb::permission::Type::Read,
        Access::Write => authpb::permission::Type::Write,
        Access::ReadWrite => authpb::permission::Type::Readwrite,
    };
    authpb::Permission { perm_type: kind.into(), key: range.0.clone(), range_end: range.1.clone() }
}

/// What a role may do; root may do everything, whatever is written down for it.
fn permissions(users: &Users, role: &str) -> Result<Vec<authpb::Permission>, Status> {
    let known = users.roles.get(role).ok_or_else(error::role_not_found)?;
    let all = (Bytes::new(), Bytes::from_static(&[0]));
    match role {
        store::auth::ROOT => Ok(vec![permission((&all, &Access::ReadWrite))]),
        _ => Ok(known.permissions.iter().map(permission).collect()),
    }
}

impl Auth {
    async fn user_add_change(&self, request: pb::AuthUserAddRequest) -> Result<AuthChange, Status> {
        let without = request.options.is_some_and(|options| options.no_password);
        let password = if without { None } else { Some(hash(&self.handle, request.password).await?) };
        Ok(AuthChange::UserAdd { name: request.name, password })
    }

    async fn password_change(
        &self,
        request: pb::AuthUserChangePasswordRequest,
    ) -> Result<AuthChange, Status> {
        let password = Some(hash(&self.handle, request.password).await?);
        Ok(AuthChange::UserChangePassword { name: request.name, password })
    }
}

fn grant(request: pb::AuthRoleGrantPermissionRequest) -> Result<AuthChange, Status> {
    let given = request.perm.ok_or_else(error::permission_not_given)?;
    let access = access(&given)?;
    let (role, key, range_end) = (request.name, given.key, given.range_end);
    Ok(AuthChange::RoleGrantPermission { role, key, range_end, access })
}

/// The service: requests that change one thing, whose answer is that it was done, and the others as they stand.
macro_rules! service {
    (
        changes($self:ident, $request:ident) {
            $($method:ident($kind:ident) -> $answer:ident: $change:expr;)+
        }
        $($others:tt)*
    ) => {
        #[tonic::async_trait]
        impl pb::auth_server::Auth for Auth {
            $(
                async fn $method(
                    &$self,
                    request: Request<pb::$kind>,
                ) -> Result<Response<pb::$answer>, Status> {
                    let (sender, $request) = admit(&$self.handle, request).await?;
                    let header = $self.change(&sender, $change).await?;
                    Ok(Response::new(pb::$answer { header }))
                }
            )+
            $($others)*
        }
    };
}

service! {
    changes(self, r) {
        user_add(AuthUserAddRequest) -> AuthUserAddResponse: self.user_add_change(r).await?;
        user_delete(AuthUserDeleteRequest) -> AuthUserDeleteResponse: AuthChange::UserDelete { name: r.name };
        user_change_password(AuthUserChangePasswordRequest) -> AuthUserChangePasswordResponse:
            self.password_change(r).await?;
        user_grant_role(AuthUserGrantRoleRequest) -> AuthUserGrantRoleResponse:
            AuthChange::UserGrantRole { name: r.user, role: r.role };
        user_revoke_role(AuthUserRevokeRoleRequest) -> AuthUserRevokeRoleResponse:
            AuthChange::UserRevokeRole { name: r.name, role: r.role };
        role_add(AuthRoleAddRequest) -> AuthRoleAddResponse: AuthChange::RoleAdd { role: r.name };
        role_delete(AuthRoleDeleteRequest) -> AuthRoleDeleteResponse: AuthChange::RoleDelete { role: r.role };
        role_grant_permission(AuthRoleGrantPermissionRequest) -> AuthRoleGrantPermissionResponse: grant(r)?;
        role_revoke_permission(AuthRoleRevokePermissionRequest) -> AuthRoleRevokePermissionResponse:
            AuthChange::RoleRevokePermission { role: r.role, key: r.key, range_end: r.range_end };
    }

    async fn auth_enable(
        &self,
        request: Request<pb::AuthEnableRequest>,
    ) -> Result<Response<pb::AuthEnableResponse>, Status> {
        let (sender, _) = admit(&self.handle, request).await?;
        let header = self.change(&sender, AuthChange::Enable).await?;
        Ok(Response::new(pb::AuthEnableResponse { header }))
    }

    async fn auth_disable(
        &self,
        request: Request<pb::AuthDisableRequest>,
    ) -> Result<Response<pb::AuthDisableResponse>, Status> {
        let (sender, _) = admit(&self.handle, request).await?;
        let header = self.change(&sender, AuthChange::Disable).await?;
        Ok(Response::new(pb::AuthDisableResponse { header }))
    }

    async fn auth_status(
        &self,
        request: Request<pb::AuthStatusRequest>,
    ) -> Result<Response<pb::AuthStatusResponse>, Status> {
        let (sender, _) = admit(&self.handle, request).await?;
        let (users, header) = self.read(&sender, |_| false).await?;
        let (enabled, auth_revision) = (users.enabled, users.revision);
        Ok(Response::new(pb::AuthStatusResponse { header, enabled, auth_revision }))
    }

    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::AuthenticateResponse>, Status> {
        refuse_if_learner(&self.handle)?; // nobody who asks for a token has one
        let request = request.into_inner();
        let answer = self.authenticate(&request.name, &request.password);
        let answer = rt::timeout(self.handle.request_timeout(), answer).await;
        answer.unwrap_or_else(|_| Err(error::timeout())).map(Response::new)
    }

    async fn user_get(
        &self,
        request: Request<pb::AuthUserGetRequest>,
    ) -> Result<Response<pb::AuthUserGetResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        let (users, header) = self.read(&sender, |_| sender.user() == Some(&request.name)).await?;
        let user = users.users.get(&request.name).ok_or_else(error::user_not_found)?;
        let roles = user.roles.iter().cloned().collect();
        Ok(Response::new(pb::AuthUserGetResponse { header, roles }))
    }

    async fn user_list(
        &self,
        request: Request<pb::AuthUserListRequest>,
    ) -> Result<Response<pb::AuthUserListResponse>, Status> {
        let (sender, _) = admit(&self.handle, request).await?;
        let (users, header) = self.read(&sender, |_| false).await?;
        Ok(Response::new(pb::AuthUserListResponse { header, users: users.users.keys().cloned().collect() }))
    }

    async fn role_get(
        &self,
        request: Request<pb::AuthRoleGetRequest>,
    ) -> Result<Response<pb::AuthRoleGetResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        let has = |users: &Users| {
            let user = sender.user().and_then(|user| users.users.get(user));
            user.is_some_and(|user| user.roles.contains(&request.role))
        };
        let (users, header) = self.read(&sender, has).await?;
        Ok(Response::new(pb::AuthRoleGetResponse { header, perm: permissions(&users, &request.role)? }))
    }

    async fn role_list(
        &self,
        request: Request<pb::AuthRoleListRequest>,
    ) -> Result<Response<pb::AuthRoleListResponse>, Status> {
        let (sender, _) = admit(&self.handle, request).await?;
        let (users, header) = self.read(&sender, |_| false).await?;
        Ok(Response::new(pb::AuthRoleListResponse { header, roles: users.roles.keys().cloned().collect() }))
    }
}
