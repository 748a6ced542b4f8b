//! What becomes of what is owned: gone with its last owner, before a waiting one, or let go.

use crate::{all, deployed, eventually, object, with_managers};
use base::knobs::ms;
use client::{Client, DeleteOptions};
use objects::{
    Object, OwnerRef,
    kinds::{config_map, deployment, pod, replica_set},
};
use serde_json::json;

fn map(name: &str, owners: &[OwnerRef]) -> Object {
    let value = json!({ "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": "default" } });
    let mut map = object(value);
    map.set_owner_refs(owners);
    map
}

/// One of several owners, which controls nothing.
fn owned_by(owner: &Object) -> OwnerRef {
    OwnerRef { controller: false, block_owner_deletion: true, ..OwnerRef::controller_of(owner) }
}

async fn make(api: &Client, map: &Object) -> Object {
    api.create(&config_map::KIND, map).await.expect("made")
}

async fn delete(api: &Client, name: &str, propagation: &str) {
    let options = DeleteOptions { propagation: propagation.into(), ..Default::default() };
    api.delete(&config_map::KIND, Some("default"), name, &options).await.expect("deleted");
}

async fn names(api: &Client) -> Vec<String> {
    all(api, &config_map::KIND).await.iter().map(|map| map.name().to_string()).collect()
}

#[test]
fn a_deployment_takes_its_sets_and_pods_with_it() {
    with_managers(1, 2, |api, _| async move {
        deployed(&api, "web", 3).await;
        assert_eq!(all(&api, &pod::KIND).await.len(), 3);
        let options = DeleteOptions { propagation: "Background".into(), ..Default::default() };
        api.delete(&deployment::KIND, Some("default"), "web", &options).await.expect("deleted");
        assert!(api.get(&deployment::KIND, Some("default"), "web").await.is_err(), "it does not wait");
        eventually(30, async || {
            all(&api, &replica_set::KIND).await.is_empty() && all(&api, &pod::KIND).await.is_empty()
        })
        .await;
    });
}

#[test]
fn what_is_orphaned_stays_and_is_adopted_again() {
    with_managers(1, 2, |api, _| async move {
        deployed(&api, "web", 2).await;
        let before = all(&api, &replica_set::KIND).await;
        let options = DeleteOptions { propagation: "Orphan".into(), ..Default::default() };
        api.delete(&deployment::KIND, Some("default"), "web", &options).await.expect("deleted");
        eventually(30, async || api.get(&deployment::KIND, Some("default"), "web").await.is_err()).await;
        rt::sleep(ms(10_000)).await;
        let after = all(&api, &replica_set::KIND).await;
        assert_eq!((after.len(), after[0].uid()), (1, before[0].uid()));
        assert!(after[0].owner_refs().is_empty());
        assert_eq!(all(&api, &pod::KIND).await.len(), 2);
        let again = deployed(&api, "web", 2).await;
        let adopted = all(&api, &replica_set::KIND).await;
        assert_eq!((adopted.len(), adopted[0].uid()), (1, before[0].uid()));
        assert_eq!(adopted[0].owner_refs()[0].uid, again.uid());
    });
}

#[test]
fn an_object_goes_with_the_last_of_its_owners() {
    with_managers(1, 0, |api, _| async move {
        let (one, two) = (make(&api, &map("one", &[])).await, make(&api, &map("two", &[])).await);
        make(&api, &map("of-both", &[owned_by(&one), owned_by(&two)])).await;
        let of_both = async || api.get(&config_map::KIND, Some("default"), "of-both").await;
        rt::sleep(ms(10_000)).await;
        delete(&api, "one", "Background").await;
        eventually(20, async || of_both().await.is_ok_and(|map| map.owner_refs().len() == 1)).await;
        rt::sleep(ms(10_000)).await;
        assert_eq!(of_both().await.expect("there").owner_refs()[0].uid, two.uid());
        delete(&api, "two", "Background").await;
        eventually(20, async || of_both().await.is_err()).await;
    });
}

#[test]
fn an_owner_that_never_was_or_is_another_of_its_name_is_none() {
    with_managers(1, 0, |api, _| async move {
        let real = make(&api, &map("real", &[])).await;
        let never = OwnerRef { name: "never".into(), uid: "u-1".into(), ..owned_by(&real) };
        let namesake = OwnerRef { uid: "u-2".into(), ..owned_by(&real) };
        make(&api, &map("of-never", &[never])).await;
        make(&api, &map("of-namesake", &[namesake])).await;
        make(&api, &map("of-real", &[owned_by(&real)])).await;
        eventually(30, async || names(&api).await == ["of-real", "real"]).await;
        rt::sleep(ms(20_000)).await;
        assert_eq!(names(&api).await, ["of-real", "real"]);
    });
}

/// The owner stays until what blocks its deletion has gone, which a finalizer delays.
#[test]
fn a_foreground_deletion_waits_for_what_is_owned() {
    with_managers(1, 0, |api, _| async move {
        let owner = make(&api, &map("owner", &[])).await;
        let mut held = map("held", &[owned_by(&owner)]);
        held.set_finalizers(&["a.b/c"]);
        make(&api, &held).await;
        make(&api, &map("free", &[owned_by(&owner)])).await;
        rt::sleep(ms(5_000)).await;
        delete(&api, "owner", "Foreground").await;
        eventually(20, async || names(&api).await == ["held", "owner"]).await;
        rt::sleep(ms(10_000)).await;
        assert_eq!(names(&api).await, ["held", "owner"], "it waits");
        let mut freed = api.get(&config_map::KIND, Some("default"), "held").await.expect("there");
        assert!(freed.deletion_timestamp().is_some());
        freed.set_finalizers(&[]);
        api.update(&config_map::KIND, &freed).await.expect("freed");
        eventually(20, async || names(&api).await.is_empty()).await;
    });
}
