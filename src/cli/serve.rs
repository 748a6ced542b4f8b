//! `wavetank serve`: a whole control plane on loopback, in one process, its data in one folder.

use super::Error;
use base::Knobs;
use clap::Args;
use member::{Boot, Listen, Url, boot::State};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Args)]
pub struct Flags {
    /// Members of the store.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    members: u16,
    /// Hollow nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=5000))]
    nodes: u16,
    /// Where everything is kept; made if it is not there.
    #[arg(long, default_value = "wavetank-data")]
    data_dir: PathBuf,
    /// The API server's port.
    #[arg(long, default_value_t = 6443)]
    port: u16,
    /// The first member's client port; members use this and the following odd and even ones.
    #[arg(long, default_value_t = 2379)]
    etcd_port: u16,
}

impl Flags {
    fn client_of(&self, member: u16) -> SocketAddr {
        loopback(self.etcd_port + 2 * (member - 1))
    }

    fn peer_of(&self, member: u16) -> SocketAddr {
        loopback(self.etcd_port + 2 * (member - 1) + 1)
    }

    fn apiserver(&self) -> SocketAddr {
        loopback(self.port)
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Runs until Ctrl-C; the first role that fails stops the rest.
pub async fn run(flags: Flags) -> Result<(), Error> {
    if u32::from(flags.etcd_port) + 2 * u32::from(flags.members) > u32::from(u16::MAX) {
        return Err("--etcd-port: not enough ports above it for the members".into());
    }
    rt::fs::create_dir_all(&flags.data_dir)
        .await
        .map_err(|e| format!("{}: {e}", flags.data_dir.display()))?;
    let data_dir = std::path::absolute(&flags.data_dir)?;
    let kubeconfig = write_kubeconfig(&data_dir, flags.apiserver()).await?;
    let (failed, mut failure) = rt::sync::mpsc::channel::<String>(1);
    let start = |name: String, role: rt::JoinHandle<Result<(), Error>>| {
        let failed = failed.clone();
        rt::spawn(async move {
            let why = match role.await {
                Ok(Ok(())) => return, // told to stop
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            let _ = failed.send(format!("{name}: {why}")).await;
        })
    };
    let founding = !rt::fs::exists(&data_dir.join(FOUNDED)).await?;
    if !founding {
        check_founded(&data_dir, flags.members).await?;
    }
    if founding {
        rt::spawn(note_founded(data_dir.clone(), flags.members));
    }
    let mut running = vec![];
    for member in 1..=flags.members {
        let boot = member_boot(&flags, &data_dir, member, founding);
        running.push(start(boot.name.clone(), rt::spawn(async move { Ok(member::boot(boot).await?) })));
    }
    let mut others = vec![apiserver(&flags), manager(&flags), scheduler(&flags)];
    others.extend((1..=flags.nodes).map(|node| kubelet(&flags, &data_dir, node)));
    for (name, role) in others {
        running.push(start(name, role));
    }
    tell(&flags, &data_dir, &kubeconfig);
    rt::select! {
        Some(why) = failure.recv() => return Err(why.into()),
        () = rt::shutdown() => {}
    }
    println!("stopping");
    let all = futures::future::join_all(running);
    let _ = rt::timeout(Duration::from_secs(10), all).await;
    Ok(())
}

type Role = (String, rt::JoinHandle<Result<(), Error>>);

fn member_boot(flags: &Flags, data_dir: &Path, member: u16, founding: bool) -> Boot {
    let name = |id: u16| format!("member-{id}");
    let (peer, client) = (flags.peer_of(member), flags.client_of(member));
    let folder = data_dir.join(name(member));
    Boot {
        name: name(member),
        listen: Listen::plain(peer, client),
        peer: Url::plain(peer),
        initial: (1..=flags.members).map(|id| (name(id), Url::plain(flags.peer_of(id)))).collect(),
        state: if founding || folder.exists() { State::New } else { State::Existing },
        data_dir: folder,
        force_new_cluster: false,
        cluster_id: 1,
        knobs: Knobs::default(),
    }
}

fn apiserver(flags: &Flags) -> Role {
    let config = api::Config {
        name: "apiserver-1".into(),
        listen: flags.apiserver(),
        etcd: (1..=flags.members).map(|member| flags.client_of(member).into()).collect(),
        etcd_tls: None,
        knobs: Knobs::default(),
    };
    (config.name.clone(), rt::spawn(async move { Ok(api::run(config).await?) }))
}

fn manager(flags: &Flags) -> Role {
    let (identity, apiservers) = ("manager-1".to_string(), vec![flags.apiserver()]);
    let config = controllers::Config { identity: identity.clone(), apiservers, knobs: Knobs::default() };
    (identity, rt::spawn(async move { Ok(controllers::run(config).await?) }))
}

fn scheduler(flags: &Flags) -> Role {
    let (identity, apiservers) = ("scheduler-1".to_string(), vec![flags.apiserver()]);
    let config = scheduler::Config { identity: identity.clone(), apiservers, knobs: Knobs::default() };
    (identity, rt::spawn(async move { Ok(scheduler::run(config).await?) }))
}

fn kubelet(flags: &Flags, data_dir: &Path, node: u16) -> Role {
    let name = format!("node-{node}");
    let config = kubelet::Config {
        node: name.clone(),
        apiservers: vec![flags.apiserver()],
        data_dir: data_dir.join(&name),
        knobs: Knobs::default(),
    };
    (name, rt::spawn(async move { Ok(kubelet::run(config).await?) }))
}

/// Stands in the data folder once every member has begun its log, and says how many there are. From then on, a member
/// without one has lost it.
const FOUNDED: &str = "founded";

async fn note_founded(data_dir: PathBuf, members: u16) {
    for member in 1..=members {
        let folder = data_dir.join(format!("member-{member}"));
        let begun = |names: &Vec<String>| names.iter().any(|name| name.ends_with(".wal"));
        while !rt::fs::read_dir(&folder).await.as_ref().is_ok_and(begun) {
            rt::sleep(Duration::from_millis(100)).await;
        }
    }
    let noted = async {
        let file = rt::fs::File::create(&data_dir.join(FOUNDED)).await?;
        file.append(members.to_string().as_bytes()).await?;
        file.sync().await?;
        rt::fs::sync_dir(&data_dir).await
    };
    if let Err(error) = noted.await {
        eprintln!("cannot note in {} that the cluster is founded: {error}", data_dir.display());
    }
}

/// Members come and go by `etcdctl member`, and not by another number here.
async fn check_founded(data_dir: &Path, members: u16) -> Result<(), Error> {
    let text = String::from_utf8(rt::fs::read(&data_dir.join(FOUNDED)).await?)?;
    match text.parse::<u16>() {
        Ok(there) if there != members => {
            let dir = data_dir.display();
            Err(format!("--members {members}: {dir} was founded with {there}, expected as many").into())
        }
        _ => Ok(()), // or from before the number was noted
    }
}

async fn write_kubeconfig(data_dir: &Path, apiserver: SocketAddr) -> Result<PathBuf, Error> {
    let path = data_dir.join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: wavetank\n\
         clusters: [{{ name: wavetank, cluster: {{ server: \"http://{apiserver}\" }} }}]\n\
         users: [{{ name: wavetank, user: {{}} }}]\n\
         contexts: [{{ name: wavetank, context: {{ cluster: wavetank, user: wavetank }} }}]\n"
    );
    let file = rt::fs::File::create(&path).await?;
    file.append(text.as_bytes()).await?;
    file.sync().await?;
    Ok(path)
}

fn tell(flags: &Flags, data_dir: &Path, kubeconfig: &Path) {
    let members: Vec<String> =
        (1..=flags.members).map(|member| flags.client_of(member).to_string()).collect();
    println!("store        {} member(s): {}", flags.members, members.join(","));
    println!("API server   http://{}", flags.apiserver());
    println!("controllers  1, scheduler 1, hollow nodes {}", flags.nodes);
    println!("data         {}", data_dir.display());
    println!();
    println!("  export KUBECONFIG={}", kubeconfig.display());
    println!("  kubectl get nodes");
    println!("  etcdctl --endpoints {} endpoint status", members.join(","));
    println!();
    println!("Ctrl-C stops it; nothing that was acknowledged is lost, however it ends.");
}
