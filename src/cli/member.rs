//! `wavetank member`: one member of the store, by etcd's own flags, so that what starts etcd starts it.

use super::{Error, auth_token, config_file, security::Security};
use ::member::{Boot, Listen, ListenUrl, Url};
use base::{Knobs, Note};
use clap::{Args, FromArgMatches, ValueEnum};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// etcd: checkpointInterval.
const LEASE_CHECKPOINT_MS: u64 = 300_000;
/// etcd: DefaultWarningApplyDuration, DefaultWarningUnaryRequestDuration.
const SLOW_APPLY: Duration = Duration::from_millis(100);
const SLOW_CALL: Duration = Duration::from_millis(300);

/// etcd: DefaultCompactHashCheckTime.
const COMPACT_HASH_CHECK_MS: u64 = 60_000;

/// Names and meanings are etcd's.
#[derive(Args)]
pub struct Flags {
    /// Says it all in etcd's YAML file instead: other flags and variables are ignored then.
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// How people call it.
    #[arg(long, default_value = "default")]
    name: String,
    /// Where its data is kept; made if it is not there. [default: NAME.etcd]
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Where it listens for other members: addresses, or localhost.
    #[arg(long, default_value = "http://localhost:2380", value_delimiter = ',', value_name = "URL,...")]
    listen_peer_urls: Vec<ListenUrl>,
    /// Where it listens for clients: addresses, or localhost.
    #[arg(long, default_value = "http://localhost:2379", value_delimiter = ',', value_name = "URL,...")]
    listen_client_urls: Vec<ListenUrl>,
    /// Where it serves clients HTTP alone; where it listens for clients otherwise it serves gRPC alone then.
    #[arg(long, value_delimiter = ',', value_name = "URL,...")]
    listen_client_http_urls: Vec<ListenUrl>,
    /// Where it serves health and metrics only.
    #[arg(long, value_delimiter = ',', value_name = "URL,...")]
    listen_metrics_urls: Vec<ListenUrl>,
    /// Where the other members reach it: an address, or a name, which they look up whenever they connect. [default: as it listens first]
    #[arg(long, value_name = "URL")]
    initial_advertise_peer_urls: Option<Url>,
    /// Where clients reach it: addresses or names. [default: as it listens]
    #[arg(long, value_delimiter = ',', value_name = "URL,...")]
    advertise_client_urls: Vec<Url>,
    /// Every member there is to be, this one included. [default: this one]
    #[arg(long, value_delimiter = ',', value_name = "NAME=URL,...")]
    initial_cluster: Vec<Named>,
    /// Whether the cluster is being founded, or runs and has been told of this member (etcdctl member add).
    #[arg(long, value_enum, default_value_t = State::New)]
    initial_cluster_state: State,
    /// Makes this member, with what its folder holds, the only one of its cluster: where the others are lost for good. To be
    /// taken away afterwards, as it throws out whoever has joined by the next start.
    #[arg(long, num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    force_new_cluster: bool,
    /// Names the cluster when it is founded: members of another one are not listened to.
    #[arg(long, default_value = "etcd-cluster", value_name = "TOKEN")]
    initial_cluster_token: String,
    /// What tokens of users are: simple, or jwt,pub-key=FILE,priv-key=FILE,sign-method=METHOD,ttl=TIME.
    #[arg(long, default_value = "simple", value_name = "KIND,...")]
    auth_token: String,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    security: Security,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    New,
    Existing,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kept {
    Periodic,
    Revision,
}

/// A length of time as etcd writes it: `1h30m`, `500ms`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?}: expected a length of time, for example 10m, 1h30m or 500ms");
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = &rest[digits..];
        let letters = unit.find(|letter: char| letter.is_ascii_digit()).unwrap_or(unit.len());
        let nanos = match &unit[..letters] {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(wrong()),
        };
        total += Duration::from_nanos(number.checked_mul(nanos).ok_or_else(wrong)?);
        rest = &unit[letters..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// At least one, unless it is no time at all.
fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// `NAME=URL`.
#[derive(Clone)]
pub struct Named(String, Url);

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = format!("{text:?}: expected NAME=URL, for example one=http://10.0.0.1:2380");
        let (name, url) = text.split_once('=').ok_or(shape)?;
        Ok(Named(name.into(), url.parse()?))
    }
}

