//! Rows of every kind as people see them.

use serde_json::{Value, json};

use super::{created, kind};
use crate::kinds::KINDS;
use crate::table::{IncludeObject, table};

const HOUR_LATER: u64 = 1_767_229_200_000_000_000;

#[test]
fn every_row_has_a_cell_for_each_column() {
    for kind in KINDS {
        let mut made = created(kind, json!({}));
        made.set(&["metadata", "creationTimestamp"], "2026-01-01T00:00:00Z");
        let shown =
            table(kind, [&made], json!({"resourceVersion": "5"}), IncludeObject::Metadata, true, HOUR_LATER);
        let cells = shown["rows"][0]["cells"].as_array().unwrap();
        assert_eq!(cells.len(), kind.columns.len(), "{kind:?}");
        let age = kind.columns.iter().position(|c| c.name == "Age");
        if let Some(at) = age {
            assert_eq!(cells[at], json!("60m"), "{kind:?}");
        }
        for (cell, column) in cells.iter().zip(kind.columns) {
            assert!(column.of != "integer" || cell.is_i64(), "{kind:?} {}: {cell}", column.name);
        }
        assert_eq!(shown["rows"][0]["object"]["kind"], json!("PartialObjectMetadata"));
        assert_eq!((&shown["kind"], &shown["apiVersion"]), (&json!("Table"), &json!("meta.k8s.io/v1")));
        let bare = table(kind, [&made], json!({}), IncludeObject::None, false, HOUR_LATER);
        assert_eq!((bare["columnDefinitions"].clone(), bare["rows"][0].get("object")), (json!([]), None));
    }
}

/// As upstream's printers name them; those in brackets are for `-o wide`.
#[test]
fn columns_have_upstreams_names() {
    let wanted = [
        ("ConfigMap", "Name, Data, Age"),
        (
            "Event",
            "Last Seen, Type, Reason, Object, (Subobject), (Source), Message, (First Seen), (Count), (Name)",
        ),
        ("Namespace", "Name, Status, Age"),
        (
            "Node",
            "Name, Status, Roles, Age, Version, (Internal-IP), (External-IP), (OS-Image), (Kernel-Version), \
             (Container-Runtime)",
        ),
        ("Pod", "Name, Ready, Status, Restarts, Age, (IP), (Node), (Nominated Node), (Readiness Gates)"),
        ("Service", "Name, Type, Cluster-IP, External-IP, Port(s), Age, (Selector)"),
        ("ServiceAccount", "Name, Secrets, Age"),
        ("Lease", "Name, Holder, Age"),
        ("Deployment", "Name, Ready, Up-to-date, Available, Age, (Containers), (Images), (Selector)"),
        ("ReplicaSet", "Name, Desired, Current, Ready, Age, (Containers), (Images), (Selector)"),
        ("Job", "Name, Status, Completions, Duration, Age, (Containers), (Images), (Selector)"),
    ];
    let shown = |kind: &crate::kinds::Kind| {
        let names = kind.columns.iter().map(|column| match column.priority {
            0 => column.name.to_string(),
            _ => format!("({})", column.name),
        });
        names.collect::<Vec<_>>().join(", ")
    };
    let served: Vec<(&str, String)> = KINDS.iter().map(|kind| (kind.kind, shown(kind))).collect();
    assert_eq!(served, wanted.map(|(kind, columns)| (kind, columns.to_string())));
}

#[test]
fn rows_as_people_see_them() {
    let node = json!({"metadata": {"labels": {"node-role.kubernetes.io/worker": ""}}, "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "10.1.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1"}}});
    let cases: [(&str, Value, Value); 7] = [
        (
            "Node",
            node,
            json!([
                "x",
                "Ready,SchedulingDisabled",
                "worker",
                "<unknown>",
                "v1",
                "10.1.0.1",
                "<none>",
                "<unknown>",
                "<unknown>",
                "<unknown>"
            ]),
        ),
        ("Namespace", json!({}), json!(["x", "Active", "<unknown>"])),
        ("Deployment", json!({}), json!(["x", "0/1", 0, 0, "<unknown>", "c", "i", "app=x"])),
        ("ReplicaSet", json!({}), json!(["x", 1, 0, 0, "<unknown>", "c", "i", "app=x"])),
        ("Service", json!({}), json!(["x", "ClusterIP", "<none>", "<none>", "80/TCP", "<unknown>", "app=x"])),
        ("Lease", json!({}), json!(["x", "me", "<unknown>"])),
        (
            "Event",
            json!({"lastTimestamp": "2026-01-01T00:59:55Z", "type": "Normal", "message": "m\n", "source": {"component": "k", "host": "h"}, "count": 3}),
            json!(["5s", "Normal", "R", "pod/p", "", "k, h", "m", "<unknown>", 3, "x"]),
        ),
    ];
    for (name, changes, cells) in cases {
        let of = kind(name);
        assert_eq!(json!((of.row)(&created(of, changes), HOUR_LATER)), cells, "{name}");
    }
    let balanced = created(
        kind("Service"),
        json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]}}),
    );
    let row = (kind("Service").row)(&balanced, 0);
    assert_eq!((&row[3], &row[4]), (&json!("<pending>"), &json!("80:30080/TCP")));
}

#[test]
fn a_job_says_how_it_stands() {
    let of = kind("Job");
    let cells = |changes: Value| {
        let made = created(of, json!({"spec": {"completions": 8, "parallelism": 3}}));
        let mut value = made.into_value();
        json_patch::merge(&mut value, &changes);
        let row = (of.row)(&crate::Object::from_value(value).unwrap(), HOUR_LATER);
        json!(row[..4])
    };
    let at = |time: &str| format!("2026-01-01T00:{time}Z");
    let is = |of: &str| json!([{"type": of, "status": "True"}]);
    assert_eq!(cells(json!({})), json!(["x", "Running", "0/8", ""]));
    let runs = json!({"status": {"succeeded": 2, "startTime": at("59:30")}});
    assert_eq!(cells(runs), json!(["x", "Running", "2/8", "30s"]));
    let done = json!({"status": {"succeeded": 8, "startTime": at("10:00"), "completionTime": at("12:05"),
        "conditions": is("Complete")}});
    assert_eq!(cells(done), json!(["x", "Complete", "8/8", "2m5s"]));
    assert_eq!(cells(json!({"spec": {"completions": null}})), json!(["x", "Running", "0/1 of 3", ""]));
    for word in ["Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"] {
        assert_eq!(cells(json!({"status": {"conditions": is(word)}}))[1], json!(word));
    }
    let leaves = json!({"metadata": {"deletionTimestamp": at("00:00")}});
    assert_eq!(cells(leaves)[1], json!("Terminating"));
}
