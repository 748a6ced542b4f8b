//! The words of the scripts.
//!
//! Ranges: `a` one key, `a..c` from a to before c, `a..` from a on, `a*` all that begin with a, `all` all.
//! A txn: `txn "COMPARES ? OPS : OPS"`; compares are joined by `&`, operations by `;`, a txn inside a txn stands
//! in parentheses. A compare: `version|create|mod|value|lease RANGE =|!=|>|< OPERAND`.

mod auth;

use base::MemberId;
use bytes::Bytes;
use std::collections::VecDeque;
use std::error::Error;
use store::{Command, Compare, CompareOp, CompareTarget, DeleteRangeRequest, PutRequest, RangeRequest};
use store::{Member, Members, SortOrder, SortTarget, TxnOp, TxnRequest};

type Parsed<T> = Result<T, Box<dyn Error>>;

pub struct Words(VecDeque<String>);

impl Words {
    /// The arguments of a command.
    pub fn of(command: &goldenscript::Command) -> Self {
        use goldenscript::Argument;
        let word = |arg: &Argument| match arg {
            Argument::KeyValue(key, value) => vec![format!("{key}={value}")],
            Argument::Positional(text) if text.contains(' ') => {
                text.split_whitespace().map(str::to_owned).collect()
            }
            Argument::Positional(word) => vec![word.clone()],
            other => panic!("not a word: {other}"),
        };
        Self(command.args.iter().flat_map(word).collect())
    }

    /// The command with its name.
    pub fn whole(command: &goldenscript::Command) -> Self {
        let mut words = Self::of(command);
        words.0.push_front(command.name.clone());
        words
    }

    pub fn next(&mut self) -> Parsed<String> {
        self.0.pop_front().ok_or_else(|| "expected one more word".into())
    }

    pub fn number(&mut self) -> Parsed<i64> {
        Ok(self.next()?.parse()?)
    }

    /// Takes `name=value`, wherever it stands before the end of this operation.
    pub fn option(&mut self, name: &str) -> Option<String> {
        let prefix = format!("{name}=");
        let end = self.end_of_op();
        let at = self.0.iter().take(end).position(|word| word.starts_with(&prefix))?;
        self.0.remove(at).map(|word| word[prefix.len()..].to_owned())
    }

    fn flag(&mut self, name: &str) -> bool {
        let end = self.end_of_op();
        let at = self.0.iter().take(end).position(|word| word == name);
        at.is_some_and(|at| self.0.remove(at).is_some())
    }

    fn end_of_op(&self) -> usize {
        self.0.iter().position(|word| [";", ":", ")"].contains(&word.as_str())).unwrap_or(self.0.len())
    }

    fn peek(&self, word: &str) -> bool {
        self.0.front().is_some_and(|front| front == word)
    }

    pub fn command(&mut self) -> Parsed<Command> {
        let name = self.next()?;
        Ok(match name.as_str() {
            "compact" => Command::Compact { revision: self.number()? },
            "autocompact" => Command::AutoCompact { revision: self.number()? },
            "grant" => Command::LeaseGrant { id: self.number()?, ttl: self.number()? },
            "revoke" => Command::LeaseRevoke { id: self.number()? },
            "expire" => Command::LeaseExpire { id: self.number()?, granted: self.number()? as u64 },
            "left" => Command::LeaseCheckpoint(vec![store::Checkpoint {
                id: self.number()?,
                granted: self.number()? as u64,
                left: self.number()?,
            }]),
            "txn" => Command::Txn(self.txn()?),
            "members" => Command::Members(self.members()?),
            "found" => Command::Found(self.members()?),
            "publish" => Command::Publish {
                id: MemberId(self.number()? as u64),
                name: self.next()?,
                client_urls: vec![self.next()?],
            },
            _ => match self.auth(&name)? {
                Some(command) => command,
                None => match self.op(&name)? {
                    TxnOp::Put(request) => Command::Put(request),
                    TxnOp::DeleteRange(request) => Command::DeleteRange(request),
                    other => return Err(format!("not a command: {other:?}").into()),
                },
            },
        })
    }

    /// `ID=NAME` is a member, `ID~NAME` a learner, `-ID` one that was removed.
    fn members(&mut self) -> Parsed<Members> {
        let mut members = Members::default();
        while let Some(word) = self.0.pop_front() {
            if let Some(id) = word.strip_prefix('-') {
                members.removed.insert(MemberId(id.parse()?));
                continue;
            }
            let learner = word.contains('~');
            let (id, name) = word.split_once(['=', '~']).ok_or("expected ID=NAME, ID~NAME or -ID")?;
            let peer_urls = vec![format!("http://{id}:2380")];
            let member = Member { name: name.into(), peer_urls, client_urls: vec![], learner };
            members.present.insert(MemberId(id.parse()?), member);
        }
        Ok(members)
    }

