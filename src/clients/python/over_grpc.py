"""What the Python client etcd3 (0.12) is used for, over gRPC, against the member at HOST:PORT.

Prints each flow that went as it should, and fails at the first that did not. With a file of certificates it goes over
TLS, and users are told apart too: this client's tokens go over nothing else.
"""

import io
import os
import queue
import sys
import tempfile
import time

# its messages were generated long ago, and newer runtimes want to be asked for them
os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")

import etcd3
import etcd3.etcdrpc as rpc
import grpc
from etcd3.etcdrpc import auth_pb2

PATIENCE = 10


def refused(error, call):
    """The call must be refused with an error of this kind, which is given back."""
    try:
        call()
    except error as refusal:
        return refusal
    raise AssertionError(f"expected {error.__name__}")


def put_and_read(client):
    assert client.get("put") == (None, None)
    client.put("put", "1")
    before = client.put("put", "2", prev_kv=True).prev_kv
    assert (before.key, before.value) == (b"put", b"1")
    value, meta = client.get("put", serializable=True)
    assert (value, meta.key, meta.version) == (b"2", b"put", 2)
    assert meta.mod_revision == meta.create_revision + 1 == meta.response_header.revision
    assert client.put_if_not_exists("put", "3") is False
    assert client.put_if_not_exists("put/new", "3") is True
    assert client.replace("put", "1", "4") is False
    assert client.replace("put", "2", "4") is True
    binary = bytes(range(256))
    client.put(b"put/\x00\xff", binary)
    assert client.get(b"put/\x00\xff")[0] == binary


def read_many(client):
    for name, value in [("c", "1"), ("a", "2"), ("b", "3")]:
        client.put(f"many/{name}", value)

    def keys(**how):
        return [meta.key.decode()[5:] for _, meta in client.get_prefix("many/", **how)]

    assert keys() == ["a", "b", "c"]
    assert keys(sort_order="descend", sort_target="key") == ["c", "b", "a"]
    assert keys(sort_order="ascend", sort_target="value") == ["c", "a", "b"]
    assert keys(sort_order="descend", sort_target="mod") == ["b", "a", "c"]
    assert [value for value, _ in client.get_prefix("many/", keys_only=True)] == [b"", b"", b""]
    assert [value for value, _ in client.get_range("many/a", "many/c")] == [b"2", b"3"]
    assert client.get_prefix_response("many/").count == 3
    assert len(list(client.get_all())) >= 3


def delete(client):
    for name in "abc":
        client.put(f"del/{name}", name)
    assert client.delete("del/none") is False
    assert client.delete("del/a") is True
    gone = client.delete("del/b", prev_kv=True, return_response=True)
    assert (gone.deleted, gone.prev_kvs[0].value) == (1, b"b")
    assert client.delete_prefix("del/").deleted == 1


def decide(client):
    of = client.transactions
    client.put("txn", "1")
    done, answers = client.transaction(
        compare=[of.value("txn") == "1", of.version("txn") > 0, of.create("none") == 0, of.mod("txn") != 0],
        success=[of.put("txn", "2"), of.get("txn"), of.delete("none")],
        failure=[of.put("txn", "wrong")],
    )
    assert done and answers[1][0][0] == b"2", answers
    done, answers = client.transaction(
        compare=[of.value("txn") == "1"],
        success=[],
        failure=[of.get("txn"), of.txn([of.version("txn") == 2], [of.delete("txn")], [])],
    )
    assert not done and answers[0][0][0] == b"2", answers
    assert client.get("txn") == (None, None)


def watch(client):
    events, cancel = client.watch_prefix("watch/", prev_kv=True)
    client.put("watch/a", "1")
    client.delete("watch/a")
    first, second = next(events), next(events)
    assert isinstance(first, etcd3.events.PutEvent) and (first.key, first.value) == (b"watch/a", b"1")
    assert isinstance(second, etcd3.events.DeleteEvent) and second.prev_value == b"1"
    cancel()

    answers = queue.Queue()
    one = client.add_watch_callback("watch/b", answers.put)
    two = client.add_watch_callback("watch/c", answers.put, progress_notify=True)
    client.put("watch/b", "1")
    assert answers.get(timeout=PATIENCE).events[0].value == b"1"
    client.cancel_watch(one)
    client.put("watch/b", "2")
    client.put("watch/c", "3")
    assert answers.get(timeout=PATIENCE).events[0].value == b"3"
    client.cancel_watch(two)
    refused(etcd3.exceptions.WatchTimedOut, lambda: client.watch_once("watch/b", timeout=0.3))


def look_back(client):
    client.put("back", "1")
    revision = client.get("back")[1].mod_revision
    client.put("back", "2")
    events, cancel = client.watch("back", start_revision=revision)
    assert [next(events).value, next(events).value] == [b"1", b"2"]
    cancel()
    client.compact(revision + 1, physical=True)
    events, cancel = client.watch("back", start_revision=revision)
    gone = refused(etcd3.exceptions.RevisionCompactedError, lambda: next(events))
    assert gone.compacted_revision == revision + 1
    cancel()
    again = refused(grpc.RpcError, lambda: client.compact(revision))
    assert again.details() == "etcdserver: mvcc: required revision has been compacted"


