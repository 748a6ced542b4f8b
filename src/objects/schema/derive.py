"""Derives core.txt from a Kubernetes OpenAPI v2 document.

usage: python3 derive.py openapi-v2.json > core.txt

Takes the definitions reachable from the kinds we serve. When a kind is added, add it to ROOTS and run again.
"""

import json
import sys

ROOTS = """
core.v1.Namespace core.v1.Node core.v1.Pod core.v1.ConfigMap core.v1.ServiceAccount core.v1.Service core.v1.Event
core.v1.Binding coordination.v1.Lease apps.v1.Deployment apps.v1.ReplicaSet batch.v1.Job autoscaling.v1.Scale
policy.v1.Eviction
""".split()
API, META = "io.k8s.api.", "io.k8s.apimachinery.pkg.apis."
LEAVES = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "quantity",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "int-or-string",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "micro-time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "any",
}
SCALARS = {
    ("string", None): "string", ("string", "byte"): "bytes", ("boolean", None): "bool",
    ("integer", "int32"): "int32", ("integer", "int64"): "int64", ("object", None): "any",
}


def short(name):
    return name.removeprefix(API).removeprefix(META)


def shape(prop):
    if "$ref" in prop:
        name = prop["$ref"].rsplit("/", 1)[1]
        return LEAVES.get(name) or short(name)
    if prop.get("type") == "array":
        return "[]" + shape(prop["items"])
    if "additionalProperties" in prop:
        return "{}" + shape(prop["additionalProperties"])
    return SCALARS[prop.get("type"), prop.get("format")]


def references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rsplit("/", 1)[1]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def flags(prop):
    if "x-kubernetes-list-type" in prop:
        kind = prop["x-kubernetes-list-type"]
        keys = prop.get("x-kubernetes-list-map-keys")
        yield f"{kind}={','.join(keys)}" if keys else kind
    if prop.get("x-kubernetes-map-type") == "atomic":
        yield "atomic"
    if "x-kubernetes-patch-merge-key" in prop:
        yield "key=" + prop["x-kubernetes-patch-merge-key"]
    if "x-kubernetes-patch-strategy" in prop:
        yield "patch=" + prop["x-kubernetes-patch-strategy"]


def main():
    definitions = json.load(open(sys.argv[1]))["definitions"]
    todo, seen = [API + root for root in ROOTS], set()
    while todo:
        name = todo.pop()
        if name not in seen and name not in LEAVES:
            seen.add(name)
            todo.extend(references(definitions[name]))
    print("# Derived from the Kubernetes OpenAPI document by derive.py; not edited by hand.")
    print("# type <name> [group/version/Kind ...] [atomic], then its fields: name[!: required] shape [flags]")
    for name in sorted(seen, key=short):
        definition = definitions[name]
        gvks = definition.get("x-kubernetes-group-version-kind", [])
        kinds = [f"{g['group']}/{g['version']}/{g['kind']}" for g in gvks if len(gvks) == 1]
        atomic = ["atomic"] if definition.get("x-kubernetes-map-type") == "atomic" else []
        print(" ".join(["type", short(name), *kinds, *atomic]))
        required = definition.get("required", [])
        for field, prop in sorted(definition.get("properties", {}).items()):
            mark = "!" if field in required else ""
            print(" ".join([f" {field}{mark}", shape(prop), *flags(prop)]))


main()
