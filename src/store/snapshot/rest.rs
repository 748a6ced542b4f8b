//! What is not about keys: members, users, roles and alarms. There is little of it, so that its records are made at once.

use super::LENGTH;
use super::RestoreError;
use super::fields::{Reader, Record};
use crate::auth::{Access, Role, User};
use crate::{Alarm, AlarmKind, Auth, Member, Store};
use base::{LAST, MemberId, bug};
use bytes::Bytes;
use std::sync::Arc;

const MEMBER: u8 = 6;
const REMOVED: u8 = 7;
const AUTH: u8 = 8;
const USER: u8 = 9;
const ROLE: u8 = 10;
const ALARM: u8 = 11;

/// All records of a state.
pub(super) fn records(store: &Store) -> Vec<Record> {
    let members = store.members.present.iter().map(|(id, member)| member_record(*id, member));
    let removed = store.members.removed.iter().map(|id| Record::new(REMOVED).number(id.0));
    let alarms = store.alarms.iter().map(alarm_record);
    members.chain(removed).chain(auth_records(&store.auth)).chain(alarms).collect()
}

/// Bytes of all of them in a snapshot.
pub(crate) fn bytes(store: &Store) -> u64 {
    records(store).iter().map(|record| LENGTH + record.0.len() as u64).sum()
}

fn member_record(id: MemberId, member: &Member) -> Record {
    let record =
        Record::new(MEMBER).number(id.0).number(u64::from(member.learner)).bytes(member.name.as_bytes());
    record.texts(&member.peer_urls).texts(&member.client_urls)
}

/// None before the first change.
fn auth_records(auth: &Auth) -> Vec<Record> {
    if *auth == Auth::default() {
        return Vec::new();
    }
    let head = Record::new(AUTH).number(u64::from(auth.enabled)).number(auth.revision);
    let users = auth.users.iter().map(|(name, user)| user_record(name, user));
    let roles = auth.roles.iter().map(|(name, role)| role_record(name, role));
    [head].into_iter().chain(users).chain(roles).collect()
}

fn user_record(name: &str, user: &User) -> Record {
    let roles: Vec<String> = user.roles.iter().cloned().collect();
    let record = Record::new(USER).bytes(name.as_bytes()).number(u64::from(user.password.is_some()));
    record.bytes(user.password.as_deref().unwrap_or_default()).texts(&roles)
}

fn role_record(name: &str, role: &Role) -> Record {
    let record = Record::new(ROLE).bytes(name.as_bytes()).number(role.permissions.len() as u64);
    role.permissions.iter().fold(record, |record, ((key, end), access)| {
        let access = match access {
            Access::Read => 0,
            Access::Write => 1,
            Access::ReadWrite => 2,
        };
        record.bytes(key).bytes(end).number(access)
    })
}

fn alarm_record(alarm: &Alarm) -> Record {
    let kind = match alarm.kind {
        AlarmKind::NoSpace => 1,
        AlarmKind::Corrupt => 2,
    };
    Record::new(ALARM).number(alarm.member.0).number(kind)
}

impl Store {
    /// Reads a record of one of these kinds.
    pub(super) fn read_rest(&mut self, tag: u8, fields: &mut Reader) -> Result<(), RestoreError> {
        match tag {
            MEMBER => self.read_member(fields),
            REMOVED => {
                let id = MemberId(fields.number()?);
                if bug!("B01") {
                    return Ok(()); // etcd-io/etcd#20995: behind a snapshot nobody was ever removed
                }
                Arc::make_mut(&mut self.members).removed.insert(id);
                Ok(())
            }
            AUTH => {
                let auth = Arc::make_mut(&mut self.auth);
                auth.enabled = fields.number()? != 0;
                auth.revision = fields.number()?;
                if auth.revision <= LAST { Ok(()) } else { Err(RestoreError::Malformed { at: fields.at }) }
            }
            USER => self.read_user(fields),
            ROLE => self.read_role(fields),
            ALARM => self.read_alarm(fields),
            _ => Err(RestoreError::Malformed { at: fields.at }),
        }
    }

    fn read_member(&mut self, fields: &mut Reader) -> Result<(), RestoreError> {
        let id = MemberId(fields.number()?);
        let learner = fields.number()? != 0;
        let name = fields.text()?;
        let (peer_urls, client_urls) = (fields.texts()?, fields.texts()?);
        let members = Arc::make_mut(&mut self.members);
        members.present.insert(id, Member { name, peer_urls, client_urls, learner });
        Ok(())
    }

    fn read_user(&mut self, fields: &mut Reader) -> Result<(), RestoreError> {
        let name = fields.text()?;
        let has_password = fields.number()? != 0;
        let password = Bytes::copy_from_slice(fields.block()?);
        let roles = fields.texts()?.into_iter().collect();
        let user = User { password: has_password.then_some(password), roles };
        Arc::make_mut(&mut self.auth).users.insert(name, user);
        Ok(())
    }

    fn read_role(&mut self, fields: &mut Reader) -> Result<(), RestoreError> {
        let name = fields.text()?;
        let mut role = Role::default();
        for _ in 0..fields.number()? {
            let range = (Bytes::copy_from_slice(fields.block()?), Bytes::copy_from_slice(fields.block()?));
            let access = match fields.number()? {
                0 => Access::Read,
                1 => Access::Write,
                2 => Access::ReadWrite,
                _ => return Err(RestoreError::Malformed { at: fields.at }),
            };
            role.permissions.insert(range, access);
        }
        if bug!("T03") {
            role = Role::default(); // etcd-io/etcd#14571: what roles may do is not known again behind a snapshot
        }
        Arc::make_mut(&mut self.auth).roles.insert(name, role);
        Ok(())
    }

    fn read_alarm(&mut self, fields: &mut Reader) -> Result<(), RestoreError> {
        let member = MemberId(fields.number()?);
        let kind = match fields.number()? {
            1 => AlarmKind::NoSpace,
            2 => AlarmKind::Corrupt,
            _ => return Err(RestoreError::Malformed { at: fields.at }),
        };
        self.alarms.insert(Alarm { member, kind });
        Ok(())
    }
}
