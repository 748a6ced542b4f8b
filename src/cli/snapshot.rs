//! `wavetank snapshot`: backups of the store. Flags are those of etcdctl and etcdutl.

use super::{
    Error,
    member::{Named, cluster_id, initial},
    to_store,
};
use ::member::{Boot, Listen, Url, backup, boot::State};
use base::Knobs;
use clap::{Args, Subcommand, ValueEnum};
use rt::fs;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

#[derive(Subcommand)]
pub enum Command {
    /// Saves the whole state of a member in a file.
    Save(Save),
    /// Says what is in a backup.
    Status(Status),
    /// Makes the data folder of a member of a new cluster that has what is in a backup. Do it for each of its members.
    Restore(Restore),
}

#[derive(Args)]
pub struct Save {
    /// Where it is saved.
    file: PathBuf,
    /// The member whose state it is.
    #[arg(long, default_value = "http://127.0.0.1:2379", value_name = "URL")]
    endpoints: Url,
    /// The member's certificate must be signed by one of these.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// The certificate shown to the member.
    #[arg(long, requires = "key", value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, requires = "cert", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Who asks, where users are told apart.
    #[arg(long, value_name = "NAME:PASSWORD")]
    user: Option<String>,
}

#[derive(Args)]
pub struct Status {
    file: PathBuf,
    /// How it is said.
    #[arg(long, short, value_enum, default_value_t = Form::Simple)]
    write_out: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    Simple,
    Json,
}

#[derive(Args)]
pub struct Restore {
    file: PathBuf,
    /// How people call the member.
    #[arg(long, default_value = "default")]
    name: String,
    /// The folder that is made. [default: NAME.etcd]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Where the other members will reach it.
    #[arg(long, default_value = "http://localhost:2380", value_name = "URL")]
    initial_advertise_peer_urls: Url,
    /// Every member of the new cluster. [default: this one]
    #[arg(long, value_delimiter = ',', value_name = "NAME=URL,...")]
    initial_cluster: Vec<Named>,
    /// Names the new cluster. Another one than before keeps members of before out.
    #[arg(long, default_value = "etcd-cluster", value_name = "TOKEN")]
    initial_cluster_token: String,
    /// Takes a file without a hash at its end, or with a wrong one.
    #[arg(long)]
    skip_hash_check: bool,
    /// Raises the revision by so much.
    #[arg(long, requires = "mark_compacted", value_name = "N")]
    bump_revision: Option<i64>,
    /// Has watchers from before told that their revision is gone.
    #[arg(long, requires = "bump_revision")]
    mark_compacted: bool,
}

pub async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Save(flags) => save(flags).await,
        Command::Status(flags) => status(flags).await,
        Command::Restore(flags) => restore(flags).await,
    }
}

async fn save(flags: Save) -> Result<(), Error> {
    let client = client(&flags).await?;
    let mut part = flags.file.as_os_str().to_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = receive(&client, &part).await;
    if written.is_err() {
        let _ = fs::remove(&part).await; // what it holds is no backup
    }
    written?;
    backup::read(&part, true).await?;
    fs::rename(&part, &flags.file).await?;
    fs::sync_dir(flags.file.parent().unwrap_or(&flags.file)).await?;
    println!("Snapshot saved at {}", flags.file.display());
    Ok(())
}

/// Bytes on their way to the disk at the most: a store may send them faster than it takes them.
const ON_ITS_WAY: usize = 16 << 20;

async fn receive(client: &etcd::Client, part: &Path) -> Result<(), Error> {
    let mut pieces = client.snapshot().await.map_err(|status| status.message().to_string())?;
    let file = fs::File::create(part).await?;
    let mut on_its_way = 0;
    while let Some(piece) = pieces.message().await.map_err(|status| status.message().to_string())? {
        file.append(&piece.blob).await?;
        on_its_way += piece.blob.len();
        if on_its_way > ON_ITS_WAY {
            file.sync().await?;
            on_its_way = 0;
        }
    }
    Ok(file.sync().await?)
}

async fn client(flags: &Save) -> Result<etcd::Client, Error> {
    let tls = match flags.endpoints.secured {
        true => Some(
            to_store("--endpoints", "--cacert", &flags.cacert, flags.cert.clone().zip(flags.key.clone()))
                .await?,
        ),
        false => None,
    };
    let client = etcd::Client::secured(vec![flags.endpoints.addr.clone()], tls, &Knobs::default());
    match flags.user.as_deref().map(|user| user.split_once(':')) {
        None => Ok(client),
        Some(Some((name, password))) => Ok(client.for_user(name, password)),
        Some(None) => Err("--user: expected NAME:PASSWORD".into()),
    }
}

async fn status(flags: Status) -> Result<(), Error> {
    let backup::Backup { store, size } = backup::read(&flags.file, true).await?;
    let (revision, keys) = (store.revision().0, store.len());
    let hash = store.hash_at(0)?.hash;
    match flags.write_out {
        Form::Simple => println!("{hash:x}, {revision}, {keys}, {size} B"),
        Form::Json => {
            println!("{{\"hash\":{hash},\"revision\":{revision},\"totalKey\":{keys},\"totalSize\":{size}}}")
        }
    }
    Ok(())
}

async fn restore(flags: Restore) -> Result<(), Error> {
    let (peer, nowhere) = (flags.initial_advertise_peer_urls, SocketAddr::from(([0, 0, 0, 0], 0)));
    let boot = Boot {
        data_dir: flags.data_dir.unwrap_or_else(|| format!("{}.etcd", flags.name).into()),
        listen: Listen::plain(nowhere, nowhere),
        initial: initial(&flags.name, &peer, &flags.initial_cluster)?,
        peer,
        state: State::New,
        force_new_cluster: false,
        cluster_id: cluster_id(&flags.initial_cluster_token),
        knobs: Knobs::default(),
        name: flags.name,
    };
    let backup = backup::read(&flags.file, !flags.skip_hash_check).await?;
    let (keys, revision) = (backup.store.len(), backup.store.revision().0);
    backup::restore(&boot, backup, flags.bump_revision).await?;
    println!("{}: {keys} keys, revision {revision}", boot.data_dir.display());
    Ok(())
}