/// What a member allows.
#[derive(Args)]
struct Limits {
    /// Bytes a member may hold before it raises the alarm NOSPACE; 0: 2 GiB, less than 0: any amount.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_name = "BYTES")]
    quota_backend_bytes: i64,
    /// Entries between two snapshots of the state.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    snapshot_count: Option<u64>,
    /// Entries kept behind a snapshot, for followers that lag a little.
    #[arg(long, alias = "experimental-snapshot-catchup-entries", value_name = "N")]
    snapshot_catchup_entries: Option<u64>,
    /// What is kept by a member that compacts by itself: a length of time, or a number of revisions.
    #[arg(long, value_enum, default_value_t = Kept::Periodic)]
    auto_compaction_mode: Kept,
    /// How much of it: a time (30m, 12h; a number means hours), or how many revisions. 0: everything.
    #[arg(long, default_value = "0", value_name = "TIME|N")]
    auto_compaction_retention: String,
    /// Time between two comparisons of what the members hold, by the leader; 0s: never.
    #[arg(long, alias = "experimental-corrupt-check-time", value_parser = duration, value_name = "TIME")]
    corrupt_check_time: Option<Duration>,
    /// The leader compares the hashes that members took at compactions.
    #[arg(long, alias = "experimental-compact-hash-check-enabled", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    compact_hash_check_enabled: bool,
    /// Time between two comparisons of these. [default: 1m]
    #[arg(long, alias = "experimental-compact-hash-check-time", value_parser = duration, value_name = "TIME")]
    compact_hash_check_time: Option<Duration>,
    /// Compares what the member holds with what the others do before it serves.
    #[arg(long, alias = "experimental-initial-corrupt-check", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    initial_corrupt_check: bool,
    /// What is left of leases is agreed on every five minutes, so that a new leader does not give them their whole time.
    #[arg(long, alias = "experimental-enable-lease-checkpoint", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true")]
    enable_lease_checkpoint: bool,
    /// Idle time after which a watcher that wants to hear of progress does.
    #[arg(long, value_parser = duration, value_name = "TIME")]
    watch_progress_notify_interval: Option<Duration>,
    /// Least time between two pings of a client, which needs an open stream for them, too; 0s: any pace will do. [default: 5s]
    #[arg(long, value_parser = duration, value_name = "TIME")]
    grpc_keepalive_min_time: Option<Duration>,
    /// Silence after which a client is pinged; 0s: it is not. [default: 5s]
    #[arg(long, value_parser = duration, value_name = "TIME")]
    grpc_keepalive_interval: Option<Duration>,
    /// Time after which a client that does not answer a ping is given up; 0s: the default. [default: 5s]
    #[arg(long, value_parser = duration, value_name = "TIME")]
    grpc_keepalive_timeout: Option<Duration>,
    /// Streams of a client open at a time on one connection, and calls by JSON at a time; those that are too many wait.
    /// [default: any number]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    max_concurrent_streams: Option<u32>,
    /// Members that only learn, at a time. [default: 1]
    #[arg(long, alias = "experimental-max-learners", value_name = "N")]
    max_learners: Option<u64>,
    /// Time to apply a request, or to answer a read, after which it is said that it took too long. [default: 100ms]
    #[arg(long, alias = "experimental-warning-apply-duration", value_parser = duration, value_name = "TIME")]
    warning_apply_duration: Option<Duration>,
    /// Time to answer a call that is no stream, after which it is said how long it took; 0s: the default. [default: 300ms]
    #[arg(long, value_parser = duration, value_name = "TIME")]
    warning_unary_request_duration: Option<Duration>,
    /// The same, by its older name: one of both.
    #[arg(long, value_parser = duration, value_name = "TIME", hide = true)]
    experimental_warning_unary_request_duration: Option<Duration>,
    /// Milliseconds between two heartbeats of a leader.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "MS")]
    heartbeat_interval: Option<u64>,
    /// Milliseconds without a leader after which a member stands for election.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "MS")]
    election_timeout: Option<u64>,
    /// Bytes of the largest request.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "BYTES")]
    max_request_bytes: Option<u64>,
    /// Operations in a txn.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    max_txn_ops: Option<u64>,
    /// Rounds in which passwords are hashed, as a power of 2.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(4..=31))]
    bcrypt_cost: u64,
    /// An auth token unused for so many seconds is forgotten.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..), value_name = "SECONDS")]
    auth_token_ttl: u64,
}

