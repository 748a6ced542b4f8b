"""What the Python client etcd3gw is used for, over etcd's JSON gateway, against the member at HOST:PORT.

Prints each flow that went as it should, and fails at the first that did not.
"""

import sys
import threading
import time

import etcd3gw

PATIENCE = 10


def refused(call):
    """The call must be refused; gives what the server said."""
    try:
        call()
    except etcd3gw.exceptions.Etcd3Exception as refusal:
        return refusal.detail_text
    raise AssertionError("expected a refusal")


def put_and_read(client):
    assert client.get("put") == []
    assert client.put("put", "1") and client.put("put", "2")
    assert client.get("put") == [b"2"]
    value, meta = client.get("put", metadata=True, serializable=True)[0]
    assert (value, meta["key"], meta["version"]) == (b"2", b"put", "2")
    first = int(meta["create_revision"])
    assert client.get("put", revision=first) == [b"1"]
    assert client.create("put", "3") is False and client.create("put/new", "3") is True
    assert client.replace("put", "1", "4") is False and client.replace("put", "2", "4") is True
    binary = bytes(range(256))
    client.put(b"put/\x00\xff", binary)
    assert client.get(b"put/\x00\xff") == [binary]


def read_many(client):
    for name, value in [("c", "1"), ("a", "2"), ("b", "")]:
        client.put(f"many/{name}", value)

    def keys(**how):
        return "".join(meta["key"].decode()[5:] for _, meta in client.get_prefix("many/", **how))

    assert keys() == "abc"
    assert keys(sort_order="descend", sort_target="key") == "cba"
    assert keys(sort_order="ascend", sort_target="value") == "bca"
    assert keys(sort_order="descend", sort_target="mod") == "bac"
    assert client.get("many/", range_end="many0", limit=2) == [b"2", b""]
    assert client.get("many/", range_end="many0", keys_only=True) == [b"", b"", b""]
    assert client.get("many/", range_end="many0", count_only=True) == []
    assert len(client.get_all()) >= 3


def delete(client):
    for name in "abc":
        client.put(f"del/{name}", name)
    assert client.delete("del/none") is False
    assert client.delete("del/a", prev_kv=True) is True
    assert client.delete_prefix("del/") is True and client.get_prefix("del/") == []


def decide(client):
    key, value = (etcd3gw.utils._encode(text) for text in ("txn", "1"))
    read = {"request_range": {"key": key}}
    txn = {
        "compare": [{"key": key, "result": "EQUAL", "target": "VERSION", "version": "0"}],
        "success": [{"request_put": {"key": key, "value": value}}, read],
        "failure": [read],
    }
    first, second = client.transaction(txn), client.transaction(txn)
    assert first["succeeded"] is True and "response_put" in first["responses"][0], first
    assert first["responses"][1]["response_range"]["kvs"][0]["value"] == value
    # what is false is left out
    assert "succeeded" not in second and len(second["responses"]) == 1, second


def watch(client):
    events, cancel = client.watch_prefix("watch/", prev_kv=True)
    client.put("watch/a", "1")
    client.put("watch/b", "")
    client.delete("watch/a")
    first, second, third = next(events), next(events), next(events)
    # so is a type that is the first of its kind
    assert "type" not in first and (first["kv"]["key"], first["kv"]["value"]) == (b"watch/a", b"1"), first
    assert second["kv"]["key"] == b"watch/b" and third["type"] == "DELETE", third
    assert "prev_kv" in third
    cancel()

    writer = threading.Timer(0.3, lambda: client.put("watch/once", "1"))
    writer.start()
    assert client.watch_once("watch/once", timeout=PATIENCE)["kv"]["value"] == b"1"
    writer.join()
    try:
        client.watch_once("watch/once", timeout=0.3, filters=["NOPUT"])
        raise AssertionError("nothing happened")
    except etcd3gw.exceptions.WatchTimedOut:
        pass


