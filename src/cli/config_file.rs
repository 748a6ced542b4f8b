//! `--config-file`: etcd's configuration file, in YAML, as the flags that say the same. Keys are the flags' names; those about
//! TLS stand in two sections, without `peer-` in front.
//! Promise: what stands in a file is heeded, or it is said that it is not. A key that is none is refused, as is one of etcd's
//! that asks for what is not to be had here; etcd passes over the former.
//! Source: etcd, etcd.conf.yml.sample and server/embed/config.go (configYAML, securityConfig).

use base::words::nearest;
use serde::Deserialize;
use std::{collections::BTreeMap, fmt};

/// Sections, and what stands in front of the flags of each.
const SECTIONS: [(&str, &str); 2] = [("client-transport-security", ""), ("peer-transport-security", "peer-")];

/// Keys of etcd's about how it logs, what it keeps of its own files, and what it no longer does itself.
const WITHOUT_EFFECT: &[&str] = &[
    "backend-batch-interval",
    "backend-batch-limit",
    "backend-bbolt-freelist-type",
    "discovery-fallback",
    "discovery-proxy",
    "enable-grpc-gateway",
    "enable-log-rotation",
    "enable-pprof",
    "initial-election-tick-advance",
    "log-format",
    "log-level",
    "log-outputs",
    "log-rotation-config-json",
    "logger",
    "max-snapshots",
    "max-wals",
    "metrics",
    "pre-vote",
    "proxy-dial-timeout",
    "proxy-failure-wait",
    "proxy-read-timeout",
    "proxy-refresh-interval",
    "proxy-write-timeout",
    "strict-reconfig-check",
    "v2-deprecation",
];

/// Keys of etcd's that are not served, with the value that asks for nothing.
const NOT_SERVED: &[(&str, &str)] = &[
    ("cors", ""),
    ("discovery", ""),
    ("discovery-srv", ""),
    ("discovery-srv-name", ""),
    ("enable-v2", "false"),
    ("host-whitelist", "*"),
    ("proxy", "off"),
    ("wal-dir", ""),
];

/// Flags that are a length of time; etcd writes it as a number of nanoseconds in its file.
const TIMES: &[&str] = &[
    "compact-hash-check-time",
    "corrupt-check-time",
    "experimental-compact-hash-check-time",
    "experimental-corrupt-check-time",
    "experimental-warning-apply-duration",
    "experimental-warning-unary-request-duration",
    "grpc-keepalive-interval",
    "grpc-keepalive-min-time",
    "grpc-keepalive-timeout",
    "warning-apply-duration",
    "warning-unary-request-duration",
    "watch-progress-notify-interval",
];

/// A file, as it would be said on the command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// `--key=value`.
    pub flags: Vec<String>,
    /// Keys of etcd's that do nothing here.
    pub without_effect: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Switch(bool),
    Whole(i64),
    Number(f64),
    Word(String),
    List(Vec<Value>),
    Section(BTreeMap<String, Option<Value>>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Switch(value) => value.fmt(f),
            Value::Whole(value) => value.fmt(f),
            Value::Number(value) => value.fmt(f),
            Value::Word(value) => value.fmt(f),
            Value::List(values) => {
                f.write_str(&values.iter().map(Value::to_string).collect::<Vec<_>>().join(","))
            }
            Value::Section(_) => f.write_str("{...}"),
        }
    }
}

/// Reads the text of a file, for a command that knows these flags.
pub fn read(text: &str, known: &[String]) -> Result<Said, String> {
    let file: Option<BTreeMap<String, Option<Value>>> = serde_saphyr::from_str(text)
        .map_err(|error| format!("expected YAML with a value for each key: {}", error.without_snippet()))?;
    let mut said = Said { flags: vec![], without_effect: vec![] };
    for (key, value) in file.unwrap_or_default() {
        let section = SECTIONS.iter().find(|(name, _)| *name == key);
        match (section, value) {
            (Some(_), None) => {}
            (Some((_, prefix)), Some(Value::Section(inside))) => {
                for (inner, value) in inside {
                    said.take(
                        &of_section(prefix, &inner),
                        &format!("{key}: {inner}"),
                        value.as_ref(),
                        known,
                    )?;
                }
            }
            (Some(_), Some(other)) => {
                return Err(format!("{key}: {other}: expected keys below it, for example cert-file"));
            }
            (None, value) => said.take(&key, &key, value.as_ref(), known)?,
        }
    }
    Ok(said)
}

/// The flag of a key in a section.
fn of_section(prefix: &str, key: &str) -> String {
    let of = if prefix.is_empty() { "client-" } else { prefix };
    match key {
        "allowed-cn" | "allowed-hostname" => format!("{of}cert-{key}"),
        _ => format!("{prefix}{key}"),
    }
}

fn is_known(flag: &str, known: &[String]) -> bool {
    known.iter().any(|name| name == flag)
        || WITHOUT_EFFECT.contains(&flag)
        || NOT_SERVED.iter().any(|(name, _)| *name == flag)
}

