//! Runs the scripts under `scenarios/store`: each makes one claim, which is its name.
//!
//! | command | does |
//! |---|---|
//! | `put`, `get`, `del`, `txn`, `compact`, `autocompact`, `grant`, `revoke`, `expire`, `members`, `found`, `publish` | a command or a read; see `words.rs` for ranges and txns |
//! | `enable`, `user`, `give`, `role`, `allow`, `login`, `raise`, .. | users, roles, alarms; see `words/auth.rs` |
//! | `as USER[@REVISION] COMMAND..` | the command for a user (`nobody`: for none) |
//! | `may USER[@REVISION] ACCESS RANGE` | whether a user may |
//! | `watch RANGE from=R` | history from a revision |
//! | `check COMMAND..` | only what can be refused without the state |
//! | `keep NAME`, `look NAME` | keeps a clone; from then on reads look at it (`look now`: at the present) |
//! | `restart` | snapshot, restore, compare, go on with the restored store |
//! | `hash [REV]`, `state` | hashes; revision, compaction, kept versions, leases |

mod words;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use store::{Auth, Command, Event, EventKind, Identity, KeyValue, Response, Store, TxnOp, TxnOpResponse};
use words::{Words, parse_range};

#[derive(Default)]
struct Runner {
    store: Store,
    kept: BTreeMap<String, Store>,
    looking_at: Option<String>,
    hashes: Vec<u32>,
}

impl goldenscript::Runner for Runner {
    type Command = goldenscript::Command;

    fn run(
        &mut self,
        command: &goldenscript::Command,
        _: &goldenscript::Context,
    ) -> Result<String, Box<dyn Error>> {
        let mut words = Words::of(command);
        let output = match command.name.as_str() {
            "get" => self.get(&mut words)?,
            "watch" => self.watch(&mut words)?,
            "check" => match store::check(&words.command()?, 3) {
                Ok(()) => "fine\n".into(),
                Err(error) => format!("refused: {error:?}\n"),
            },
            "keep" => {
                self.kept.insert(words.next()?, self.store.clone());
                String::new()
            }
            "look" => {
                let name = words.next()?;
                self.looking_at = (name != "now").then_some(name);
                String::new()
            }
            "restart" => self.restart()?,
            "hash" => match self.store.hash_at(words.number().unwrap_or(0)) {
                Ok(hash) => format!(
                    "{} at r{} compacted r{}\n",
                    self.letter(hash.hash),
                    hash.revision,
                    hash.compacted
                ),
                Err(error) => format!("refused: {error:?}\n"),
            },
            "state" => self.state(),
            "may" => {
                let (by, access) = (words.identity(self.store.auth())?, words.access()?);
                let (key, end) = parse_range(&words.next()?);
                match self.store.auth().permit(by.as_ref(), &key, &end, access) {
                    Ok(()) => "yes\n".into(),
                    Err(error) => format!("refused: {error:?}\n"),
                }
            }
            "as" => {
                let by = words.identity(self.store.auth())?;
                self.apply(by.as_ref(), &words.command()?)
            }
            _ => {
                let command = Words::whole(command).command()?;
                self.apply(None, &command)
            }
        };
        Ok(output)
    }
}

impl Runner {
    /// Hashes are shown by letters: only which are equal is anyone's business.
    fn letter(&mut self, hash: u32) -> char {
        let at = self.hashes.iter().position(|seen| *seen == hash).unwrap_or_else(|| {
            self.hashes.push(hash);
            self.hashes.len() - 1
        });
        char::from(b'A' + at as u8)
    }

    fn seen(&self) -> &Store {
        self.looking_at.as_ref().and_then(|name| self.kept.get(name)).unwrap_or(&self.store)
    }

    fn apply(&mut self, by: Option<&Identity>, command: &Command) -> String {
        if let Command::Txn(txn) = command
            && let Some(read) = self.seen().read_txn(txn)
        {
            let permitted = self.seen().permit_txn(by, txn);
            return match permitted.and(read) {
                Ok(response) => format!("read only\n{}", txn_text(&response, "  ")),
                Err(error) => format!("refused: {error:?}\n"),
            };
        }
        let before = self.store.clone();
        let outcome = self.store.apply_by(self.store.applied().next(), by, command);
        let mut output = format!("r{}", self.store.revision().0);
        match &outcome.response {
            Err(error) => {
                let same = before.revision() == self.store.revision() && outcome.events.is_empty();
                let _ = writeln!(output, " refused: {error:?}{}", if same { "" } else { " BUT CHANGED" });
            }
            Ok(response) => output.push_str(&response_text(response)),
        }
        outcome.events.iter().for_each(|event| output.push_str(&event_text(event)));
        output
    }

    fn get(&self, words: &mut Words) -> Result<String, Box<dyn Error>> {
        Ok(match words.op("get")? {
            TxnOp::Range(request) => match self.seen().range(&request) {
                Ok(response) => range_text(&response, ""),
                Err(error) => format!("refused: {error:?}\n"),
            },
            other => return Err(format!("not a read: {other:?}").into()),
        })
    }

    fn watch(&self, words: &mut Words) -> Result<String, Box<dyn Error>> {
        let (key, end) = parse_range(&words.next()?);
        let from = words.option("from").ok_or("from=REVISION is missing")?.parse()?;
        let range = store::KeyRange::new(&key, &end);
        let text = match self.seen().history(&range, from) {
            Ok(events) => events.map(|event| event_text(&event)).collect::<String>(),
            Err(error) => format!("refused: {error:?}\n"),
        };
        Ok(if text.is_empty() { "nothing\n".into() } else { text })
    }

