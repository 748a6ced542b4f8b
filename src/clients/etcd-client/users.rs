//! Users have roles, roles have permissions, and who is told apart may do what these allow.

use crate::Outcome;
use etcd_client::{
    Client, ConnectOptions, Permission, PermissionType, RoleRevokePermissionOptions, UserAddOptions,
};
use std::time::Duration;

pub async fn give_roles(client: &mut Client) -> Outcome {
    client.user_add("u1", "pw", Some(UserAddOptions::new())).await?;
    client.user_add("u2", "", Some(UserAddOptions::new().with_no_pwd())).await?;
    client.user_add("u1", "pw", None).await.expect_err("it is there already");
    client.role_add("r1").await?;
    client.user_grant_role("u1", "r1").await?;
    assert_eq!(client.user_get("u1").await?.roles(), ["r1"]);
    assert_eq!(client.user_list().await?.users(), ["u1", "u2"]);
    client.user_change_password("u1", "other").await?;
    client.user_revoke_role("u1", "r1").await?;
    assert!(client.user_get("u1").await?.roles().is_empty());
    for name in ["u1", "u2"] {
        client.user_delete(name).await?;
        client.user_get(name).await.expect_err("it is gone");
    }
    client.role_delete("r1").await?;
    Ok(())
}

pub async fn give_permissions(client: &mut Client) -> Outcome {
    client.role_add("r2").await?;
    let permissions = [
        Permission::read("123"),
        Permission::write("abc").with_from_key(),
        Permission::read_write("hi").with_range_end("hjj"),
        Permission::new(PermissionType::Write, "pp").with_prefix(),
        Permission::new(PermissionType::Read, "xyz").with_all_keys(),
    ];
    for permission in &permissions {
        client.role_grant_permission("r2", permission.clone()).await?;
    }
    let given = client.role_get("r2").await?.permissions();
    assert_eq!(given.len(), permissions.len());
    assert!(permissions.iter().all(|permission| given.contains(permission)), "{given:?}");
    let of = RoleRevokePermissionOptions::new;
    for (key, options) in [
        ("123", of()),
        ("abc", of().with_from_key()),
        ("hi", of().with_range_end("hjj")),
        ("pp", of().with_prefix()),
        ("xyz", of().with_all_keys()),
    ] {
        client.role_revoke_permission("r2", key, Some(options)).await?;
    }
    assert!(client.role_get("r2").await?.permissions().is_empty());
    assert_eq!(client.role_list().await?.roles(), ["r2"]);
    client.role_delete("r2").await?;
    client.role_get("r2").await.expect_err("it is gone");
    Ok(())
}

/// One member may hear later than another that users are told apart.
pub async fn connect(
    addresses: &[String],
    options: ConnectOptions,
    (name, password): (&str, &str),
) -> Result<Client, etcd_client::Error> {
    let options = options.with_user(name, password);
    let mut tries = 0;
    loop {
        tries += 1;
        match Client::connect(addresses, Some(options.clone())).await {
            Err(error) if tries < 50 && error.to_string().contains("not enabled") => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            answer => return answer,
        }
    }
}

/// Root, and alice, who may write what begins with `alice/`.
pub async fn add(client: &mut Client) -> Outcome {
    client.user_add("root", "rootpwd", None).await?;
    client.role_add("root").await?;
    client.user_grant_role("root", "root").await?;
    client.user_add("alice", "pw", None).await?;
    client.role_add("alice").await?;
    client.role_grant_permission("alice", Permission::read_write("alice/").with_prefix()).await?;
    client.user_grant_role("alice", "alice").await?;
    Ok(())
}

pub async fn tell_apart(addresses: &[String]) -> Outcome {
    let mut nobody = Client::connect(addresses, None).await?;
    add(&mut nobody).await?;
    nobody.auth_enable().await?;
    nobody.put("auth", "1", None).await.expect_err("nobody in particular");
    let mut root = connect(addresses, ConnectOptions::new(), ("root", "rootpwd")).await?;
    root.put("auth", "1", None).await?;
    root.member_list().await?;
    let mut alice = connect(addresses, ConnectOptions::new(), ("alice", "pw")).await?;
    alice.put("alice/a", "1", None).await?;
    let denied = alice.put("auth", "2", None).await.expect_err("alice may not");
    assert!(denied.to_string().contains("etcdserver: permission denied"), "{denied}");
    alice.user_list().await.expect_err("alice is not root");
    let wrong = connect(addresses, ConnectOptions::new(), ("alice", "guess")).await;
    assert!(wrong.is_err(), "a wrong password");
    root.auth_disable().await?;
    nobody.put("auth", "3", None).await?;
    Ok(())
}
