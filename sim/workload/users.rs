//! What an operator does about users and space: each call written down, as who may do what is judged by it.

use super::{Ground, wire};
use crate::history::{Answer, Attempt, Body, Fact, LOAD, Outcome, Request, Rights, Span};
use crate::nemesis::now;
use crate::plan::UserDeed;
use base::{Knobs, reached};
use etcd::{Client, error, pb};
use pb::authpb::{Permission, permission::Type};
use std::net::SocketAddr;
use tonic::Status;

/// The one who may do everything, and his password.
const ROOT: (&str, &str) = ("root", "root");

/// A client of the store that may do everything, if clients are users.
pub fn root(stores: Vec<SocketAddr>, knobs: &Knobs, users: bool) -> Client {
    let client = Client::new(stores, knobs);
    if users { client.for_user(ROOT.0, ROOT.1) } else { client }
}

pub struct Office<'a> {
    pub name: &'a str,
    pub ground: &'a Ground,
    pub client: &'a Client,
}

fn client_name(number: u64) -> String {
    format!("client-{number}")
}

fn permission(rights: Rights) -> Permission {
    let span = Span::prefix(LOAD);
    let kind = if rights == Rights::Read { Type::Read } else { Type::Readwrite };
    Permission { perm_type: kind.into(), key: span.from.into(), range_end: span.to.into() }
}

/// An answer that says: it is so already.
fn already(answer: Result<(), Status>, said: error::Error) -> Result<(), Status> {
    match answer {
        Err(status) if error::kind(&status) == Some(said) => Ok(()),
        answer => answer,
    }
}

impl Office<'_> {
    /// One attempt at all of it. Those parts that were done before are done again, which changes nothing.
    pub async fn attempt(&self, deed: UserDeed) -> Result<(), Status> {
        match deed {
            UserDeed::Auth(on) => self.apart(on).await,
            UserDeed::Admit(number) => self.admit(&client_name(number)).await,
            UserDeed::Allow(number) => self.allow(&client_name(number), Rights::ReadWrite).await,
            UserDeed::AllowReading(number) => self.allow(&client_name(number), Rights::Read).await,
            UserDeed::Forbid(number) => self.allow(&client_name(number), Rights::None).await,
            UserDeed::Give(number) => self.give(&client_name(number), true).await,
            UserDeed::Take(number) => self.give(&client_name(number), false).await,
            UserDeed::Free => self.free().await,
        }
    }

    /// Writes down what an attempt to make a fact true came to.
    async fn noted(
        &self,
        fact: Fact,
        attempt: impl Future<Output = Result<(), Status>>,
    ) -> Result<(), Status> {
        let index = self.ground.seen.attempt(Attempt { call: now(), ret: u64::MAX, fact, done: None });
        let answer = attempt.await;
        let done = match &answer {
            Ok(()) => Some(true),
            Err(status) if matches!(wire::outcome_of(status), Outcome::Refused(_)) => Some(false),
            Err(_) => None,
        };
        self.ground.seen.attempted(index, now(), done);
        answer
    }

    async fn apart(&self, on: bool) -> Result<(), Status> {
        let turn = async {
            match on {
                true => {
                    let (name, password) = (ROOT.0.to_string(), ROOT.1.to_string());
                    let add = pb::AuthUserAddRequest { name, password, ..Default::default() };
                    already(self.client.user_add(add).await.map(drop), error::Error::UserAlreadyExist)?;
                    let (user, role) = (ROOT.0.to_string(), ROOT.0.to_string());
                    self.client.user_grant_role(pb::AuthUserGrantRoleRequest { user, role }).await?;
                    self.client.auth_enable(pb::AuthEnableRequest {}).await.map(drop)
                }
                false => self.client.auth_disable(pb::AuthDisableRequest {}).await.map(drop),
            }
        };
        self.noted(Fact::Apart(on), turn).await?;
        reached!("tank: users are told apart no more", !on);
        Ok(())
    }

    async fn admit(&self, user: &str) -> Result<(), Status> {
        let (name, password) = (user.to_string(), user.to_string());
        let add = pb::AuthUserAddRequest { name, password, ..Default::default() };
        already(self.client.user_add(add).await.map(drop), error::Error::UserAlreadyExist)?;
        let role = pb::AuthRoleAddRequest { name: user.into() };
        already(self.client.role_add(role).await.map(drop), error::Error::RoleAlreadyExist)?;
        self.allow(user, Rights::ReadWrite).await?;
        self.give(user, true).await
    }

    async fn allow(&self, user: &str, rights: Rights) -> Result<(), Status> {
        let Permission { key, range_end, .. } = permission(rights);
        let fact = Fact::May { user: user.into(), rights };
        let change = async {
            if rights == Rights::None {
                let request = pb::AuthRoleRevokePermissionRequest { role: user.into(), key, range_end };
                let answer = self.client.role_revoke_permission(request).await;
                return already(answer.map(drop), error::Error::PermissionNotGranted);
            }
            let perm = Some(permission(rights));
            let request = pb::AuthRoleGrantPermissionRequest { name: user.into(), perm };
            self.client.role_grant_permission(request).await.map(drop)
        };
        self.noted(fact, change).await
    }

    async fn give(&self, user: &str, has: bool) -> Result<(), Status> {
        let (name, role) = (user.to_string(), user.to_string());
        let change = async {
            if has {
                let request = pb::AuthUserGrantRoleRequest { user: name, role };
                return self.client.user_grant_role(request).await.map(drop);
            }
            let request = pb::AuthUserRevokeRoleRequest { name, role };
            let answer = self.client.user_revoke_role(request).await;
            already(answer.map(drop), error::Error::RoleNotGranted)
        };
        self.noted(Fact::Has { user: user.into(), role: has }, change).await
    }

    async fn free(&self) -> Result<(), Status> {
        let now_there = self.client.range(pb::RangeRequest::of_key("none")).await?;
        let at = wire::revision(&now_there.header);
        let op = self.ground.seen.call(self.name, now(), Request::Compact { at });
        let answer = self.client.compact(pb::CompactionRequest { revision: at, physical: false }).await;
        let outcome = match &answer {
            Ok(answer) => {
                Outcome::Done(Answer { revision: wire::revision(&answer.header), body: Body::Nothing })
            }
            Err(status) => wire::outcome_of(status),
        };
        self.ground.seen.answer(op, now(), outcome);
        already(answer.map(drop), error::Error::Compacted)?;
        for alarm in self.client.alarm(pb::AlarmRequest::default()).await?.alarms {
            reached!("tank: an alarm is taken back");
            let action = pb::alarm_request::AlarmAction::Deactivate.into();
            let request = pb::AlarmRequest { action, member_id: alarm.member_id, alarm: alarm.alarm };
            self.client.alarm(request).await?;
        }
        Ok(())
    }
}
