//! The grammar as JSON schema, so that editors complete and check scenario files.

use super::{KUBE_OPS, KV_OPS, clients, disks, members, operators, read};
use serde_json::{Value, json};

/// The schema as text.
pub fn schema() -> String {
    serde_json::to_string_pretty(&root()).unwrap_or_default()
}

fn table(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn root() -> Value {
    let checks: Vec<&str> = crate::check::PROMISES.iter().map(|promise| promise.name).collect();
    let mut schema = table(
        json!({
            "name": { "type": "string", "description": "The claim, as a sentence." },
            "seed": { "type": "integer", "minimum": 0, "description": "The seed whose outcome is recorded." },
            "cluster": cluster(),
            "network": network(),
            "knobs": knobs(),
            "timeline": { "type": "array", "items": timeline() },
            "deliveries": deliveries(),
            "load": { "type": "array", "items": load() },
            "clients": { "type": "array", "items": { "oneOf": written() },
                "description": "Clients written out, operation by operation." },
            "harm": { "type": "array", "items": table(harm(true), &[]) },
            "heal": { "$ref": "#/$defs/time", "description": "When all harm and load end." },
            "settle": { "$ref": "#/$defs/time", "description": "How long converging may take after that." },
            "expect": { "oneOf": [ { "const": "unavailable", "description": "Safety alone is judged." },
                { "type": "array", "items": expect() } ] },
            "memory": { "$ref": "#/$defs/size", "description": "What a run may take of memory; 6GiB unless said." },
            "check": { "oneOf": [ { "const": "all" }, { "type": "array", "items": { "enum": checks } } ] },
        }),
        &["name"],
    );
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("A scenario of the tank");
    schema["$defs"] = json!({
        "time": draw(r"^[0-9.]+(us|ms|s|m|h)?(\.\.[0-9.]+(us|ms|s|m|h))?$", "A time: 8s, 250ms, 10s..20s."),
        "shift": { "type": "string", "pattern": r"^(±|\+-|-)?[0-9.]+(us|ms|s|m|h)(\.\.-?[0-9.]+(us|ms|s|m|h))?$" },
        "size": { "oneOf": [ { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": r"^[0-9.]+(KiB|MiB|GiB)?(\.\.[0-9.]+(KiB|MiB|GiB)?)?$" },
            { "type": "array", "items": { "type": ["integer", "string"] } } ], "description": "Bytes: 300, 64KiB." },
        "percent": draw(r"^[0-9.]+%?(\.\.[0-9.]+%)?$", "A share: 0.1%, 1%..5%."),
        "count": { "oneOf": [ { "type": "integer", "minimum": 0 }, { "type": "string", "pattern": r"^\d+\.\.\d+$" },
            { "type": "array", "items": { "type": "integer", "minimum": 0 } } ] },
        "target": { "oneOf": [ { "type": "string" }, { "type": "array", "items": { "type": "string" } } ],
            "description": "leader, one, minority, majority, all, member-2, the node running pod web-0" },
    });
    schema
}

fn draw(pattern: &str, description: &str) -> Value {
    json!({ "oneOf": [ { "type": "string", "pattern": pattern }, { "type": "array", "items": { "type": "string" } } ],
        "description": description })
}

fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn cluster() -> Value {
    let roles = ["members", "spares", "apiservers", "managers", "schedulers", "nodes"];
    table(
        roles.iter().map(|role| (role.to_string(), of("count"))).collect::<serde_json::Map<_, _>>().into(),
        &[],
    )
}

fn network() -> Value {
    table(json!({ "latency": of("time"), "loss": of("percent") }), &[])
}

fn knobs() -> Value {
    let each = base::Knobs::NAMES.iter().map(|name| {
        let kind = if name.ends_with("_ms") { "time" } else { "count" };
        (read::knob_word(name), of(kind))
    });
    table(each.collect::<serde_json::Map<_, _>>().into(), &[])
}

fn harm(repeated: bool) -> Value {
    let mut harm = json!({
        "crash": of("target"), "power-cut": of("target"), "pause": of("target"), "restart": of("target"),
        "replace": of("target"), "knobs": knobs(), "rolling": of("time"), "cpu": table(json!({ "slow": of("time") }), &["slow"]),
        "memory": table(json!({ "limit": of("size") }), &["limit"]),
        "partition": of("target"), "hold": of("target"), "from": of("target"), "flapping": of("time"),
        "direction": { "enum": ["in", "out", "both"] },
        "network": network(),
        "clock": table(json!({ "skew": of("shift"), "step": of("shift") }), &[]),
        "disk": disk(),
        "midway": of("target"), "after": of("count"), "lag": of("target"), "by": of("time"),
        "of": of("target"), "for": of("time"), "upon-election": of("time"), "upon-change": of("time"), "upon-joint": of("time"),
    });
    if repeated {
        harm["every"] = of("time");
        harm["chance"] = of("percent");
    }
    harm
}

fn disk() -> Value {
    let way = |word: &str| match word {
        "slow" => of("time"),
        "fail" => json!({ "enum": disks::OPERATIONS }),
        _ => json!({ "const": true }),
    };
    let ways = disks::WAYS.iter().map(|word| (word.to_string(), way(word)));
    let mut disk = table(ways.collect::<serde_json::Map<_, _>>().into(), &[]);
    (disk["minProperties"], disk["maxProperties"]) = (1.into(), 1.into());
    disk
}

fn timeline() -> Value {
    let mut entry = harm(false);
    entry["at"] = of("time");
    deeds(&mut entry);
    table(entry, &["at"])
}

fn deliveries() -> Value {
    let plurals: Vec<&str> = objects::kinds::KINDS.iter().map(|kind| kind.plural).collect();
    let kinds = json!({ "type": "array", "items": { "enum": plurals } });
    let mut one = table(
        json!({ "to": { "type": "string" }, "from": of("time"), "of": kinds, "order": kinds, "most": of("count") }),
        &["to", "from", "of"],
    );
    one["description"] = json!("Somebody hears what it is told of these kinds one by one, in this order.");
    one
}

/// What a user may do.
fn deeds(entry: &mut Value) {
    entry["apply"] = json!({ "oneOf": [ { "type": "string" }, { "type": "object" } ],
        "description": "A Kubernetes manifest, or the path of one." });
    for deed in ["scale", "set-image", "delete"] {
        entry[deed] = json!({ "type": "string", "pattern": "^deployment/" });
    }
    entry["replicas"] = of("count");
    entry["image"] = json!({ "type": "string" });
    entry["propagation"] = json!({ "enum": ["Background", "Foreground"] });
}

fn written() -> Vec<Value> {
    let word = json!({ "type": "string" });
    let flag = json!({ "type": "boolean" });
    let words = json!({ "type": "array", "items": word, "minItems": 2, "maxItems": 2 });
    let mut op = json!({ "after": of("time"), "at": of("time"), "value": word, "values": words, "size": of("size"), "serializable": flag,
        "ttl": of("time"), "renewals": of("count"), "revoke": flag, "hold": of("time"), "transfer": words, "compact": of("count") });
    for deed in clients::STORE_DEEDS.into_iter().filter(|deed| !["transfer", "compact"].contains(deed)) {
        op[deed] = word.clone();
    }
    let mut wish = json!({ "after": of("time"), "at": of("time") });
    deeds(&mut wish);
    let windowed = |kind: &str, op: Value| {
        let ops = json!({ "type": "array", "items": table(op, &[]) });
        let mut client = json!({ kind: word, "from": of("time"), "until": of("time"), "ops": ops });
        if kind == "store" {
            client["patience"] = of("time");
            client["retries"] = of("count");
        }
        table(client, &[kind, "from", "until", "ops"])
    };
    let crowd =
        json!({ "crowd": word, "from": of("time"), "size": of("count"), "of": { "enum": ["store", "api"] } });
    let watcher = json!({ "watcher": word, "from": of("time"), "lives": of("time"), "pause": of("time"),
        "prevKv": flag, "only": { "enum": ["puts", "deletes"] }, "progress": of("time") });
    let mut change = json!({ "after": of("time"), "at": of("time") });
    for deed in operators::deeds() {
        change[deed] = match deed {
            "auth" => json!({ "enum": ["on", "off"] }),
            "free" => json!({ "enum": ["space"] }),
            _ if members::DEEDS.contains(&deed) => json!({ "type": "string", "pattern": "^member-[0-9]+$" }),
            _ => json!({ "type": "string", "pattern": "^client-[0-9]+$" }),
        };
    }
    vec![
        windowed("store", op),
        windowed("user", wish),
        windowed("operator", change),
        table(watcher, &["watcher", "from", "lives"]),
        table(crowd, &["crowd", "from", "size", "of"]),
        table(json!({ "readers": of("count") }), &["readers"]),
    ]
}

fn load() -> Value {
    let mix = |words: &[&str]| {
        let each = words.iter().map(|word| (word.to_string(), json!({ "type": "integer", "minimum": 0 })));
        table(each.collect::<serde_json::Map<_, _>>().into(), &[])
    };
    let kv = table(
        json!({ "clients": of("count"), "keys": of("count"), "pause": of("time"), "mix": mix(&KV_OPS),
            "burst": of("count"), "hot": of("percent"), "size": of("size"), "patience": of("time"),
            "retries": of("count"), "watchers": of("count"), "slow": of("count"), "crowd": of("count"),
            "ttl": of("time") }),
        &[],
    );
    let kube = table(
        json!({ "clients": of("count"), "deployments": of("count"), "replicas": of("count"), "pause": of("time"),
            "burst": of("count"), "size": of("size"), "mix": mix(&KUBE_OPS), "watchers": of("count"),
            "crowd": of("count") }),
        &[],
    );
    let members = table(json!({ "operators": of("count"), "pause": of("time") }), &[]);
    let paced = table(json!({ "pause": of("time") }), &[]);
    table(
        json!({ "kv": kv, "kube": kube, "members": members, "users": paced, "space": paced, "from": of("time"), "for": of("time"), "chance": of("percent") }),
        &[],
    )
}

fn expect() -> Value {
    table(
        json!({ "deployment": { "type": "string" }, "readyReplicas": of("count"), "image": { "type": "string" },
            "job": { "type": "string" }, "succeeded": of("count"), "ends": { "enum": read::ENDS },
            "absent": { "type": "string", "pattern": "^deployment/" }, "reached": { "type": "string" } }),
        &[],
    )
}
