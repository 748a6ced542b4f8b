//! A member on the command line: `ID=PEER/CLIENT`.

use base::MemberId;
use member::MemberAddr;
use std::{net::SocketAddr, str::FromStr};

#[derive(Clone, Debug)]
pub struct MemberFlag {
    id: MemberId,
    peer: SocketAddr,
    client: SocketAddr,
}

impl MemberFlag {
    pub fn address(&self) -> (MemberId, MemberAddr) {
        let name = format!("member-{}", self.id.0);
        (self.id, MemberAddr { name, peer: self.peer, client: self.client })
    }
}

impl FromStr for MemberFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = "expected ID=PEER/CLIENT, for example 1=127.0.0.1:2380/127.0.0.1:2379";
        let (id, addresses) = text.split_once('=').ok_or(shape)?;
        let (peer, client) = addresses.split_once('/').ok_or(shape)?;
        let id: u64 = id.parse().map_err(|_| format!("{id:?} is no member id: a number from 1 on"))?;
        if id == 0 {
            return Err("0 is no member id: ids start at 1".into());
        }
        let address = |text: &str| {
            text.parse::<SocketAddr>().map_err(|_| format!("{text:?} is no address: IP:PORT is expected"))
        };
        Ok(MemberFlag { id: MemberId(id), peer: address(peer)?, client: address(client)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_member_is_said() {
        let wrong = |text: &str| MemberFlag::from_str(text).expect_err("wrong");
        assert!(wrong("1").contains("ID=PEER/CLIENT"));
        assert!(wrong("0=1.1.1.1:1/1.1.1.1:2").contains("start at 1"));
        assert!(wrong("1=1.1.1.1/1.1.1.1:2").contains("IP:PORT"));
        assert_eq!(MemberFlag::from_str("2=1.1.1.1:1/1.1.1.1:2").expect("right").id, MemberId(2));
    }
}
