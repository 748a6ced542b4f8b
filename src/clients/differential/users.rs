//! Users, roles and permissions, drawn like the other operations, and who asks: root, somebody who may less, somebody
//! with an old token, nobody.

use super::{
    differs,
    draw::Drawer,
    pair::{Clients, alike},
};
use etcd::pb;
use pb::authpb::{Permission, UserAddOptions, permission::Type};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Op {
    Enable,
    Disable,
    UserAdd(pb::AuthUserAddRequest),
    UserDelete(pb::AuthUserDeleteRequest),
    UserGet(pb::AuthUserGetRequest),
    UserList,
    ChangePassword(pb::AuthUserChangePasswordRequest),
    GrantRole(pb::AuthUserGrantRoleRequest),
    RevokeRole(pb::AuthUserRevokeRoleRequest),
    RoleAdd(pb::AuthRoleAddRequest),
    RoleGet(pb::AuthRoleGetRequest),
    RoleList,
    RoleDelete(pb::AuthRoleDeleteRequest),
    Grant(pb::AuthRoleGrantPermissionRequest),
    Revoke(pb::AuthRoleRevokePermissionRequest),
}

impl Op {
    /// The password it sets, if it is done.
    fn sets(&self) -> Option<(&str, &str)> {
        match self {
            Op::UserAdd(add) => Some((&add.name, &add.password)),
            Op::ChangePassword(change) => Some((&change.name, &change.password)),
            _ => None,
        }
    }
}

const ROOT: &str = "root";
const NOBODY: &str = "nobody";
const USERS: [&str; 4] = [ROOT, "ann", "bob", "carl"];
const ROLES: [&str; 4] = [ROOT, "reads", "writes", "all"];

/// Draws, and keeps who has which password, and whose tokens are still at hand.
pub struct Office {
    rng: ChaCha8Rng,
    passwords: BTreeMap<String, String>,
    callers: BTreeMap<&'static str, Clients>,
    nobody: Clients,
    /// How many operations were done, and how many refused.
    pub counts: [usize; 2],
}

