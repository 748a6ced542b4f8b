//! list: every page of one list is of one revision.
//!
//! Which one: "" is the store's present revision, asked of the store and awaited in the watch cache; "0" is
//! whatever the cache has; a number is "not older than" it (the cache, awaited) or exactly it (the store).

use crate::{
    answer::{self, ListMeta},
    cache::{
        cacher::{Late, View},
        item::Item,
    },
    pipeline::{Answer, Call},
    refusal::Refusal,
    select::Selection,
    server::Server,
    storage::{self, Page, keys, token::Token},
};
use base::{bug, reached};
use objects::{Kind, status::Status};
use std::sync::Arc;
use tonic::Status as StoreStatus;

/// Objects read from the store at a time when a selection may throw most of them away.
const CHUNK: i64 = 1_000;

/// What a list is about.
pub struct Listing {
    pub kind: &'static Kind,
    /// Keys below the kind's prefix start with this.
    pub scope: String,
    pub selection: Selection,
    pub limit: usize,
}

/// Which revision.
#[derive(Clone, Debug, PartialEq)]
pub enum At {
    /// The store's present one.
    Present,
    /// Any that the cache has, but not older than this.
    NotOlderThan(i64),
    Exactly(i64),
    /// Where another page ended.
    Continued(Token),
}

pub async fn list(call: &Call) -> Answer {
    let (items, meta) = read(call).await?;
    Ok(answer::bytes(200, answer::encode_list(call.target.kind, &items, &meta, call.form)))
}

/// The objects that the path and the query name.
pub async fn read(call: &Call) -> Result<(Vec<Arc<Item>>, ListMeta), Refusal> {
    let listing = Listing::parse(call)?;
    let at = At::parse(call)?;
    listing.read(&call.server, at).await
}

impl Listing {
    pub fn parse(call: &Call) -> Result<Self, Refusal> {
        let (kind, query) = (call.target.kind, &call.query);
        if query.flag("sendInitialEvents").is_some() {
            return Err(Refusal::bad_request("sendInitialEvents is forbidden for list"));
        }
        Ok(Listing {
            kind,
            scope: keys::scope(kind, &call.target.namespace),
            selection: Selection::parse(kind, query.get("labelSelector"), query.get("fieldSelector"))?,
            limit: query.number("limit")?.unwrap_or(0) as usize,
        })
    }

    pub async fn read(&self, server: &Server, at: At) -> Result<(Vec<Arc<Item>>, ListMeta), Refusal> {
        let cacher = server.cache(self.kind);
        match at {
            At::Present => match present(server, self.kind).await? {
                Some(view) => Ok(self.of_view(&view, self.limit)),
                None => {
                    reached!("api: a list was read past a watch cache that stayed behind");
                    self.of_store(server, "", 0).await
                }
            },
            At::NotOlderThan(revision) => match cacher.at_least(revision).await {
                // A list of whatever is there is never cut in pages, as upstream.
                Ok(view) => Ok(self.of_view(&view, if revision == 0 { 0 } else { self.limit })),
                Err(Late::NotReady) => self.of_store(server, "", 0).await,
                Err(Late::Behind { current }) => {
                    reached!("api: a list asked for a version that is not known here");
                    Err(Refusal::too_new(revision, current))
                }
            },
            At::Exactly(revision) => self.of_store(server, "", revision).await,
            At::Continued(token) => self.of_store(server, &token.start, token.revision.unwrap_or(0)).await,
        }
    }

    /// Most lists are of everything: for those no object need be decoded.
    fn selects(&self, item: &Item) -> bool {
        self.selection.is_everything() || self.selection.matches(&item.object())
    }

    fn of_view(&self, view: &View, limit: usize) -> (Vec<Arc<Item>>, ListMeta) {
        let wanted = |item: &&Arc<Item>| self.selects(item);
        let in_scope = |item: &&Arc<Item>| item.key.starts_with(&self.scope);
        let mut matching: Vec<Arc<Item>> = match self.selection.node() {
            Some(node) => view.snapshot.on_node(node).filter(in_scope).filter(wanted).cloned().collect(),
            None => view.snapshot.range(&self.scope, "").filter(wanted).cloned().collect(),
        };
        let mut meta = ListMeta { revision: view.revision, ..ListMeta::default() };
        if limit > 0 && matching.len() > limit {
            if self.selection.is_everything() {
                meta.remaining = Some((matching.len() - limit) as i64);
            }
            matching.truncate(limit);
            let last = matching.last().map_or("", |item| &item.key);
            meta.continue_token = Token::after(last, view.revision).encode();
        }
        (matching, meta)
    }

    /// Reads on from `start`, at one revision however many reads it takes (bug museum A07).
    async fn of_store(
        &self,
        server: &Server,
        start: &str,
        revision: i64,
    ) -> Result<(Vec<Arc<Item>>, ListMeta), Refusal> {
        let mut found: Vec<Arc<Item>> = vec![];
        let (mut start, mut at) = (start.to_string(), revision);
        loop {
            let limit = self.chunk(found.len());
            let page = Page { scope: &self.scope, start: &start, limit, revision: at };
            let read = server.storage.list(self.kind, &page).await;
            let read = read.map_err(|status| gone(&status, &start, revision))?;
            at = if bug!("A07") { revision } else { read.revision };
            let behind = read.count - read.items.len() as i64;
            if let Some(last) = self.gather(&mut found, read.items, read.more, &read.last) {
                let remaining = self.selection.is_everything().then_some(behind);
                let continue_token = Token::after(&last, at).encode();
                return Ok((found, ListMeta { revision: at, continue_token, remaining }));
            }
            if !read.more {
                return Ok((found, ListMeta { revision: at, ..ListMeta::default() }));
            }
            start = format!("{}\0", read.last);
        }
    }