impl Limits {
    fn revisions_kept(&self) -> Result<u64, Error> {
        let text = &self.auto_compaction_retention;
        let kept = text.parse();
        kept.map_err(|_| format!("--auto-compaction-retention {text}: expected a number of revisions").into())
    }

    /// A number alone is one of hours.
    fn time_kept(&self) -> Result<Duration, Error> {
        let text = &self.auto_compaction_retention;
        if let Ok(hours) = text.parse::<u32>() {
            return Ok(Duration::from_secs(3_600) * hours);
        }
        duration(text).map_err(|why| format!("--auto-compaction-retention {why}").into())
    }

    /// How long a call may take until that is said. Both names at a time are refused in etcd's words, by which 0 is nothing.
    fn slow_call(&self) -> Result<Duration, Error> {
        let told = |flag: Option<Duration>| flag.filter(|time| !time.is_zero());
        let (older, newer) = (
            told(self.experimental_warning_unary_request_duration),
            told(self.warning_unary_request_duration),
        );
        if older.is_some() && newer.is_some() {
            return Err(
                "both --experimental-warning-unary-request-duration and --warning-unary-request-duration \
                 flags are set. Use only --warning-unary-request-duration"
                    .into(),
            );
        }
        Ok(newer.or(older).unwrap_or(SLOW_CALL))
    }

    fn knobs(&self) -> Result<Knobs, Error> {
        let mut knobs = Knobs::default();
        knobs.quota_bytes = match self.quota_backend_bytes {
            0 => knobs.quota_bytes,
            bytes => bytes.max(0) as u64,
        };
        let told = |flag: Option<u64>, before: u64| flag.unwrap_or(before);
        let election = knobs.raft_tick_ms * knobs.raft_election_ticks;
        knobs.raft_tick_ms = told(self.heartbeat_interval, knobs.raft_tick_ms);
        knobs.raft_election_ticks = told(self.election_timeout, election).div_ceil(knobs.raft_tick_ms);
        knobs.snapshot_every = told(self.snapshot_count, knobs.snapshot_every);
        knobs.snapshot_keep = told(self.snapshot_catchup_entries, knobs.snapshot_keep);
        knobs.request_bytes = told(self.max_request_bytes, knobs.request_bytes);
        knobs.txn_ops = told(self.max_txn_ops, knobs.txn_ops);
        knobs.max_learners = told(self.max_learners, knobs.max_learners);
        knobs.most_streams = told(self.max_concurrent_streams.map(u64::from), knobs.most_streams);
        let long = |flag: Option<Duration>, before: u64| flag.map_or(before, whole_millis);
        knobs.watch_progress_ms = long(self.watch_progress_notify_interval, knobs.watch_progress_ms);
        knobs.corrupt_check_ms = long(self.corrupt_check_time, knobs.corrupt_check_ms);
        if self.compact_hash_check_enabled {
            if self.compact_hash_check_time.is_some_and(|time| time.is_zero()) {
                return Err("--compact-hash-check-time must be >0 (set to 0s)".into());
            }
            knobs.compact_hash_check_ms = long(self.compact_hash_check_time, COMPACT_HASH_CHECK_MS);
        }
        knobs.keepalive_min_ms = long(self.grpc_keepalive_min_time, knobs.keepalive_min_ms);
        knobs.keepalive_ms = long(self.grpc_keepalive_interval, knobs.keepalive_ms);
        let patience = self.grpc_keepalive_timeout.filter(|time| !time.is_zero());
        knobs.keepalive_timeout_ms = long(patience, knobs.keepalive_timeout_ms);
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        knobs.slow_apply_ns = nanos(self.warning_apply_duration.unwrap_or(SLOW_APPLY));
        knobs.slow_call_ns = nanos(self.slow_call()?);
        knobs.lease_checkpoint_ms = if self.enable_lease_checkpoint { LEASE_CHECKPOINT_MS } else { 0 };
        knobs.corrupt_check_at_start = u64::from(self.initial_corrupt_check);
        match self.auto_compaction_mode {
            Kept::Revision => knobs.auto_compact_revisions = self.revisions_kept()?,
            Kept::Periodic => knobs.auto_compact_ms = self.time_kept()?.as_millis() as u64,
        }
        knobs.bcrypt_cost = self.bcrypt_cost;
        knobs.auth_token_ttl_ms = self.auth_token_ttl.saturating_mul(1_000);
        Ok(knobs)
    }