    fn txn(&mut self) -> Parsed<TxnRequest> {
        let mut request = TxnRequest::default();
        while !self.peek("?") {
            request.compare.push(self.compare()?);
            if self.peek("&") {
                self.next()?;
            }
        }
        self.next()?;
        request.success = self.ops()?;
        if self.peek(":") {
            self.next()?;
            request.failure = self.ops()?;
        }
        Ok(request)
    }

    fn ops(&mut self) -> Parsed<Vec<TxnOp>> {
        let mut ops = Vec::new();
        while !self.0.is_empty() && !self.peek(":") && !self.peek(")") {
            let name = self.next()?;
            match name.as_str() {
                ";" => continue,
                "(" => {
                    ops.push(TxnOp::Txn(self.txn()?));
                    if self.next()? != ")" {
                        return Err("expected )".into());
                    }
                }
                _ => ops.push(self.op(&name)?),
            }
        }
        Ok(ops)
    }

    fn compare(&mut self) -> Parsed<Compare> {
        let target = self.next()?;
        let (key, range_end) = parse_range(&self.next()?);
        let op = match self.next()?.as_str() {
            "=" => CompareOp::Equal,
            "!=" => CompareOp::NotEqual,
            ">" => CompareOp::Greater,
            "<" => CompareOp::Less,
            other => return Err(format!("expected =, !=, > or <, got {other}").into()),
        };
        let operand = self.next()?;
        let target = match target.as_str() {
            "version" => CompareTarget::Version(operand.parse()?),
            "create" => CompareTarget::Create(operand.parse()?),
            "mod" => CompareTarget::Mod(operand.parse()?),
            "lease" => CompareTarget::Lease(operand.parse()?),
            "value" => CompareTarget::Value(bytes(&operand)),
            other => return Err(format!("nothing to compare is called {other}").into()),
        };
        Ok(Compare { key, range_end, op, target })
    }

    pub fn op(&mut self, name: &str) -> Parsed<TxnOp> {
        Ok(match name {
            "put" => TxnOp::Put(self.put()?),
            "get" => TxnOp::Range(self.range()?),
            "del" => {
                let prev_kv = self.flag("prev");
                let (key, range_end) = parse_range(&self.next()?);
                TxnOp::DeleteRange(DeleteRangeRequest { key, range_end, prev_kv })
            }
            other => return Err(format!("no operation is called {other}").into()),
        })
    }

    fn put(&mut self) -> Parsed<PutRequest> {
        let mut request = PutRequest {
            lease: self.option("lease").map_or(Ok(0), |id| id.parse())?,
            prev_kv: self.flag("prev"),
            ignore_value: self.flag("ignore_value"),
            ignore_lease: self.flag("ignore_lease"),
            key: bytes(&self.next()?),
            ..PutRequest::default()
        };
        if self.end_of_op() > 0 {
            request.value = bytes(&self.next()?);
        }
        Ok(request)
    }

    fn range(&mut self) -> Parsed<RangeRequest> {
        let mut number = |name: &str| self.option(name).map_or(Ok(0), |number| number.parse::<i64>());
        let mut request = RangeRequest {
            revision: number("rev")?,
            limit: number("limit")?,
            min_mod_revision: number("min_mod")?,
            max_mod_revision: number("max_mod")?,
            min_create_revision: number("min_create")?,
            max_create_revision: number("max_create")?,
            ..RangeRequest::default()
        };
        request.keys_only = self.flag("keys_only");
        request.count_only = self.flag("count_only");
        request.sort_target = match self.option("by").as_deref() {
            None | Some("key") => SortTarget::Key,
            Some("version") => SortTarget::Version,
            Some("create") => SortTarget::Create,
            Some("mod") => SortTarget::Mod,
            Some("value") => SortTarget::Value,
            Some(other) => return Err(format!("cannot sort by {other}").into()),
        };
        request.sort_order = match self.option("order").as_deref() {
            None => SortOrder::None,
            Some("up") => SortOrder::Ascend,
            Some("down") => SortOrder::Descend,
            Some(other) => return Err(format!("expected order=up or order=down, got {other}").into()),
        };
        (request.key, request.range_end) = parse_range(&self.next()?);
        Ok(request)
    }
}

/// `""` stands for nothing.
fn bytes(word: &str) -> Bytes {
    Bytes::copy_from_slice(word.as_bytes())
}

pub fn parse_range(word: &str) -> (Bytes, Bytes) {
    let all = Bytes::from_static(b"\0");
    if word == "all" {
        return (all.clone(), all);
    }
    if let Some((from, to)) = word.split_once("..") {
        return (bytes(from), if to.is_empty() { all } else { bytes(to) });
    }
    match word.strip_suffix('*') {
        None => (bytes(word), Bytes::new()),
        Some(prefix) => {
            let mut end = prefix.as_bytes().to_vec();
            *end.last_mut().expect("a prefix") += 1;
            (bytes(prefix), end.into())
        }
    }
}

/// Bytes as a person reads them.
pub fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
