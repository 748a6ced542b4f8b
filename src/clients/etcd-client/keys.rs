//! Keys are put, read, deleted and compared; history can be read until it is compacted.

use crate::Outcome;
use etcd_client::{
    Client, CompactionOptions, Compare, CompareOp, DeleteOptions, GetOptions, KvClientPrefix, PutOptions,
    SortOrder, SortTarget, Txn, TxnOp, TxnOpResponse,
};

async fn fill(client: &mut Client, keys: &[&str]) -> Outcome {
    for key in keys {
        client.put(*key, format!("of {key}"), None).await?;
    }
    Ok(())
}

async fn count(client: &mut Client, key: &str, options: GetOptions) -> Result<i64, etcd_client::Error> {
    Ok(client.get(key, Some(options.with_count_only())).await?.count())
}

pub async fn put_and_read(client: &mut Client) -> Outcome {
    client.put("put", "1", None).await?;
    let again = client.put("put", "2", Some(PutOptions::new().with_prev_key())).await?;
    let before = again.prev_key().ok_or("what was there before")?;
    assert_eq!((before.key_str()?, before.value_str()?, before.version()), ("put", "1", 1));
    fill(client, &["get10", "get11", "get20", "get21"]).await?;
    let one = client.get("get11", None).await?;
    assert_eq!((one.count(), one.more(), one.kvs()[0].value_str()?), (1, false, "of get11"));
    let some = client.get("get11", Some(GetOptions::new().with_from_key().with_limit(2))).await?;
    assert!(some.more());
    assert_eq!(some.kvs().iter().map(|kv| kv.key_str()).collect::<Result<Vec<_>, _>>()?, ["get11", "get20"]);
    let sorted =
        GetOptions::new().with_prefix().with_sort(SortTarget::Mod, SortOrder::Descend).with_keys_only();
    let last_first = client.get("get1", Some(sorted)).await?;
    assert_eq!(last_first.kvs()[0].key_str()?, "get11");
    assert!(last_first.kvs().iter().all(|kv| kv.value().is_empty()));
    assert_eq!(count(client, "get", GetOptions::new().with_prefix()).await?, 4);
    assert!(count(client, "", GetOptions::new().with_all_keys().with_serializable()).await? >= 4);
    Ok(())
}

pub async fn delete(client: &mut Client) -> Outcome {
    fill(client, &["del10", "del11", "del20", "del21", "del31", "del32"]).await?;
    assert_eq!(client.delete("del11", None).await?.deleted(), 1);
    assert_eq!(count(client, "del11", GetOptions::new()).await?, 0);
    assert_eq!(client.delete("del11", Some(DeleteOptions::new().with_range("del22"))).await?.deleted(), 2);
    let gone = client.delete("del3", Some(DeleteOptions::new().with_prefix().with_prev_key())).await?;
    assert_eq!((gone.deleted(), gone.prev_kvs()[1].value_str()?), (2, "of del32"));
    assert_eq!(count(client, "del", GetOptions::new().with_prefix()).await?, 1);
    Ok(())
}

pub async fn decide(client: &mut Client) -> Outcome {
    client.put("txn", "1", None).await?;
    let swap = Txn::new()
        .when([Compare::value("txn", CompareOp::Equal, "1"), Compare::version("txn", CompareOp::Greater, 0)])
        .and_then([TxnOp::put("txn", "2", Some(PutOptions::new().with_prev_key()))])
        .or_else([TxnOp::get("txn", None)]);
    let first = client.txn(swap.clone()).await?;
    assert!(first.succeeded());
    let [TxnOpResponse::Put(put)] = &first.op_responses()[..] else { return Err("expected a put".into()) };
    assert_eq!(put.prev_key().ok_or("what was there before")?.value_str()?, "1");
    let second = client.txn(swap).await?;
    assert!(!second.succeeded());
    let [TxnOpResponse::Get(got)] = &second.op_responses()[..] else { return Err("expected a read".into()) };
    assert_eq!(got.kvs()[0].value_str()?, "2");
    let inner = Txn::new().and_then([TxnOp::delete("txn", None)]);
    let absent = Compare::create_revision("no such key", CompareOp::Equal, 0);
    let nested = client.txn(Txn::new().when([absent]).and_then([TxnOp::txn(inner)])).await?;
    let [TxnOpResponse::Txn(inner)] = &nested.op_responses()[..] else { return Err("expected a txn".into()) };
    let [TxnOpResponse::Delete(gone)] = &inner.op_responses()[..] else {
        return Err("expected a delete".into());
    };
    assert_eq!(gone.deleted(), 1);
    Ok(())
}

pub async fn forget_history(client: &mut Client) -> Outcome {
    let mut revisions = vec![];
    for value in ["0", "1"] {
        let put = client.put("compact", value, None).await?;
        revisions.push(put.header().ok_or("a header")?.revision());
    }
    let at = |revision| Some(GetOptions::new().with_revision(revision));
    assert_eq!(client.get("compact", at(revisions[0])).await?.kvs()[0].value_str()?, "0");
    client.compact(revisions[1], Some(CompactionOptions::new().with_physical())).await?;
    let gone = client.get("compact", at(revisions[0])).await.expect_err("a read before the compaction");
    assert!(gone.to_string().contains("etcdserver: mvcc: required revision has been compacted"), "{gone}");
    assert_eq!(client.get("compact", at(revisions[1])).await?.kvs()[0].value_str()?, "1");
    Ok(())
}

pub async fn keep_to_a_prefix(client: &mut Client) -> Outcome {
    let mut within = KvClientPrefix::new(client.kv_client(), "within/".into());
    within.put("a", "1", None).await?;
    assert_eq!(within.get("a", None).await?.kvs()[0].key_str()?, "a");
    assert_eq!(client.get("within/a", None).await?.kvs()[0].value_str()?, "1");
    let txn =
        Txn::new().when([Compare::value("a", CompareOp::Equal, "1")]).and_then([TxnOp::put("b", "2", None)]);
    assert!(within.txn(txn).await?.succeeded());
    assert_eq!(client.get("within/b", None).await?.kvs()[0].value_str()?, "2");
    let gone = within.delete("a", Some(DeleteOptions::new().with_prev_key())).await?;
    assert_eq!((gone.deleted(), gone.prev_kvs()[0].key_str()?), (1, "a"));
    Ok(())
}
