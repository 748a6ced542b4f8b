//! Whoever adds or moves a member is told at once of an address that no member could be reached at.

use super::{core::Core, error, turns::channel, with_member};
use base::Knobs;
use etcd::{Error, pb};
use pb::cluster_client::ClusterClient;

/// The core of these tests panics when members are to be changed: none of this gets there.
#[test]
fn an_address_that_reaches_nobody_changes_no_member() {
    let wrong = [
        "",
        "://127.0.0.1:2380",
        "mailto://127.0.0.1:2380",
        "http://127.0.0.1",
        "http://127.0.0.1:2380/path",
        "127.0.0.1:2380",
        "localhost:2380",
        "http://:2380",
    ];
    with_member(Knobs::default(), async move |member: Core| {
        let mut client = ClusterClient::new(channel(&member).await);
        let good = "http://127.0.0.1:2380".to_string();
        let lists = wrong.map(|url| vec![url.to_string()]);
        for peer_urls in lists.into_iter().chain([vec![], vec![good, wrong[1].into()]]) {
            let add = pb::MemberAddRequest { peer_urls: peer_urls.clone(), is_learner: false };
            assert_eq!(error(client.member_add(add).await), Some(Error::MemberBadUrls), "{peer_urls:?}");
            let update = pb::MemberUpdateRequest { id: 1, peer_urls };
            assert_eq!(error(client.member_update(update).await), Some(Error::MemberBadUrls));
        }
        let members = client.member_list(pb::MemberListRequest { linearizable: true }).await.unwrap();
        assert_eq!(members.into_inner().members.len(), 1);
    });
}