    /// Followers must not lose patience because a heartbeat or two got lost. (etcd asks for the same.)
    fn check(&self) -> Result<(), Error> {
        let plain = Knobs::default();
        let heartbeat = self.heartbeat_interval.unwrap_or(plain.raft_tick_ms);
        let election = self.election_timeout.unwrap_or(plain.election_timeout().as_millis() as u64);
        if election < 5 * heartbeat {
            let why = format!(
                "--election-timeout {election}: expected at least 5 times --heartbeat-interval, which is {heartbeat}"
            );
            return Err(why.into());
        }
        Ok(())
    }
}

/// Runs a member until it fails or is told to stop.
pub async fn run(flags: Flags) -> Result<(), Error> {
    let flags = match &flags.config_file {
        Some(path) => Flags::from_file(path).await?,
        None => flags,
    };
    flags.limits.check()?;
    let boot = flags.boot().await?;
    Ok(::member::boot(boot).await?)
}

impl Flags {
    async fn from_file(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let bytes = rt::fs::read(path).await.map_err(|error| format!("--config-file {shown}: {error}"))?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{shown}: expected text in UTF-8"))?;
        let (flags, without_effect) = Self::from_text(&text).map_err(|why| format!("{shown}: {why}"))?;
        let say = |text: String| rt::note(Note::Said { text });
        say(format!("configured by {shown}; other flags, and variables, are ignored"));
        if !without_effect.is_empty() {
            say(format!("{shown}: these do nothing here: {}", without_effect.join(", ")));
        }
        Ok(flags)
    }

    /// With the keys that do nothing here.
    fn from_text(text: &str) -> Result<(Self, Vec<String>), String> {
        let line = Self::augment_args(clap::Command::new("member").no_binary_name(true));
        let names = line.get_arguments().flat_map(|flag| {
            flag.get_long().into_iter().chain(flag.get_all_aliases().unwrap_or_default()).map(str::to_string)
        });
        let known: Vec<String> = names.filter(|name| name != "config-file").collect();
        let said = config_file::read(text, &known)?;
        // clap goes on about the usage of a command line, which this is not
        let wrong = |error: clap::Error| {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string()
        };
        let matches = line.try_get_matches_from(said.flags).map_err(wrong)?;
        Ok((Self::from_arg_matches(&matches).map_err(wrong)?, said.without_effect))
    }

    async fn boot(self) -> Result<Boot, Error> {
        let data_dir = self.data_dir.clone().unwrap_or_else(|| format!("{}.etcd", self.name).into());
        let (first, more) =
            self.listen_peer_urls.split_first().ok_or("--listen-peer-urls: expected a URL")?;
        let peer = self.initial_advertise_peer_urls.clone().unwrap_or((*first).into());
        let advertised = match self.advertise_client_urls.is_empty() {
            true => self.listen_client_urls.iter().copied().map(Url::from).collect(),
            false => self.advertise_client_urls.clone(),
        };
        let unspecified = |url: &&Url| url.addr.address().is_some_and(|addr| addr.ip().is_unspecified());
        let everywhere = advertised.iter().chain([&peer]).find(unspecified);
        if let Some(url) = everywhere {
            let why = format!(
                "{url} is no address at which others reach this member: expected --initial-advertise-peer-urls and \
                 --advertise-client-urls"
            );
            return Err(why.into());
        }
        let knobs = self.limits.knobs()?;
        let initial = initial(&self.name, &peer, &self.initial_cluster)?;
        if self.listen_peer_urls.iter().any(|url| url.secured != peer.secured) {
            return Err(format!("--listen-peer-urls: expected https if and only if {peer} is").into());
        }
        let served = [&self.listen_client_urls, &self.listen_client_http_urls, &self.listen_metrics_urls]
            .map(|urls| urls.as_slice())
            .concat();
        let signer = auth_token::signer(&self.auth_token).await?;
        let tls = self.security.load(&data_dir, &self.listen_peer_urls, &served, &advertised).await?;
        Ok(Boot {
            listen: Listen {
                peers: first.addr,
                more_peers: more.iter().map(|url| url.addr).collect(),
                clients: self.listen_client_urls,
                http: self.listen_client_http_urls,
                metrics: self.listen_metrics_urls,
                advertised,
                tls,
                signer,
            },
            name: self.name,
            data_dir,
            peer,
            initial,
            state: match self.initial_cluster_state {
                State::New => ::member::boot::State::New,
                State::Existing => ::member::boot::State::Existing,
            },
            force_new_cluster: self.force_new_cluster,
            cluster_id: cluster_id(&self.initial_cluster_token),
            knobs,
        })
    }
}

