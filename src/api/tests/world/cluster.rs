//! A world of members of the store and API servers, and a client of these that speaks HTTP and nothing more.

use base::{Knobs, MemberId};
use bytes::Bytes;
use http::Request;
use member::MemberAddr;
use rt::http::{Body, ClientOptions};
use serde_json::Value;
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};
use world::World;

pub struct Cluster {
    pub world: World,
    knobs: Knobs,
    members: u64,
    servers: u8,
}

pub fn server(id: u8) -> String {
    format!("api-{id}")
}

fn member_addr(id: u64, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([10, 0, 0, id as u8]), port)
}

fn server_addr(id: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([10, 0, 1, id]), 8080)
}

impl Cluster {
    pub fn start(world: World, members: u64, servers: u8, knobs: Knobs) -> Self {
        let cluster = Cluster { world, knobs, members, servers };
        (1..=members).for_each(|id| cluster.start_member(id));
        (1..=servers).for_each(|id| cluster.start_server(id));
        cluster
    }

    fn start_member(&self, id: u64) {
        let member = |id| MemberAddr {
            name: format!("member-{id}"),
            peer: member_addr(id, 2380),
            client: member_addr(id, 2379),
        };
        let config = member::Config {
            id: MemberId(id),
            name: format!("member-{id}"),
            cluster_id: 1,
            data_dir: "/data".into(),
            client_listen: member_addr(id, 2379),
            peer_listen: member_addr(id, 2380),
            members: (1..=self.members).map(|id| (MemberId(id), member(id))).collect(),
            knobs: self.knobs.clone(),
        };
        self.world.create(&config.name.clone(), member_addr(id, 0).ip(), move || {
            let config = config.clone();
            async move { member::run(config).await.map_err(|error| error.to_string()) }
        });
    }

    fn start_server(&self, id: u8) {
        let config = api::Config {
            name: server(id),
            listen: server_addr(id),
            etcd: (1..=self.members).map(|id| member_addr(id, 2379)).collect(),
            knobs: self.knobs.clone(),
        };
        self.world.create(&server(id), server_addr(id).ip(), move || {
            let config = config.clone();
            async move { api::run(config).await.map_err(|error| error.to_string()) }
        });
    }

    /// Runs a future in a process of its own, once all API servers are ready, and gives what it gave.
    pub async fn client<T, F>(&self, act: impl FnOnce(Vec<Client>) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (answer, result) = rt::sync::oneshot::channel();
        let once = Arc::new(Mutex::new(Some((act, answer))));
        let servers = self.servers;
        self.world.create("client", [10, 0, 2, 1].into(), move || {
            let once = once.lock().unwrap().take();
            async move {
                if let Some((act, answer)) = once {
                    let clients: Vec<Client> = (1..=servers).map(Client::new).collect();
                    for client in &clients {
                        client.ready().await;
                    }
                    let _ = answer.send(act(clients).await);
                }
                Ok(())
            }
        });
        result.await.expect("a client that runs to its end")
    }
}

/// A client of one API server.
#[derive(Clone)]
pub struct Client {
    http: rt::http::Client,
    addr: SocketAddr,
}

/// An answer: its code and its body.
pub type Answer = (u16, Value);

impl Client {
    fn new(id: u8) -> Self {
        Client { http: rt::http::Client::new(ClientOptions::default()), addr: server_addr(id) }
    }

    async fn ready(&self) {
        while self.call("GET", "/readyz", "", Bytes::new()).await.map(|(code, _)| code) != Some(200) {
            rt::sleep(base::knobs::ms(100)).await;
        }
    }

    /// None when the server could not be reached.
    async fn call(&self, method: &str, path: &str, form: &str, body: Bytes) -> Option<Answer> {
        let response = self.open(method, path, form, body).await?;
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?;
        Some((code, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    async fn open(&self, method: &str, path: &str, form: &str, body: Bytes) -> Option<http::Response<Body>> {
        let request = Request::builder().method(method).uri(path).header("host", "api");
        let request = if form.is_empty() { request } else { request.header("content-type", form) };
        self.http.request(self.addr, request.body(body).unwrap()).await.ok()
    }

    pub async fn try_get(&self, path: &str) -> Option<Answer> {
        self.call("GET", path, "", Bytes::new()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.try_get(path).await.expect("an answer")
    }

    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let form = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        self.call(method, path, form, body.to_string().into()).await.expect("an answer")
    }

    /// A write that may be lost with the server.
    pub async fn try_send(&self, method: &str, path: &str, body: &Value) -> Option<Answer> {
        self.call(method, path, "application/json", body.to_string().into()).await
    }

    /// A watch; None when the server could not be reached or refused.
    pub async fn watch(&self, path: &str) -> Option<Watch> {
        let response = self.open("GET", path, "", Bytes::new()).await?;
        (response.status() == 200).then(|| Watch { body: response.into_body(), buffer: vec![] })
    }
}

pub struct Watch {
    body: Body,
    buffer: Vec<u8>,
}

/// One event of a watch.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub word: String,
    pub name: String,
    pub version: i64,
    pub object: Value,
}

impl Watch {
    /// The next event; None at the end of the stream, however it ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(event(&serde_json::from_slice(&line).expect("a line of JSON")));
            }
            self.buffer.extend_from_slice(&self.body.frame().await?.ok()?);
        }
    }

    /// The next `count` events, as "WORD name version".
    pub async fn some(&mut self, count: usize) -> Vec<String> {
        let mut found = vec![];
        while found.len() < count {
            let Some(event) = self.next().await else { break };
            found.push(format!("{} {}", event.word, event.name));
        }
        found
    }
}

fn event(frame: &Value) -> Event {
    let object = frame["object"].clone();
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_string();
    Event {
        word: frame["type"].as_str().unwrap_or_default().to_string(),
        name: text("name"),
        version: text("resourceVersion").parse().unwrap_or(0),
        object,
    }
}
