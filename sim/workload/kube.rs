//! Clients of the API server: what users do to deployments. Each change is a wish that is repeated until the
//! server has said yes, so that the same plan ends in the same objects, with or without harm.

use super::{Ground, begin};
use crate::history::KubeOperation;
use crate::nemesis::{now, until};
use crate::plan::{KubeClient, PlannedDeed};
use crate::scenario::KubeDeed;
use client::{Client, DeleteOptions, Error, PatchType};
use objects::{Object, kinds, kinds::Kind};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

const NAMESPACE: &str = "default";
/// Pause before a wish is repeated, and before one is repeated that only met a newer object (client-go's
/// `retry.DefaultRetry`: 10 ms).
const AGAIN: Duration = Duration::from_millis(500);
const AT_ONCE: Duration = Duration::from_millis(10);

pub async fn run(plan: KubeClient, ground: Ground) -> Result<(), String> {
    let user = User::new(&plan.name, &ground);
    until(plan.from).await;
    for op in &plan.ops {
        begin(op.when).await;
        ground.seen.start(&plan.name, now());
        user.wish(&op.deed).await;
    }
    user.stay().await
}

/// The hand of the scenario's timeline.
pub async fn operate(deeds: Vec<PlannedDeed>, ground: Ground) -> Result<(), String> {
    let user = User::new("operator", &ground);
    for deed in &deeds {
        until(deed.at).await;
        user.wish(&deed.deed).await;
    }
    user.stay().await
}

struct User {
    name: String,
    ground: Ground,
    client: Client,
    doubts: Mutex<Doubts>,
}

/// What this user made and deleted, and cannot be sure of. A change names the version it was made for and a deletion the
/// uid, so that neither does harm when it comes late; a creation can name nothing. One without an answer may be carried
/// out when what it was repeated for has long been deleted again.
#[derive(Default)]
struct Doubts {
    /// Deployments of which a creation may still be on its way.
    made: BTreeSet<String>,
    /// Those that this user has deleted, and not made again since.
    gone: BTreeSet<String>,
    /// The uids of all it has deleted: none of these may come back.
    deleted: BTreeSet<String>,
}

impl User {
    fn new(name: &str, ground: &Ground) -> Self {
        let client = Client::new(ground.apiservers.clone(), name, &ground.knobs);
        ground.seen.lock().busy.insert(name.to_string(), "begin".into());
        User { name: name.to_string(), ground: ground.clone(), client, doubts: Mutex::default() }
    }

