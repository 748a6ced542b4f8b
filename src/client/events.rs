//! Events (the kind): what a component tells people about an object. Repeats are counted on one Event
//! instead of making new ones. Best effort: an Event that cannot be written is dropped, never waited for.

use crate::{Client, PatchType};
use base::reached;
use objects::{Object, kinds};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

/// Distinct Events remembered for counting; the oldest is forgotten.
const REMEMBERED: usize = 512;
/// Events waiting to be written; more are dropped.
const WAITING: usize = 256;

struct Told {
    about: Arc<Object>,
    kind: &'static str,
    reason: &'static str,
    message: String,
}

/// Tells of objects as one component.
#[derive(Clone)]
pub struct Recorder {
    queue: rt::sync::mpsc::Sender<Told>,
}

impl Recorder {
    pub fn new(client: &Client, component: &str) -> Self {
        let (queue, told) = rt::sync::mpsc::channel(WAITING);
        rt::spawn(write_all(client.clone(), component.to_string(), told));
        Recorder { queue }
    }

    pub fn normal(&self, about: &Arc<Object>, reason: &'static str, message: String) {
        self.tell(about, "Normal", reason, message);
    }

    pub fn warning(&self, about: &Arc<Object>, reason: &'static str, message: String) {
        self.tell(about, "Warning", reason, message);
    }

    fn tell(&self, about: &Arc<Object>, kind: &'static str, reason: &'static str, message: String) {
        let told = Told { about: about.clone(), kind, reason, message };
        if self.queue.try_send(told).is_err() {
            reached!("events: one was dropped because too many wait");
        }
    }
}

/// An Event already written: its name and how often it was told.
struct Written {
    name: String,
    count: u64,
    age: u64,
}

async fn write_all(client: Client, component: String, mut queue: rt::sync::mpsc::Receiver<Told>) {
    let mut written: BTreeMap<String, Written> = BTreeMap::new();
    let mut age = 0;
    while let Some(told) = queue.recv().await {
        age += 1;
        let same = format!("{}/{}/{}", told.about.uid(), told.reason, told.message);
        let namespace = told.about.namespace().unwrap_or("default").to_string();
        if let Some(earlier) = written.get_mut(&same) {
            reached!("events: one was told again");
            earlier.count += 1;
            earlier.age = age;
            let body = json!({ "count": earlier.count, "lastTimestamp": rt::wall().rfc3339() });
            let patch = (PatchType::Merge, &body);
            if client.patch(&kinds::event::KIND, Some(&namespace), &earlier.name, "", patch).await.is_ok() {
                continue;
            }
        }
        let event = event(&told, &component, &namespace);
        if client.create(&kinds::event::KIND, &event).await.is_ok() {
            written.insert(same, Written { name: event.name().to_string(), count: 1, age });
        }
        if written.len() > REMEMBERED {
            reached!("events: the oldest was forgotten");
            let oldest = written.iter().min_by_key(|(_, w)| w.age).map(|(key, _)| key.clone());
            oldest.and_then(|key| written.remove(&key));
        }
    }
}

fn event(told: &Told, component: &str, namespace: &str) -> Object {
    let now = rt::wall().rfc3339();
    let about = &told.about;
    let value = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": { "name": format!("{}.{:016x}", about.name(), rt::random_u64()), "namespace": namespace },
        "involvedObject": {
            "apiVersion": about.api_version(), "kind": about.kind(), "name": about.name(),
            "namespace": about.namespace(), "uid": about.uid(), "resourceVersion": about.resource_version(),
        },
        "type": told.kind, "reason": told.reason, "message": told.message, "count": 1,
        "firstTimestamp": now, "lastTimestamp": now,
        "source": { "component": component }, "reportingComponent": component, "reportingInstance": component,
    });
    Object::from_value(value).expect("an Event made here")
}