def look_back(client):
    client.put("back", "1")
    revision = int(client.get("back", metadata=True)[0][1]["mod_revision"])
    client.put("back", "2")
    events, cancel = client.watch("back", start_revision=revision)
    assert [next(events)["kv"]["value"], next(events)["kv"]["value"]] == [b"1", b"2"]
    cancel()
    client.post(client.get_url("/kv/compaction"), json={"revision": revision + 1, "physical": True})
    why = refused(lambda: client.get("back", revision=revision))
    assert "etcdserver: mvcc: required revision has been compacted" in why, why


def lease(client):
    kept = client.lease(60)
    client.put("lease/a", "1", lease=kept)
    assert 0 < kept.ttl() <= 60 and kept.keys() == [b"lease/a"] and kept.refresh() == 60
    assert client.create("lease/b", "1", lease=kept)
    kept.revoke()
    assert client.get_prefix("lease/") == [] and kept.refresh() == -1
    client.put("lease/c", "1", lease=client.lease(1))
    deadline = time.monotonic() + PATIENCE
    while client.get("lease/c"):
        assert time.monotonic() < deadline, "a lease of a second does not end"
        time.sleep(0.1)


def lock(client):
    first, second = client.lock("lock", ttl=30), client.lock("lock", ttl=30)
    assert first.acquire() and first.is_acquired() and first.refresh() == 30
    assert second.acquire() is False
    assert first.release() and not first.release()
    with second:
        assert second.is_acquired()


def members(client):
    all_members = client.members()
    for member in all_members:
        assert int(member["ID"]) and member["name"] and member["peerURLs"] and member["clientURLs"]
    status = client.status()
    assert status["version"].startswith("3.") and int(status["dbSize"]) > 0
    assert status["leader"] in [member["ID"] for member in all_members]


def upkeep(client):
    def post(path, **body):
        return client.post(client.get_url(path), json=body)

    assert post("/maintenance/defragment") == {}
    assert post("/maintenance/hash")["hash"] != 0
    assert "alarms" not in post("/maintenance/alarm", action="GET")
    raised = post("/maintenance/alarm", action="ACTIVATE", memberID=7, alarm="NOSPACE")
    assert raised["alarms"] == [{"memberID": "7", "alarm": "NOSPACE"}]
    why = refused(lambda: client.put("alarm", "1"))
    assert "etcdserver: mvcc: database space exceeded" in why, why
    post("/maintenance/alarm", action="DEACTIVATE", memberID=7, alarm="NOSPACE")
    client.put("alarm", "1")


def users(client):
    """The client gives no names: what it lacks goes by its own `post`, the token by its session."""

    def post(path, **body):
        return client.post(client.get_url(path), json=body)

    for name in ["root", "alice"]:
        post("/auth/user/add", name=name, password="pw")
        post("/auth/role/add", name=name)
        post("/auth/user/grant", user=name, role=name)
    key = etcd3gw.utils._encode("alice")
    post("/auth/role/grant", name="alice", perm={"permType": "READWRITE", "key": key})
    assert post("/auth/role/get", role="alice")["perm"] == [{"permType": "READWRITE", "key": key}]
    assert post("/auth/user/list")["users"] == ["alice", "root"]
    post("/auth/enable")
    assert "etcdserver: user name is empty" in refused(lambda: client.put("auth", "1"))
    assert "authentication failed" in refused(lambda: post("/auth/authenticate", name="alice", password="guess"))
    for name, may in [("alice", False), ("root", True)]:
        client.session.headers.pop("Authorization", None)
        client.session.headers["Authorization"] = post("/auth/authenticate", name=name, password="pw")["token"]
        assert client.put("alice", name)
        if may:
            client.put("auth", "1")
        else:
            assert "etcdserver: permission denied" in refused(lambda: client.put("auth", "1"))
    post("/auth/disable")
    del client.session.headers["Authorization"]
    client.put("auth", "2")


def main(address):
    host, port = address.split(":")
    # without a path it asks the server's version for one
    client = etcd3gw.client(host, int(port), timeout=PATIENCE, api_path=None)
    for flow in [put_and_read, read_many, delete, decide, watch, look_back, lease, lock, members, upkeep, users]:
        flow(client)
        print("ok", flow.__name__, flush=True)


main(sys.argv[1])
