//! A world of members of the store and API servers, and a client of these that speaks HTTP and nothing more.

use crate::stack::{self, server_addr};
use base::Knobs;
use bytes::Bytes;
use http::{HeaderMap, Request};
use rt::http::{Body, ClientOptions};
use serde_json::Value;
use std::net::SocketAddr;
use world::World;

pub struct Cluster {
    pub world: World,
    servers: u8,
}

impl Cluster {
    pub fn start(world: World, members: u64, servers: u8, knobs: Knobs) -> Self {
        stack::start(&world, members, servers, &knobs);
        Cluster { world, servers }
    }

    /// Runs a future in a process of its own, once all API servers are ready, and gives what it gave.
    pub async fn client<T, F>(&self, act: impl FnOnce(Vec<Client>) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let servers = self.servers;
        let act = move || async move {
            let clients: Vec<Client> = (1..=servers).map(Client::new).collect();
            for client in &clients {
                client.ready().await;
            }
            act(clients).await
        };
        stack::process(&self.world, "client", act).await
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
        let form = if form.is_empty() { vec![] } else { vec![("content-type", form)] };
        self.http.request(self.addr, request(method, path, &form, body)).await.ok()
    }

    /// A request with headers of its own; gives the code, the headers and the text of the answer.
    pub async fn full(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, HeaderMap, String) {
        let request = request(method, path, headers, Bytes::copy_from_slice(body.as_bytes()));
        let response = self.http.request(self.addr, request).await.expect("an answer");
        let (code, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().collect().await.expect("the whole answer");
        (code, headers, String::from_utf8(body.to_vec()).expect("text"))
    }

    /// A patch in the language that its media type names.
    pub async fn patch(&self, path: &str, media: &str, body: &Value) -> Answer {
        self.call("PATCH", path, media, body.to_string().into()).await.expect("an answer")
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

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(path).header("host", "api");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(body).unwrap()
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