/// The members by name; this one is among them, with the URL at which it is reached. URLs are compared as they are written,
/// but for small letters and `localhost`, and names are not looked up for it.
pub fn initial(name: &str, peer: &Url, cluster: &[Named]) -> Result<BTreeMap<String, Url>, Error> {
    let mut initial = BTreeMap::new();
    for Named(name, url) in cluster {
        if initial.insert(name.clone(), url.clone()).is_some() {
            return Err(format!("--initial-cluster: {name} is there twice; expected a URL for each").into());
        }
    }
    if initial.is_empty() {
        initial.insert(name.into(), peer.clone());
    }
    match initial.get(name) {
        None => {
            let names: Vec<&str> = initial.keys().map(String::as_str).collect();
            let expected = names.join(", ");
            Err(format!("--name {name}: expected one of those in --initial-cluster: {expected}").into())
        }
        Some(url) if url != peer => Err(format!(
            "--initial-cluster has {url} for {name}, expected {peer} as in --initial-advertise-peer-urls"
        )
        .into()),
        Some(_) if initial.values().any(|url| url.secured != peer.secured) => {
            Err("--initial-cluster: expected all URLs to be http, or all https".into())
        }
        Some(_) => Ok(initial),
    }
}

/// A number for a token. Never 0, which is no cluster. (FNV-1a, 64 bits.)
pub fn cluster_id(token: &str) -> u64 {
    let hash = token.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: Flags,
    }

    fn boot(line: &str) -> Result<Boot, String> {
        let words = ["member"].into_iter().chain(line.split_whitespace());
        let flags = Line::try_parse_from(words).map_err(|error| error.to_string())?.flags;
        flags.limits.check().map_err(|error| error.to_string())?;
        futures::executor::block_on(flags.boot()).map_err(|error| error.to_string())
    }

    #[test]
    fn without_flags_it_is_a_cluster_of_one() {
        let boot = boot("").expect("a member");
        assert_eq!(boot.name, "default");
        assert_eq!(boot.data_dir, PathBuf::from("default.etcd"));
        assert_eq!(boot.initial["default"].to_string(), "http://127.0.0.1:2380");
        assert_eq!(boot.listen.advertised[0].to_string(), "http://127.0.0.1:2379");
    }

    #[test]
    fn a_line_from_etcd_s_documentation_is_understood() {
        let line = "--name infra1 --initial-advertise-peer-urls http://10.0.1.11:2380 \
             --listen-peer-urls http://10.0.1.11:2380 --listen-client-urls http://10.0.1.11:2379,http://127.0.0.1:2379 \
             --advertise-client-urls http://10.0.1.11:2379 --initial-cluster-token etcd-cluster-1 --initial-cluster \
             infra0=http://10.0.1.10:2380,infra1=http://10.0.1.11:2380,infra2=http://10.0.1.12:2380 \
             --initial-cluster-state new";
        let boot = boot(line).expect("a member");
        assert_eq!(boot.initial.len(), 3);
        assert_eq!(boot.listen.clients.len(), 2);
        assert_ne!(boot.cluster_id, cluster_id("etcd-cluster"));
    }

    /// All the keys of etcd's sample, with what it says of them.
    const SAMPLE: &str = "name: 'default'