def lease(client):
    kept = client.lease(60)
    client.put("lease/a", "1", lease=kept)
    assert 0 < kept.remaining_ttl <= 60 and kept.granted_ttl == 60 and list(kept.keys) == [b"lease/a"]
    assert kept.refresh()[0].TTL == 60
    kept.revoke()
    assert client.get("lease/a") == (None, None)
    assert client.get_lease_info(kept.id).TTL == -1
    client.put("lease/b", "1", lease=client.lease(1, lease_id=4711))
    deadline = time.monotonic() + PATIENCE
    while client.get("lease/b")[0] is not None:
        assert time.monotonic() < deadline, "a lease of a second does not end"
        time.sleep(0.1)


def lock(client):
    first, second = client.lock("lock", ttl=30), client.lock("lock", ttl=30)
    assert first.acquire() and first.is_acquired()
    # how it waits for a lock does not go with any tenacity that Python 3.11 can import
    assert not second.is_acquired()
    assert first.refresh()[0].TTL == 30
    assert first.release() and not first.release()
    with second:
        assert second.is_acquired()
    assert not second.is_acquired()


def members(client):
    all_members = list(client.members)
    for member in all_members:
        assert member.id and member.name and member.peer_urls and member.client_urls
    assert any(member.id == client.status().leader.id for member in all_members)
    unknown = refused(grpc.RpcError, lambda: client.remove_member(1 << 40))
    assert unknown.code() == grpc.StatusCode.NOT_FOUND
    refused(grpc.RpcError, lambda: client.update_member(1 << 40, ["http://127.0.0.1:1"]))


def upkeep(client):
    status = client.status()
    assert status.version.startswith("3.") and status.db_size > 0 and status.raft_index > 0
    assert client.hash() != 0
    client.defragment()
    with tempfile.TemporaryFile() as file:
        client.snapshot(file)
        size = file.seek(0, io.SEEK_END)
        assert size % 512 == 32, f"{size} bytes: a multiple of 512, and a hash"


def alarms(client):
    assert list(client.list_alarms()) == []
    raised = client.create_alarm(member_id=7)
    assert [(alarm.member_id, alarm.alarm_type) for alarm in raised] == [(7, rpc.NOSPACE)]
    full = refused(grpc.RpcError, lambda: client.put("alarm", "1"))
    assert full.details() == "etcdserver: mvcc: database space exceeded"
    assert len(list(client.list_alarms(member_id=7, alarm_type="no space"))) == 1
    assert len(list(client.disarm_alarm(member_id=7))) == 1
    client.put("alarm", "1")


def users(client, known):
    """The client only gives names; what root does goes by its stubs."""
    stub = rpc.AuthStub(client.channel)
    grant = auth_pb2.Permission(permType=auth_pb2.Permission.READWRITE, key=b"alice/", range_end=b"alice0")
    for name in ["root", "alice"]:
        stub.UserAdd(rpc.AuthUserAddRequest(name=name, password="pw"))
        stub.RoleAdd(rpc.AuthRoleAddRequest(name=name))
        stub.UserGrantRole(rpc.AuthUserGrantRoleRequest(user=name, role=name))
    stub.RoleGrantPermission(rpc.AuthRoleGrantPermissionRequest(name="alice", perm=grant))
    stub.AuthEnable(rpc.AuthEnableRequest())
    nobody = refused(grpc.RpcError, lambda: client.put("auth", "1"))
    assert nobody.details() == "etcdserver: user name is empty"
    wrong = refused(grpc.RpcError, lambda: known(user="alice", password="guess"))
    assert wrong.code() == grpc.StatusCode.INVALID_ARGUMENT
    root, alice = known(user="root", password="pw"), known(user="alice", password="pw")
    root.put("auth", "1")
    alice.put("alice/a", "1")
    events, cancel = alice.watch("alice/a", start_revision=alice.get("alice/a")[1].mod_revision)
    assert next(events).value == b"1"
    cancel()
    denied = refused(grpc.RpcError, lambda: alice.get("auth"))
    assert denied.code() == grpc.StatusCode.PERMISSION_DENIED
    rpc.AuthStub(root.channel).AuthDisable(rpc.AuthDisableRequest(), metadata=root.metadata)
    client.put("auth", "2")


def main(address, ca=None):
    host, port = address.split(":")

    def connect(**who):
        return etcd3.client(host, int(port), ca_cert=ca, timeout=PATIENCE, **who)

    client = connect()
    for flow in [put_and_read, read_many, delete, decide, watch, look_back, lease, lock, members, upkeep, alarms]:
        flow(client)
        print("ok", flow.__name__, flush=True)
    if ca:
        users(client, connect)
        print("ok users", flush=True)


main(*sys.argv[1:])