impl Said {
    /// Takes the value of a flag, which is shown as it stands in the file.
    fn take(
        &mut self,
        flag: &str,
        shown: &str,
        value: Option<&Value>,
        known: &[String],
    ) -> Result<(), String> {
        if !is_known(flag, known) {
            let hint = nearest(flag, known.iter().map(String::as_str)).map_or_else(
                || "expected the name of a flag, as in etcd.conf.yml.sample".into(),
                |name| format!("did you mean {name}?"),
            );
            return Err(format!("{shown}: there is no such key; {hint}"));
        }
        let text = match value {
            None => return Ok(()),
            Some(Value::Section(_)) => {
                return Err(format!("{shown}: expected a value, and no keys below it"));
            }
            Some(Value::Whole(nanos)) if TIMES.contains(&flag) => format!("{nanos}ns"),
            Some(value) => value.to_string(),
        };
        if let Some((_, nothing)) = NOT_SERVED.iter().find(|(name, _)| *name == flag) {
            return match text.is_empty() || text == *nothing {
                true => Ok(()),
                false => Err(format!("{shown}: {text}: that is not served here; expected nothing of it")),
            };
        }
        match text.is_empty() {
            true => {}
            false if WITHOUT_EFFECT.contains(&flag) => self.without_effect.push(flag.into()),
            false => self.flags.push(format!("--{flag}={text}")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Said, String> {
        let known = [
            "name",
            "data-dir",
            "cipher-suites",
            "auto-tls",
            "trusted-ca-file",
            "peer-auto-tls",
            "peer-cert-file",
            "client-cert-file",
            "peer-client-key-file",
            "peer-cert-allowed-cn",
            "client-cert-allowed-hostname",
            "grpc-keepalive-min-time",
            "snapshot-count",
        ];
        read(text, &known.map(str::to_string))
    }

    fn flags(text: &str) -> Vec<String> {
        of(text).unwrap_or_else(|why| panic!("{text}: {why}")).flags
    }

    #[test]
    fn keys_are_flags_and_those_of_a_section_are_flags_of_one_side() {
        assert_eq!(flags(""), Vec::<String>::new());
        assert_eq!(
            flags("name: 'one'\ndata-dir:\nsnapshot-count: 10"),
            ["--name=one", "--snapshot-count=10"]
        );
        assert_eq!(flags("cipher-suites: [\n  A,\n  B\n]"), ["--cipher-suites=A,B"]);
        let sides = "client-transport-security:\n  auto-tls: true\n  trusted-ca-file:\n  allowed-hostname: a\n\
             peer-transport-security:\n  cert-file: /p.crt\n  auto-tls: false\n  allowed-cn: [b, c]\n";
        let expected = [
            "--client-cert-allowed-hostname=a",
            "--auto-tls=true",
            "--peer-cert-allowed-cn=b,c",
            "--peer-auto-tls=false",
            "--peer-cert-file=/p.crt",
        ];
        assert_eq!(flags(sides), expected);
        let called = "client-transport-security:\n  client-cert-file: a\npeer-transport-security:\n  client-key-file: b\n";
        assert_eq!(flags(called), ["--client-cert-file=a", "--peer-client-key-file=b"]);
        assert_eq!(flags("client-transport-security:\n"), Vec::<String>::new());
        let times = ["grpc-keepalive-min-time: 5000000000", "grpc-keepalive-min-time: 5s"].map(flags);
        assert_eq!(times, [["--grpc-keepalive-min-time=5000000000ns"], ["--grpc-keepalive-min-time=5s"]]);
    }

    #[test]
    fn what_etcd_has_and_is_not_here_is_told_of_or_refused() {
        let said = of("max-wals: 5\nlogger: zap\nname: a\nlog-outputs: [stderr]\nlog-level:\n")
            .expect("it is taken");
        assert_eq!(said.flags, ["--name=a"]);
        assert_eq!(said.without_effect, ["log-outputs", "logger", "max-wals"]);
        assert_eq!(flags("proxy: 'off'\ndiscovery:\nwal-dir: ''"), Vec::<String>::new());
        for text in ["wal-dir: /elsewhere", "discovery: http://x"] {
            assert!(of(text).expect_err(text).contains("not served here"), "{text}");
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused_and_the_one_that_was_meant_is_named() {
        let wrong = |text: &str| of(text).expect_err(text);
        assert_eq!(wrong("naem: a"), "naem: there is no such key; did you mean name?");
        assert_eq!(wrong("naem:"), "naem: there is no such key; did you mean name?");
        assert!(wrong("snapshotcount: 1").contains("did you mean snapshot-count?"));
        assert!(wrong("something: 1").contains("expected the name of a flag"));
        let inside = "peer-transport-security:\n  cert-fiel: a";
        assert!(wrong(inside).contains("did you mean peer-cert-file?"), "{}", wrong(inside));
        assert!(wrong("peer-transport-security: a").contains("expected keys below it"));
        assert!(wrong("name:\n  first: a").contains("expected a value"));
        assert!(wrong("name: [").contains("expected YAML"));
        assert!(wrong("- name").contains("expected YAML"));
    }
}