    fn doubts(&self) -> MutexGuard<'_, Doubts> {
        self.doubts.lock().expect("no holder of the doubts panics")
    }

    /// Stays after its last wish, and looks after what it has deleted.
    async fn stay(&self) -> ! {
        self.done();
        loop {
            let doubtful: Vec<String> = {
                let doubts = self.doubts();
                doubts.made.intersection(&doubts.gone).cloned().collect()
            };
            if doubtful.is_empty() {
                std::future::pending::<()>().await;
            }
            rt::sleep(AGAIN).await;
            for deployment in doubtful {
                let Ok(Some(uid)) = self.uid_of(&deployment).await else { continue };
                if !self.doubts().deleted.contains(&uid) {
                    base::reached!("tank: what a user had deleted was made by a creation that came late");
                    self.wish(&KubeDeed::Delete { deployment, foreground: false }).await;
                    self.done();
                }
            }
        }
    }

    fn done(&self) {
        self.ground.seen.lock().busy.remove(&self.name);
    }

    /// Repeats a wish until it is granted.
    async fn wish(&self, deed: &KubeDeed) {
        self.ground.seen.lock().busy.insert(self.name.clone(), say(deed));
        loop {
            let call = now();
            let granted = self.attempt(deed).await;
            let again = granted.as_ref().err().and_then(pause_before_another);
            self.doubt(deed, &granted);
            let outcome = granted.map_err(|error| error.to_string());
            let (client, what) = (self.name.clone(), say(deed));
            self.ground.seen.lock().history.kube.push(KubeOperation {
                client,
                call,
                ret: now(),
                what,
                outcome,
            });
            let Some(pause) = again else { return };
            base::reached!("tank: a user repeats a wish");
            rt::sleep(pause).await;
        }
    }

    /// Remembers what came of an attempt.
    fn doubt(&self, deed: &KubeDeed, granted: &Result<(), Error>) {
        let mut doubts = self.doubts();
        match (deed, granted) {
            (KubeDeed::Apply(manifest), Err(error)) if error.is_unknown_outcome() => {
                doubts.made.insert(name_in(manifest));
            }
            (KubeDeed::Apply(manifest), Ok(())) => {
                doubts.gone.remove(&name_in(manifest));
            }
            (KubeDeed::Delete { deployment, .. }, Ok(())) => {
                doubts.gone.insert(deployment.clone());
            }
            _ => {}
        }
    }

    async fn attempt(&self, deed: &KubeDeed) -> Result<(), Error> {
        match deed {
            KubeDeed::Apply(manifest) => self.apply(manifest).await,
            KubeDeed::Scale { deployment, replicas } => {
                let live = self.client.get(&kinds::deployment::KIND, Some(NAMESPACE), deployment).await?;
                self.patch(&live, json!({ "spec": { "replicas": replicas } })).await
            }
            KubeDeed::SetImage { deployment, image } => {
                let live = self.client.get(&kinds::deployment::KIND, Some(NAMESPACE), deployment).await?;
                let container = live.get_array(&["spec", "template", "spec", "containers"]).first();
                let name = container.and_then(|c| c["name"].as_str()).unwrap_or("main").to_string();
                let container = json!({ "name": name, "image": image });
                let spec = json!({ "template": { "spec": { "containers": [container] } } });
                self.patch(&live, json!({ "spec": spec })).await
            }
            KubeDeed::Delete { deployment, foreground } => self.delete(deployment, *foreground).await,
        }
    }

    /// Changes what was read, and nothing newer: an attempt whose answer was lost may arrive late, and must not undo
    /// the user's next wish.
    async fn patch(&self, live: &Object, mut patch: Value) -> Result<(), Error> {
        let kind = kind_of(live).ok_or_else(|| Error::Decode(format!("there is no kind {}", live.kind())))?;
        patch["metadata"]["resourceVersion"] = live.resource_version().into();
        let body = (PatchType::Strategic, &patch);
        self.client.patch(kind, live.namespace(), live.name(), "", body).await.map(drop)
    }

    /// Creates, or makes what is there what the manifest says: what the server has added to it stays.
    async fn apply(&self, manifest: &str) -> Result<(), Error> {
        let value: Value =
            serde_json::from_str(manifest).map_err(|error| Error::Decode(error.to_string()))?;
        let mut object = Object::from_value(value).map_err(|error| Error::Decode(error.to_string()))?;
        let Some(kind) = kind_of(&object) else {
            return Err(Error::Decode(format!("there is no kind {}", object.kind())));
        };
        if kind.namespaced && object.namespace().is_none() {
            object.set_namespace(NAMESPACE);
        }
        match self.client.create(kind, &object).await {
            Err(error) if error.is_already_exists() => {
                base::reached!("tank: what a user applies is there already");
                let live = self.client.get(kind, object.namespace(), object.name()).await?;
                self.patch(&live, object.value().clone()).await
            }
            created => created.map(drop),
        }
    }

    /// Deletes, and waits until it is gone: its name is used again. With the uid: an attempt whose answer was lost
    /// may arrive late, and must not take the next one of that name.
    async fn delete(&self, deployment: &str, foreground: bool) -> Result<(), Error> {
        let Some(uid) = self.uid_of(deployment).await? else { return Ok(()) };
        self.doubts().deleted.insert(uid.clone());
        let propagation = if foreground { "Foreground" } else { "Background" }.into();
        let options = DeleteOptions { uid, propagation, ..DeleteOptions::default() };
        match self.client.delete(&kinds::deployment::KIND, Some(NAMESPACE), deployment, &options).await {
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        match self.uid_of(deployment).await? {
            Some(_) => {
                base::reached!("tank: a user waits until what was deleted is gone");
                Err(Error::Unknown("it is still there".into()))
            }
            None => Ok(()),
        }
    }

    async fn uid_of(&self, deployment: &str) -> Result<Option<String>, Error> {
        match self.client.get(&kinds::deployment::KIND, Some(NAMESPACE), deployment).await {
            Err(error) if error.is_not_found() => Ok(None),
            live => live.map(|live| Some(live.uid().to_string())),
        }
    }
}

fn kind_of(object: &Object) -> Option<&'static Kind> {
    kinds::KINDS.iter().copied().find(|kind| kind.kind == object.kind())
}

/// Conflicts and everything a server or a connection can fail by are repeated; what is wrong with the wish itself
/// stays wrong.
fn pause_before_another(error: &Error) -> Option<Duration> {
    match error {
        Error::Status { code: 409, .. } => Some(AT_ONCE),
        Error::Status { code, .. } => (matches!(code, 404 | 429) || *code >= 500).then_some(AGAIN),
        Error::Decode(text) => (!text.starts_with("there is no kind")).then_some(AGAIN),
        Error::NotSent(_) | Error::Unknown(_) => Some(AGAIN),
        Error::Fenced { .. } => None,
    }
}

fn name_in(manifest: &str) -> String {
    let value: Value = serde_json::from_str(manifest).unwrap_or_default();
    value["metadata"]["name"].as_str().unwrap_or("?").to_string()
}

fn say(deed: &KubeDeed) -> String {
    match deed {
        KubeDeed::Apply(manifest) => {
            let value: Value = serde_json::from_str(manifest).unwrap_or_default();
            let (kind, name) = (value["kind"].as_str(), value["metadata"]["name"].as_str());
            format!("apply {} {}", kind.unwrap_or("?").to_lowercase(), name.unwrap_or("?"))
        }
        KubeDeed::Scale { deployment, replicas } => format!("scale {deployment} to {replicas}"),
        KubeDeed::SetImage { deployment, image } => format!("set the image of {deployment} to {image}"),
        KubeDeed::Delete { deployment, foreground: false } => format!("delete {deployment}"),
        KubeDeed::Delete { deployment, foreground: true } => format!("delete {deployment} in the foreground"),
    }
}
