//! The words about users, roles and alarms.

use super::{Parsed, Words, parse_range};
use base::MemberId;
use store::auth::{Access, AuthChange, Identity};
use store::{Alarm, AlarmChange, AlarmKind, Auth, Command};

impl Words {
    /// A change of users, roles or alarms, if the word is one for that.
    pub fn auth(&mut self, name: &str) -> Parsed<Option<Command>> {
        let change = match name {
            "enable" => AuthChange::Enable,
            "disable" => AuthChange::Disable,
            "user" => AuthChange::UserAdd { name: self.next()?, password: self.next().ok().map(Into::into) },
            "user-delete" => AuthChange::UserDelete { name: self.next()? },
            "password" => AuthChange::UserChangePassword {
                name: self.next()?,
                password: self.next().ok().map(Into::into),
            },
            "give" => AuthChange::UserGrantRole { name: self.next()?, role: self.next()? },
            "take" => AuthChange::UserRevokeRole { name: self.next()?, role: self.next()? },
            "role" => AuthChange::RoleAdd { role: self.next()? },
            "role-delete" => AuthChange::RoleDelete { role: self.next()? },
            "allow" => {
                let (role, (key, range_end)) = (self.next()?, parse_range(&self.next()?));
                AuthChange::RoleGrantPermission { role, key, range_end, access: self.access()? }
            }
            "forbid" => {
                let (role, (key, range_end)) = (self.next()?, parse_range(&self.next()?));
                AuthChange::RoleRevokePermission { role, key, range_end }
            }
            "login" => {
                let (user, checked) = (self.next()?, self.number()? as u64);
                return Ok(Some(Command::Authenticate { user, checked, token: "word".into() }));
            }
            "raise" => return Ok(Some(Command::Alarm(AlarmChange::Raise(self.alarm()?)))),
            "disarm" => return Ok(Some(Command::Alarm(AlarmChange::Disarm(self.alarm()?)))),
            _ => return Ok(None),
        };
        Ok(Some(Command::Auth(change)))
    }

    pub fn access(&mut self) -> Parsed<Access> {
        match self.next()?.as_str() {
            "read" => Ok(Access::Read),
            "write" => Ok(Access::Write),
            "readwrite" => Ok(Access::ReadWrite),
            other => Err(format!("expected read, write or readwrite, got {other}").into()),
        }
    }

    fn alarm(&mut self) -> Parsed<Alarm> {
        let member = MemberId(self.number()? as u64);
        let kind = match self.next()?.as_str() {
            "nospace" => AlarmKind::NoSpace,
            "corrupt" => AlarmKind::Corrupt,
            other => return Err(format!("no alarm is called {other}").into()),
        };
        Ok(Alarm { member, kind })
    }

    /// `USER` as of now, `USER@REVISION`, or `nobody`.
    pub fn identity(&mut self, auth: &Auth) -> Parsed<Option<Identity>> {
        let word = self.next()?;
        if word == "nobody" {
            return Ok(None);
        }
        let (user, revision) = match word.split_once('@') {
            Some((user, revision)) => (user, revision.parse()?),
            None => (word.as_str(), auth.revision),
        };
        Ok(Some(Identity { user: user.into(), revision }))
    }
}