    fn restart(&mut self) -> Result<String, Box<dyn Error>> {
        let restored = Store::restore(&self.store.snapshot())?;
        let same = restored == self.store;
        self.store = restored;
        Ok(format!("restored: {}\n", if same { "the same" } else { "DIFFERENT" }))
    }

    fn state(&self) -> String {
        let store = self.seen();
        let mut output = format!(
            "r{} compacted r{} applied {} keys {} kept versions {}\n",
            store.revision().0,
            store.compacted().0,
            store.applied(),
            store.len(),
            store.kept()
        );
        for (id, lease) in store.leases() {
            let keys: Vec<_> = lease.keys.iter().map(|key| words::show(key)).collect();
            let left = if lease.left == 0 { String::new() } else { format!(" left={}", lease.left) };
            let (ttl, granted, keys) = (lease.ttl, lease.granted, keys.join(" "));
            let _ = writeln!(output, "lease {id} ttl={ttl}{left} granted={granted} keys=[{keys}]");
        }
        for (id, member) in &store.members().present {
            let kind = if member.learner { "learner" } else { "member" };
            let (name, peers, clients) = (&member.name, &member.peer_urls, &member.client_urls);
            let _ = writeln!(output, "{kind} {id} {name:?} peers={peers:?} clients={clients:?}");
        }
        store.members().removed.iter().for_each(|id| {
            let _ = writeln!(output, "removed {id}");
        });
        store.alarms().iter().for_each(|alarm| {
            let _ = writeln!(output, "alarm {:?} of {}", alarm.kind, alarm.member);
        });
        output + &auth_text(store.auth())
    }
}

/// Nothing before the first change.
fn auth_text(auth: &Auth) -> String {
    if *auth == Auth::default() {
        return String::new();
    }
    let on = if auth.enabled { "enabled" } else { "disabled" };
    let mut output = format!("auth {on} a{}\n", auth.revision);
    for (name, user) in &auth.users {
        let password = user.password.as_deref().map_or("no password".into(), words::show);
        let _ = writeln!(output, "user {name} ({password}) {:?}", user.roles);
    }
    for (name, role) in &auth.roles {
        let _ = writeln!(output, "role {name}");
        for ((key, end), access) in &role.permissions {
            let _ = writeln!(output, "  {:?} {:?} {access:?}", words::show(key), words::show(end));
        }
    }
    output
}

fn kv_text(kv: &KeyValue) -> String {
    let lease = if kv.lease == 0 { String::new() } else { format!(" lease={}", kv.lease) };
    format!(
        "{}={:?} create={} mod={} version={}{lease}",
        words::show(&kv.key),
        words::show(&kv.value),
        kv.create_revision,
        kv.mod_revision,
        kv.version
    )
}

fn event_text(event: &Event) -> String {
    let prev = event.prev.as_ref().map_or("nothing".to_owned(), |kv| format!("[{}]", kv_text(kv)));
    match event.kind {
        EventKind::Put => format!("  event put {} was {prev}\n", kv_text(&event.kv)),
        EventKind::Delete => {
            format!(
                "  event delete {} mod={} was {prev}\n",
                words::show(&event.kv.key),
                event.kv.mod_revision
            )
        }
    }
}

fn range_text(response: &store::RangeResponse, indent: &str) -> String {
    let mut output = String::new();
    for kv in &response.kvs {
        let _ = writeln!(output, "{indent}{}", kv_text(kv));
    }
    let more = if response.more { " more" } else { "" };
    let _ = writeln!(output, "{indent}count {}{more}", response.count);
    output
}

fn response_text(response: &Response) -> String {
    match response {
        Response::Put(put) => format!(" ok{}\n", prev_text(put)),
        Response::DeleteRange(delete) => delete_text(delete),
        Response::Txn(txn) => format!("\n{}", txn_text(txn, "  ")),
        Response::LeaseGrant { id, ttl } => format!(" lease {id} ttl={ttl}\n"),
        Response::Alarm(alarm) => format!(" {}\n", alarm.map_or("as it was".into(), |a| format!("{a:?}"))),
        Response::Compact
        | Response::LeaseRevoke
        | Response::LeaseExpire
        | Response::LeaseCheckpoint
        | Response::Members
        | Response::Auth
        | Response::Authenticate => " ok\n".into(),
    }
}

fn prev_text(put: &store::PutResponse) -> String {
    put.prev.as_ref().map_or(String::new(), |kv| format!(" previous [{}]", kv_text(kv)))
}

fn delete_text(delete: &store::DeleteRangeResponse) -> String {
    let previous: String = delete.prev_kvs.iter().map(|kv| format!(" previous [{}]", kv_text(kv))).collect();
    format!(" deleted {}{previous}\n", delete.deleted)
}

fn txn_text(response: &store::TxnResponse, indent: &str) -> String {
    let mut output = format!("{indent}{}\n", if response.succeeded { "then" } else { "else" });
    let deeper = format!("{indent}  ");
    for response in &response.responses {
        match response {
            TxnOpResponse::Range(range) => output.push_str(&range_text(range, &deeper)),
            TxnOpResponse::Put(put) => {
                let _ = writeln!(output, "{deeper}put{}", prev_text(put));
            }
            TxnOpResponse::DeleteRange(delete) => {
                let _ = write!(output, "{deeper}delete:{}", delete_text(delete));
            }
            TxnOpResponse::Txn(txn) => output.push_str(&txn_text(txn, &deeper)),
        }
    }
    output
}

#[test]
fn every_script_holds() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/store");
    let mut scripts: Vec<_> =
        std::fs::read_dir(&folder).expect("scenarios/store").map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(scripts.len() >= 15, "expected at least 15 scripts, found {}", scripts.len());
    for script in scripts {
        goldenscript::run(&mut Runner::default(), &script).expect("a script that can be read");
    }
}
