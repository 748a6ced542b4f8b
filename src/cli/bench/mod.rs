//! `wavetank bench`: our members and a real etcd in turn, on this machine, started with the same flags, under the same
//! load from the same generator, each write durable before it is answered. Each load is given to both, one right after the
//! other, in several rounds: what else the machine does meets both alike.
//!
//! | module | promise |
//! |---|---|
//! | `stores` | members as processes, and what they use |
//! | `loads` | what is asked, by how many, for how long |
//! | `watching` | watchers of one prefix, and what reaches them |
//! | `measure` | rates and times |
//! | `report` | the table, and the plot |

mod loads;
mod measure;
mod report;
mod stores;
mod watching;

use super::Error;
use clap::Args;
use loads::{Load, Setting};
use measure::{Measured, Row};
use std::{path::PathBuf, time::Duration};
use stores::{Kind, Store};

#[derive(Args)]
pub struct Flags {
    /// Loads. [default: all]
    #[arg(long, value_enum, value_delimiter = ',')]
    loads: Vec<Load>,
    /// Members.
    #[arg(long, value_delimiter = ',', default_values_t = [1u16, 3], value_parser = clap::value_parser!(u16).range(1..=7))]
    members: Vec<u16>,
    /// Who ask at the same time, each the next thing once it has its answer.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clients: u32,
    /// Connections that they share.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Keys, and bytes of each value.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    keys: u32,
    #[arg(long, default_value_t = 256)]
    value_bytes: u32,
    /// Seconds of each load at each store, in each round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Rounds; the middle one counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Where the real one is.
    #[arg(long, default_value = "etcd", value_name = "PROGRAM")]
    etcd: PathBuf,
    /// Where both keep their data: a disk, and not a part of the memory. [default: this folder]
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    data_dir: PathBuf,
    /// Draws the table.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

impl Flags {
    fn setting(&self) -> Setting {
        Setting {
            clients: self.clients,
            connections: self.connections,
            keys: self.keys,
            value_bytes: self.value_bytes as usize,
            time: Duration::from_secs(self.seconds.into()),
        }
    }

    fn loads(&self) -> Vec<Load> {
        if self.loads.is_empty() { Load::all() } else { self.loads.clone() }
    }
}

/// Prints the table line by line as it comes.
pub async fn run(flags: Flags) -> Result<(), Error> {
    let folder = std::path::absolute(&flags.data_dir)?.join(format!("wavetank-bench-{}", std::process::id()));
    let outcome = rt::select! {
        outcome = rows(&flags, &folder) => outcome,
        () = rt::shutdown() => Err("it was stopped before its end".into()),
    };
    let _ = std::fs::remove_dir_all(&folder);
    let rows = outcome?;
    if let Some(path) = &flags.plot {
        std::fs::write(path, report::plot(&rows)).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("\n{}: the same, drawn", path.display());
    }
    Ok(())
}

async fn rows(flags: &Flags, folder: &std::path::Path) -> Result<Vec<Row>, Error> {
    let setting = flags.setting();
    print!("{}", report::head(&setting, flags.rounds, stores::version(&flags.etcd)?));
    let mut rows = vec![];
    for members in &flags.members {
        for load in flags.loads() {
            let mut row = Row::new(load.name(), *members);
            for round in 0..flags.rounds {
                // who goes first changes from round to round
                let mut order = [Kind::Ours, Kind::Etcd(flags.etcd.clone())];
                order.rotate_left(round as usize % 2);
                for kind in order {
                    let ours = matches!(kind, Kind::Ours);
                    row.add(ours, measure(kind, *members, folder, load, &setting).await?);
                }
            }
            print!("{}", report::line(&row));
            rows.push(row);
        }
    }
    Ok(rows)
}

/// One load at one store, from nothing.
async fn measure(
    kind: Kind,
    members: u16,
    folder: &std::path::Path,
    load: Load,
    setting: &Setting,
) -> Result<Measured, Error> {
    let store = Store::start(kind, members, folder).await?;
    let clients = store.clients(setting.connections);
    load.prepare(&clients, setting).await?;
    let before = store.usage();
    let mut measured = load.run(&clients, setting).await?;
    measured.usage = store.usage().since(&before);
    Ok(measured)
}
