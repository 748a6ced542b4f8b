//! What fills a watch cache: one list, then one etcd watch, taken up again where it broke off. Only when the
//! store no longer has that revision is the kind listed anew.

use crate::{
    cache::cacher::{Cacher, Told},
    storage::{self, Page, Storage},
};
use base::{Knobs, bug, knobs::ms, reached};
use etcd::pb::{Event, WatchCreateRequest, WatchRequest, WatchResponse, event::EventType};
use rt::Mono;
use std::{sync::Arc, time::Duration};
use tonic::Status;

/// Objects read from the store at a time.
const PAGE: i64 = 1_000;
/// Progress is asked for at most this often while a reader waits. Upstream: every 100 ms.
const ASK_EVERY: Duration = Duration::from_millis(25);

/// Why a watch of the store ended.
enum End {
    /// The stream was lost: take it up again.
    Lost,
    /// It cannot be taken up again: list anew.
    Relist,
}

/// Keeps the cache filled, for ever.
pub async fn feed(cacher: Arc<Cacher>, storage: Arc<Storage>, knobs: Knobs) {
    let mut pause = Pause::new(&knobs);
    loop {
        match fill(&cacher, &storage).await {
            Ok(()) => pause.reset(),
            Err(_) => {
                reached!("api: a watch cache could not be filled");
                pause.wait().await;
                continue;
            }
        }
        loop {
            let before = cacher.revision();
            match follow(&cacher, &storage, &knobs).await {
                End::Relist => break,
                End::Lost if cacher.revision() > before => pause.reset(),
                End::Lost => {}
            }
            reached!("a watch cache takes its watch up again");
            pause.wait().await;
        }
        reached!("a watch cache lists anew");
    }
}

/// Lists the kind at one revision.
async fn fill(cacher: &Cacher, storage: &Storage) -> Result<(), Status> {
    let mut items = vec![];
    let mut page = storage.list(cacher.kind, &Page { limit: PAGE, ..Page::default() }).await?;
    let revision = page.revision;
    loop {
        let start = format!("{}\0", page.last);
        items.append(&mut page.items);
        if !page.more {
            break;
        }
        let next = Page { start: &start, limit: PAGE, revision, ..Page::default() };
        page = storage.list(cacher.kind, &next).await?;
    }
    cacher.replace(revision, items);
    Ok(())
}

/// Watches from where the cache stands until the watch ends.
async fn follow(cacher: &Cacher, storage: &Storage, knobs: &Knobs) -> End {
    let Ok(mut stream) = storage.etcd.watch().await else {
        reached!("api: a watch cache found no member to watch");
        return End::Lost;
    };
    let create = WatchCreateRequest {
        progress_notify: true,
        ..WatchCreateRequest::of_prefix(cacher.kind.prefix(), cacher.revision() + 1)
    };
    if stream.send(create).await.is_err() {
        return End::Lost;
    }
    let mut wanted = cacher.wanted.version();
    let mut asked = rt::now();
    loop {
        rt::select! {
            response = stream.recv() => match response {
                Ok(response) => if let Some(end) = take(cacher, response) {
                    return end;
                },
                Err(_) => return End::Lost,
            },
            version = cacher.wanted.changed(wanted) => wanted = version,
            () = rt::sleep_until(next_ask(cacher, knobs, asked)) => {}
        }
        let now = rt::now();
        if now >= next_ask(cacher, knobs, asked) {
            asked = now;
            if stream.send(WatchRequest::progress()).await.is_err() {
                return End::Lost;
            }
        }
    }
}

/// When to ask the store for progress next: soon while someone waits, else often enough that bookmarks move.
fn next_ask(cacher: &Cacher, knobs: &Knobs, asked: Mono) -> Mono {
    asked + if cacher.awaited() { ASK_EVERY } else { ms(knobs.bookmark_ms / 2).max(ASK_EVERY) }
}

/// Takes one response in; Some when the watch has ended with it.
fn take(cacher: &Cacher, response: WatchResponse) -> Option<End> {
    if response.canceled {
        reached!("api: a watch cache fell behind compaction", response.compact_revision > 0);
        return Some(if response.compact_revision > 0 { End::Relist } else { End::Lost });
    }
    if response.created {
        if bug!("A11") {
            cacher.progress(storage::revision(&response.header)); // etcd-io/etcd#15220, taken at its word
        }
        return None;
    }
    if response.events.is_empty() {
        cacher.progress(storage::revision(&response.header));
        return None;
    }
    let changes = response.events.iter().filter_map(|event| told(cacher, event)).collect();
    cacher.apply(changes).err().map(|_| End::Relist)
}

/// What an event says; None for a value that is no object, which no one could be shown.
fn told(cacher: &Cacher, event: &Event) -> Option<Told> {
    let kv = event.kv.as_ref()?;
    match event.r#type() {
        EventType::Put => storage::item(cacher.kind, kv).ok().map(Told::Put),
        EventType::Delete => {
            Some(Told::Delete { key: storage::below(cacher.kind, &kv.key), revision: kv.mod_revision })
        }
    }
}

/// Waits longer from time to time, up to a limit.
struct Pause {
    least: Duration,
    next: Duration,
}

impl Pause {
    fn new(knobs: &Knobs) -> Self {
        let least = ms(knobs.backoff_min_ms);
        Pause { least, next: least }
    }

    fn reset(&mut self) {
        self.next = self.least;
    }

    async fn wait(&mut self) {
        rt::sleep(self.next).await;
        self.next = (self.next * 2).min(Duration::from_secs(1));
    }
}