    /// How many to read from the store at a time.
    fn chunk(&self, have: usize) -> i64 {
        match self.limit {
            0 => 0,
            limit if self.selection.is_everything() => (limit - have) as i64,
            _ => CHUNK,
        }
    }

    /// Takes what is selected, up to the limit. When the list ends here although there may be more: the last key
    /// that it covers.
    fn gather(
        &self,
        found: &mut Vec<Arc<Item>>,
        read: Vec<Arc<Item>>,
        more: bool,
        last_read: &str,
    ) -> Option<String> {
        for item in read.into_iter().filter(|item| self.selects(item)) {
            if self.limit > 0 && found.len() == self.limit {
                return found.last().map(|last| last.key.clone());
            }
            found.push(item);
        }
        (more && self.limit > 0 && found.len() == self.limit).then(|| last_read.to_string())
    }
}

impl At {
    fn parse(call: &Call) -> Result<Self, Refusal> {
        let (version, rule) = (call.query.get("resourceVersion"), call.query.get("resourceVersionMatch"));
        let token = call.query.get("continue");
        if !token.is_empty() {
            if !rule.is_empty() {
                return Err(Refusal::bad_request(
                    "resourceVersionMatch is forbidden when continue is provided",
                ));
            }
            if !version.is_empty() && version != "0" {
                let why = "specifying resource version is not allowed when using continue";
                return Err(Refusal::bad_request(why));
            }
            return Ok(At::Continued(Token::decode(token).map_err(|why| Refusal::bad_request(&why))?));
        }
        let limited = call.query.number("limit")?.unwrap_or(0) > 0;
        At::of_version(version, rule, limited)
    }

    fn of_version(version: &str, rule: &str, limited: bool) -> Result<Self, Refusal> {
        if version.is_empty() {
            return match rule {
                "" => Ok(At::Present),
                _ => Err(Refusal::bad_request(
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                )),
            };
        }
        let revision = parse_version(version)?;
        match rule {
            "Exact" if revision == 0 => Err(Refusal::bad_request(
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            )),
            "Exact" => Ok(At::Exactly(revision)),
            "" if limited && revision > 0 => Ok(At::Exactly(revision)),
            "" | "NotOlderThan" => Ok(At::NotOlderThan(revision)),
            other => Err(Refusal::bad_request(&format!(
                "resourceVersionMatch: Unsupported value: {other:?}: supported values: \"Exact\", \"NotOlderThan\""
            ))),
        }
    }
}

/// A resourceVersion as a client gives it.
pub fn parse_version(text: &str) -> Result<i64, Refusal> {
    if text.is_empty() {
        return Ok(0);
    }
    let revision = text.parse::<i64>().ok().filter(|revision| *revision >= 0);
    revision.ok_or_else(|| Refusal::bad_request(&format!("Invalid value: {text:?}: must be a whole number")))
}

/// The whole kind, with everything that was acknowledged before the call; None when the cache cannot tell.
pub async fn present(server: &Server, kind: &'static Kind) -> Result<Option<View>, Refusal> {
    let cacher = server.cache(kind);
    if bug!("A01") {
        // However far the cache lags behind.
        return Ok(cacher.view());
    }
    let revision = server.storage.revision(kind).await?;
    Ok(cacher.at_least(revision).await.ok())
}

/// What a client is told when the store cannot read at the revision asked for.
fn gone(status: &StoreStatus, start: &str, revision: i64) -> Refusal {
    match etcd::kind(status) {
        Some(etcd::Error::Compacted) if start.is_empty() => {
            Status::expired("The resourceVersion for the provided list is too old.").into()
        }
        Some(etcd::Error::Compacted) => {
            let continue_token = Token { revision: None, start: start.to_string() }.encode();
            Refusal { status: Status::expired(CONTINUE_GONE), continue_token }
        }
        Some(etcd::Error::FutureRev) => Refusal::too_new(revision, 0),
        _ => storage::of_status(status),
    }
}

const CONTINUE_GONE: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_of_a_list_follows_from_version_match_and_limit() {
        let at = |version: &str, rule: &str, limited: bool| At::of_version(version, rule, limited).ok();
        assert_eq!(at("", "", true), Some(At::Present));
        assert_eq!(at("0", "", true), Some(At::NotOlderThan(0)));
        assert_eq!(at("7", "", false), Some(At::NotOlderThan(7)));
        assert_eq!(at("7", "", true), Some(At::Exactly(7)));
        assert_eq!(at("7", "NotOlderThan", true), Some(At::NotOlderThan(7)));
        assert_eq!(at("7", "Exact", false), Some(At::Exactly(7)));
        assert_eq!(at("0", "Exact", false), None);
        assert_eq!(at("", "Exact", false), None);
        assert_eq!(at("x", "", false), None);
        assert_eq!(at("-1", "", false), None);
        assert_eq!(at("7", "Newest", false), None);
    }

    #[test]
    fn a_continued_list_that_was_compacted_away_says_how_to_go_on() {
        let refusal = gone(&etcd::error::compacted(), "n/a\0", 5);
        assert_eq!((refusal.status.code, refusal.status.reason), (410, "Expired"));
        let token = Token::decode(&refusal.continue_token).unwrap();
        assert_eq!(token, Token { revision: None, start: "n/a\0".into() });
        assert!(gone(&etcd::error::compacted(), "", 5).continue_token.is_empty());
    }
}