impl Office {
    pub fn new(seed: u64, nobody: Clients) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { rng, passwords: BTreeMap::new(), callers: BTreeMap::new(), nobody, counts: [0; 2] }
    }

    /// One operation on users, or on keys, by somebody.
    pub async fn ask(&mut self, drawer: &mut Drawer) -> Result<(), String> {
        let (name, clients) = self.caller();
        if self.rng.gen_ratio(1, 2) {
            let op = drawer.next();
            let otherwise = differs::lets_users_pass(&op) || differs::permits_otherwise(&op);
            if differs::lets_strangers_lease(&op) || name != ROOT && otherwise {
                return Ok(());
            }
            let said = clients.ask(&op).await.map_err(|why| format!("{name}: {why}"))?;
            drawer.learn(said);
            self.count(said.0);
            return Ok(());
        }
        let op = self.draw();
        let revision = ask(&clients, &op).await.map_err(|why| format!("{name}: {why}"))?;
        self.count(revision);
        if revision > 0
            && let Some((user, password)) = op.sets()
        {
            self.learn(user, password, matches!(op, Op::UserAdd(_)));
        }
        Ok(())
    }

    /// An answer without a revision is a refusal.
    fn count(&mut self, revision: i64) {
        self.counts[usize::from(revision == 0)] += 1;
    }

    /// Who was added without a password never gets one.
    fn learn(&mut self, user: &str, password: &str, is_new: bool) {
        if is_new || self.passwords.get(user).is_some_and(|password| !password.is_empty()) {
            self.passwords.insert(user.into(), password.into());
        }
    }

    /// With the token of before, most of the time, if there is one.
    fn caller(&mut self) -> (&'static str, Clients) {
        if self.rng.gen_ratio(1, 10) {
            return (NOBODY, self.nobody.clone());
        }
        let name = if self.rng.gen_ratio(1, 2) { ROOT } else { self.one_of(&USERS) };
        // etcd tells everyone who has no password; ours says what it says of a wrong one
        if self.passwords.get(name).is_some_and(String::is_empty) {
            return (NOBODY, self.nobody.clone());
        }
        if let Some(clients) = self.callers.get(name)
            && self.rng.gen_ratio(3, 4)
        {
            return (name, clients.clone());
        }
        let right = self.passwords.get(name).filter(|_| self.rng.gen_ratio(19, 20));
        let clients = self.nobody.for_user(name, right.map_or("wrong", String::as_str));
        self.callers.insert(name, clients.clone());
        (name, clients)
    }

    fn one_of(&mut self, all: &[&'static str]) -> &'static str {
        all.choose(&mut self.rng).expect("some")
    }

    /// One that cannot be there, now and then.
    fn name(&mut self, all: &[&'static str]) -> String {
        match self.rng.gen_range(0..40) {
            0 => String::new(),
            1 => "none".into(),
            _ => self.one_of(all).into(),
        }
    }

    /// What a permission is for: the same key always with the same end ([`differs::PERMITTED`]).
    fn range(&mut self) -> (bytes::Bytes, bytes::Bytes) {
        let (key, end) = *differs::PERMITTED.choose(&mut self.rng).expect("some");
        (key.into(), end.into())
    }

    fn draw(&mut self) -> Op {
        match self.rng.gen_range(0..100) {
            0..=7 => Op::Enable,
            8 => Op::Disable,
            9..=22 => Op::UserAdd(self.user_add()),
            23..=25 => Op::UserDelete(pb::AuthUserDeleteRequest { name: self.name(&USERS) }),
            // to etcd nobody is the user without a name, and may ask about itself
            26..=30 => Op::UserGet(pb::AuthUserGetRequest { name: self.one_of(&USERS).into() }),
            31..=33 => Op::UserList,
            34..=38 => Op::ChangePassword(self.change_password()),
            39..=52 => {
                let (user, role) = (self.name(&USERS), self.name(&ROLES));
                Op::GrantRole(pb::AuthUserGrantRoleRequest { user, role })
            }
            53..=57 => {
                let (name, role) = (self.name(&USERS), self.name(&ROLES));
                Op::RevokeRole(pb::AuthUserRevokeRoleRequest { name, role })
            }
            58..=67 => Op::RoleAdd(pb::AuthRoleAddRequest { name: self.name(&ROLES) }),
            // root's is everything, which etcd says since 3.5
            68..=72 => Op::RoleGet(pb::AuthRoleGetRequest { role: self.name(&ROLES[1..]) }),
            73..=75 => Op::RoleList,
            76..=78 => Op::RoleDelete(pb::AuthRoleDeleteRequest { role: self.name(&ROLES) }),
            79..=93 => Op::Grant(self.grant()),
            _ => {
                let (role, (key, range_end)) = (self.name(&ROLES), self.range());
                Op::Revoke(pb::AuthRoleRevokePermissionRequest { role, key, range_end })
            }
        }
    }

    fn user_add(&mut self) -> pb::AuthUserAddRequest {
        let name = self.name(&USERS);
        // root needs one, or nobody gets in any more
        let no_password = name != ROOT && self.rng.gen_ratio(1, 10);
        let password = if no_password { String::new() } else { self.password() };
        let options = Some(UserAddOptions { no_password });
        pb::AuthUserAddRequest { name, password, options, ..Default::default() }
    }

    fn change_password(&mut self) -> pb::AuthUserChangePasswordRequest {
        let (name, password) = (self.name(&USERS), self.password());
        pb::AuthUserChangePasswordRequest { name, password, ..Default::default() }
    }

    fn password(&mut self) -> String {
        self.one_of(&["one", "two", "three"]).into()
    }

    fn grant(&mut self) -> pb::AuthRoleGrantPermissionRequest {
        let (name, (key, range_end)) = (self.name(&ROLES), self.range());
        let kind = *[Type::Read, Type::Write, Type::Readwrite].choose(&mut self.rng).expect("some");
        let perm = Some(Permission { perm_type: kind.into(), key, range_end });
        pb::AuthRoleGrantPermissionRequest { name, perm }
    }
}

/// Asks both; the revision that both answer, or nothing if both refuse.
async fn ask(clients: &Clients, op: &Op) -> Result<i64, String> {
    let (ours, theirs) = (&clients.ours, &clients.theirs);
    macro_rules! both {
        ($method:ident($request:expr)) => {
            alike(op, ours.$method($request.clone()).await, theirs.$method($request.clone()).await)
        };
    }
    match op {
        Op::Enable => both!(auth_enable(pb::AuthEnableRequest {})),
        Op::Disable => both!(auth_disable(pb::AuthDisableRequest {})),
        Op::UserAdd(request) => both!(user_add(request)),
        Op::UserDelete(request) => both!(user_delete(request)),
        Op::UserGet(request) => both!(user_get(request)),
        Op::UserList => both!(user_list(pb::AuthUserListRequest {})),
        Op::ChangePassword(request) => both!(user_change_password(request)),
        Op::GrantRole(request) => both!(user_grant_role(request)),
        Op::RevokeRole(request) => both!(user_revoke_role(request)),
        Op::RoleAdd(request) => both!(role_add(request)),
        Op::RoleGet(request) => both!(role_get(request)),
        Op::RoleList => both!(role_list(pb::AuthRoleListRequest {})),
        Op::RoleDelete(request) => both!(role_delete(request)),
        Op::Grant(request) => both!(role_grant_permission(request)),
        Op::Revoke(request) => both!(role_revoke_permission(request)),
    }
}
