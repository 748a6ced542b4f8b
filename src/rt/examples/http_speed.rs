//! Prints what a request over the simulated network costs: HTTP/1.1 and HTTP/2 through `rt` and `world`.
//! `cargo run --release -p rt --example http_speed`

#[cfg(not(madsim))]
fn main() {
    eprintln!("http_speed measures the simulator; build it without real.toml");
}

#[cfg(madsim)]
fn main() {
    for http2 in [false, true] {
        for clients in [1, 50] {
            sim::measure(http2, clients);
        }
    }
}

#[cfg(madsim)]
mod sim {
    use axum::{Router, extract::Path, routing::put};
    use bytes::Bytes;
    use http::Request;
    use rt::{
        http::{Client, ClientOptions, ServeOptions, serve},
        net::TcpListener,
    };
    use std::{net::SocketAddr, time::Duration};
    use world::World;

    const REQUESTS: usize = 100_000;

    fn addr() -> SocketAddr {
        ([10, 0, 0, 1], 80).into()
    }

    async fn server() -> Result<(), String> {
        let listener = TcpListener::bind(addr()).await.map_err(|error| error.to_string())?;
        let echo = |Path(_): Path<String>, body: Bytes| async move { body };
        let router = Router::new().route("/kv/{name}", put(echo));
        let second = Duration::from_secs(1);
        match serve(
            listener,
            router,
            ServeOptions {
                keepalive: second,
                keepalive_timeout: second,
                least_between_pings: second,
                most_streams: None,
                tls: None,
            },
        )
        .await {}
    }

    async fn load(client: Client, count: usize) {
        for _ in 0..count {
            let body = Bytes::from_static(br#"{"kind":"ConfigMap","data":{"a":"b"}}"#);
            let request = Request::put("/kv/one").body(body).expect("a valid request");
            let answer = client.request(addr(), request).await.expect("a good network");
            answer.into_body().collect().await.expect("an answer");
        }
    }

    #[allow(clippy::disallowed_methods)] // a stopwatch outside of the simulation
    pub fn measure(http2: bool, clients: usize) {
        let started = std::time::Instant::now();
        let (simulated, counters) = World::run(1, move |world| async move {
            world.create("server", addr().ip(), server);
            world::timers::wait(Duration::from_millis(10)).await;
            let (done, mut all) = tokio::sync::mpsc::channel::<()>(1);
            world.create("client", [10, 0, 0, 2].into(), move || {
                let done = done.clone();
                async move {
                    let client = Client::new(ClientOptions { http2, ..Default::default() });
                    let load = |_| rt::spawn(load(client.clone(), REQUESTS / clients));
                    for task in (0..clients).map(load).collect::<Vec<_>>() {
                        task.await.map_err(|error| error.to_string())?;
                    }
                    let _ = done.send(()).await;
                    Ok(())
                }
            });
            all.recv().await;
            (world::clock::elapsed(), world.net().counters())
        });
        let wall = started.elapsed();
        let rate = REQUESTS as f64 / wall.as_secs_f64();
        let version = if http2 { "HTTP/2" } else { "HTTP/1.1" };
        println!(
            "{version}, {clients} clients: {rate:.0} requests/s, {simulated:.1?} simulated in {wall:.2?}, {} segments",
            counters.segments
        );
    }
}