data-dir:
wal-dir:
snapshot-count: 10000
heartbeat-interval: 100
election-timeout: 1000
quota-backend-bytes: 0
listen-peer-urls: http://localhost:2380
listen-client-urls: http://localhost:2379,http://127.0.0.2:2379
max-snapshots: 5
max-wals: 5
cors:
initial-advertise-peer-urls: http://localhost:2380
advertise-client-urls: http://localhost:2379
discovery:
discovery-fallback: 'proxy'
discovery-proxy:
discovery-srv:
initial-cluster:
initial-cluster-token: 'etcd-cluster'
initial-cluster-state: 'new'
strict-reconfig-check: false
enable-pprof: true
proxy: 'off'
proxy-failure-wait: 5000
proxy-refresh-interval: 30000
proxy-dial-timeout: 1000
proxy-write-timeout: 5000
proxy-read-timeout: 0
client-transport-security:
  cert-file:
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
peer-transport-security:
  cert-file:
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
self-signed-cert-validity: 1
log-level: debug
logger: zap
log-outputs: [stderr]
force-new-cluster: false
auto-compaction-mode: periodic
auto-compaction-retention: \"1\"
cipher-suites: [
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
]
tls-min-version: 'TLS1.2'
tls-max-version: 'TLS1.3'
";

    fn boot_from(text: &str) -> Result<Boot, String> {
        let (flags, _) = Flags::from_text(text)?;
        futures::executor::block_on(flags.boot()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_sample_of_a_configuration_file_is_understood() {
        let boot = boot_from(SAMPLE).expect("a member");
        assert_eq!((boot.name.as_str(), boot.listen.clients.len()), ("default", 2));
        assert_eq!((boot.knobs.snapshot_every, boot.knobs.auto_compact_ms), (10_000, 3_600_000));
        let (_, without_effect) = Flags::from_text(SAMPLE).expect("flags");
        assert!(without_effect.contains(&"max-wals".into()) && !without_effect.contains(&"wal-dir".into()));
        let one = boot_from(
            "initial-cluster: a=http://10.0.0.1:1,b=http://b.test:1\nname: a\n\
            initial-advertise-peer-urls: http://10.0.0.1:1\ninitial-cluster-state: existing",
        );
        assert_eq!(one.expect("a member").initial["b"].to_string(), "http://b.test:1");
        let wrong = |text: &str| boot_from(text).map(drop).expect_err("wrong");
        let said = wrong("snapshot-count: many");
        assert!(said.contains("'many' for '--snapshot-count"), "{said}");
        assert!(wrong("config-file: other.yml").contains("there is no such key"));
        assert!(wrong("listen-peer-urls: http://a.test:1").contains("expected IP in URL for binding"));
        assert!(
            wrong("client-transport-security:\n  cert-file: a").contains("--cert-file: expected --key-file")
        );
    }

    #[test]
    fn a_member_of_a_stateful_set_is_reached_by_name() {
        let line = "--name etcd-0 --listen-peer-urls http://0.0.0.0:2380 --listen-client-urls http://0.0.0.0:2379 \
             --initial-advertise-peer-urls http://etcd-0.etcd:2380 --advertise-client-urls http://etcd-0.etcd:2379 \
             --initial-cluster etcd-0=http://ETCD-0.etcd:2380,etcd-1=http://etcd-1.etcd:2380";
        let boot = boot(line).expect("a member");
        assert_eq!(boot.peer.to_string(), "http://etcd-0.etcd:2380");
        assert_eq!(boot.listen.advertised[0].to_string(), "http://etcd-0.etcd:2379");
        assert_eq!(boot.initial["etcd-1"].to_string(), "http://etcd-1.etcd:2380");
        assert_eq!(boot.listen.peers.to_string(), "0.0.0.0:2380");
        assert!(boot.listen.more_peers.is_empty());
    }

    #[test]
    fn lengths_of_time_are_read_as_etcd_writes_them() {
        let millis = |text: &str| duration(text).map(|time| time.as_millis());
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("500ms"), Ok(500));
        for micro in ["1us", "1\u{b5}s", "1\u{3bc}s", "1000ns"] {
            assert_eq!(duration(micro), Ok(Duration::from_micros(1)), "{micro}");
        }
        assert!(["", "10", "m", "3 h", "1d"].iter().all(|text| millis(text).is_err()));
        let kept = |line: &str| {
            boot(line).map(|boot| (boot.knobs.auto_compact_ms, boot.knobs.auto_compact_revisions))
        };
        assert_eq!(kept("--auto-compaction-retention=1"), Ok((3_600_000, 0)));
        assert_eq!(kept("--auto-compaction-retention=10m"), Ok((600_000, 0)));
        let revisions = "--auto-compaction-mode=revision --auto-compaction-retention=1000";
        assert_eq!(kept(revisions), Ok((0, 1_000)));
    }

    #[test]
    fn how_much_is_kept_behind_a_snapshot_is_a_flag() {
        let kept = |line: &str| boot(line).expect("a member").knobs.snapshot_keep;
        assert_eq!(kept(""), Knobs::default().snapshot_keep);
        assert_eq!(kept("--snapshot-catchup-entries 1"), 1);
        assert_eq!(kept("--experimental-snapshot-catchup-entries=7"), 7);
    }

    #[test]
    fn how_many_may_learn_is_a_flag() {
        let most = |line: &str| boot(line).expect("a member").knobs.max_learners;
        assert_eq!((most(""), most("--max-learners 2"), most("--experimental-max-learners=3")), (1, 2, 3));
        assert_eq!(boot_from("experimental-max-learners: 4").expect("a member").knobs.max_learners, 4);
    }

    #[test]
    fn what_takes_too_long_is_a_flag() {
        let slow = |line: &str| boot(line).map(|boot| (boot.knobs.slow_apply_ns, boot.knobs.slow_call_ns));
        let (apply, call) = (100_000_000, 300_000_000);
        assert_eq!(slow(""), Ok((apply, call)));
        for older in ["", "experimental-"] {
            let to_apply = format!("--{older}warning-apply-duration=1us");
            assert_eq!(slow(&to_apply), Ok((1_000, call)), "{to_apply}");
            let to_call = format!("--{older}warning-unary-request-duration=2ms");
            assert_eq!(slow(&to_call), Ok((apply, 2_000_000)), "{to_call}");
        }
        let file = "warning-apply-duration: 5\nexperimental-warning-unary-request-duration: 7";
        let knobs = boot_from(file).expect("a member").knobs;
        assert_eq!((knobs.slow_apply_ns, knobs.slow_call_ns), (5, 7));
        let both = "--warning-unary-request-duration=1s --experimental-warning-unary-request-duration=";
        assert_eq!(slow(&format!("{both}0s")), Ok((apply, 1_000_000_000)));
        let refused = "both --experimental-warning-unary-request-duration and --warning-unary-request-duration flags \
             are set. Use only --warning-unary-request-duration";
        assert_eq!(slow(&format!("{both}1s")), Err(refused.into()));
        let both = "--warning-apply-duration=1s --experimental-warning-apply-duration=1s";
        assert!(slow(both).is_err_and(|why| why.contains("cannot be used multiple times")));
    }

    #[test]
    fn pings_are_those_of_the_defaults_unless_told_otherwise() {
        let pings = |line: &str| {
            let knobs = boot(line).expect("a member").knobs;
            (knobs.keepalive_min_ms, knobs.keepalive_ms, knobs.keepalive_timeout_ms)
        };
        assert_eq!(pings(""), (5_000, 5_000, 5_000));
        let all = "--grpc-keepalive-min-time 30s --grpc-keepalive-interval 2h --grpc-keepalive-timeout 20s";
        assert_eq!(pings(all), (30_000, 7_200_000, 20_000));
        let none = "--grpc-keepalive-min-time 0s --grpc-keepalive-interval 0s --grpc-keepalive-timeout 0s";
        assert_eq!(pings(none), (0, 0, 5_000));
    }

    #[test]
    fn hashes_of_compactions_are_compared_where_that_is_asked_for() {
        let every = |line: &str| boot(line).map(|boot| boot.knobs.compact_hash_check_ms);
        assert_eq!(every(""), Ok(0));
        assert_eq!(every("--compact-hash-check-time 5s"), Ok(0));
        let enabled = "--compact-hash-check-enabled";
        assert_eq!(every(enabled), Ok(60_000));
        assert_eq!(every(&format!("{enabled} --compact-hash-check-time 5s")), Ok(5_000));
        assert_eq!(
            every(&format!("{enabled} --compact-hash-check-time 5us")),
            Ok(1),
            "no time at all is never"
        );
        let older =
            "--experimental-compact-hash-check-enabled=true --experimental-compact-hash-check-time=7s";
        assert_eq!(every(older), Ok(7_000));
        let never = every(&format!("{enabled} --compact-hash-check-time 0s"));
        assert_eq!(never, Err("--compact-hash-check-time must be >0 (set to 0s)".into()));
    }

    #[test]
    fn the_only_member_is_one_by_a_flag() {
        let forced = |line: &str| boot(line).expect("a member").force_new_cluster;
        assert_eq!(
            ["", "--force-new-cluster", "--force-new-cluster=false"].map(forced),
            [false, true, false]
        );
        assert!(boot_from("force-new-cluster: true").expect("a member").force_new_cluster);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |line: &str| boot(line).expect_err("wrong");
        assert!(
            wrong("--name a --initial-cluster b=http://127.0.0.1:2380").contains("expected one of those")
        );
        assert!(
            wrong("--initial-cluster default=http://10.0.0.1:1").contains("expected http://127.0.0.1:2380")
        );
        assert!(wrong("--initial-cluster default").contains("expected NAME=URL"));
        assert!(wrong("--listen-peer-urls 127.0.0.1:2380").contains("no scheme"));
        for flag in [
            "--listen-peer-urls",
            "--listen-client-urls",
            "--listen-client-http-urls",
            "--listen-metrics-urls",
        ] {
            let said = wrong(&format!("{flag} http://etcd-0.etcd:1"));
            assert!(said.contains("expected IP in URL for binding (http://etcd-0.etcd:1)"), "{said}");
        }
        let elsewhere =
            "--initial-advertise-peer-urls http://a.test:2380 --initial-cluster default=http://b.test:2380";
        assert!(wrong(elsewhere).contains("expected http://a.test:2380 as in --initial-advertise-peer-urls"));
        assert!(wrong("--listen-client-urls http://0.0.0.0:2379").contains("--advertise-client-urls"));
        assert!(wrong("--listen-client-urls https://127.0.0.1:2379").contains("--cert-file"));
        assert!(wrong("--heartbeat-interval 500").contains("at least 5 times"));
        assert!(wrong("--auto-compaction-retention=soon").contains("expected a length of time"));
        let mixed = "--auto-compaction-mode=revision --auto-compaction-retention=1h";
        assert!(wrong(mixed).contains("expected a number of revisions"));
        assert!(wrong("--client-cert-auth").contains("--trusted-ca-file"));
        assert!(wrong("--cert-file /no/such").contains("--key-file"));
        let peers = "--listen-peer-urls https://127.0.0.1:1 --peer-cert-file /no/such --peer-key-file /no/such \
             --peer-trusted-ca-file /no/such --peer-client-key-file /no/such";
        assert!(wrong(peers).contains("--peer-client-key-file: expected --peer-client-cert-file as well"));
        let older = wrong("--tls-min-version TLS1.3 --tls-max-version TLS1.2");
        assert!(older.contains("expected no newer one than --tls-max-version, which is TLS1.2"), "{older}");
        assert!(wrong("--tls-min-version 1.2").contains("expected TLS1.2 or TLS1.3"));
        let chosen = "--cipher-suites TLS_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        assert!(boot(chosen).is_ok());
        assert!(wrong(&format!("{chosen} --tls-min-version TLS1.3")).contains("only TLS1.3 is spoken"));
        let newer = "--cipher-suites TLS_AES_128_GCM_SHA256 --tls-max-version TLS1.2";
        assert!(wrong(newer).contains("expected one of TLS1.2 as well"));
        let unknown = wrong("--cipher-suites TLS_RSA_WITH_RC4_128_SHA");
        assert!(unknown.contains("expected some of TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "), "{unknown}");
        let sides = "--listen-peer-urls http://127.0.0.1:1,https://127.0.0.1:2";
        assert!(wrong(sides).contains("expected https if and only if http://127.0.0.1:1 is"));
        let mixed = "--initial-cluster default=http://127.0.0.1:2380,b=https://127.0.0.1:1";
        assert!(wrong(mixed).contains("all https"));
    }
}
