//! Key ranges as the protocol writes them: `[key, range_end)`, with `"\0"` for "no end".

use crate::pb::{
    DeleteRangeRequest, PutRequest, RangeRequest, WatchCreateRequest, WatchRequest, watch_request,
};
use bytes::Bytes;

/// "No end": every key from the first on.
pub const NO_END: &[u8] = b"\0";

/// The end of the range of all keys that start with `prefix`: the prefix plus one. A prefix of 0xff bytes
/// (or none) has no end.
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    let Some(last) = prefix.iter().rposition(|&byte| byte != 0xff) else {
        return Bytes::from_static(NO_END);
    };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    end.into()
}

/// First key and end of the range of all keys that start with `prefix`.
pub fn prefix_range(prefix: impl Into<Bytes>) -> (Bytes, Bytes) {
    let prefix = prefix.into();
    let end = prefix_end(&prefix);
    (if prefix.is_empty() { Bytes::from_static(NO_END) } else { prefix }, end)
}

impl RangeRequest {
    /// Reads one key.
    pub fn of_key(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), ..Self::default() }
    }

    /// Reads every key with the prefix.
    pub fn of_prefix(prefix: impl Into<Bytes>) -> Self {
        let (key, range_end) = prefix_range(prefix);
        Self { key, range_end, ..Self::default() }
    }
}

impl PutRequest {
    /// Writes one key.
    pub fn of(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: value.into(), ..Self::default() }
    }
}

impl DeleteRangeRequest {
    /// Deletes one key.
    pub fn of_key(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), ..Self::default() }
    }

    /// Deletes every key with the prefix.
    pub fn of_prefix(prefix: impl Into<Bytes>) -> Self {
        let (key, range_end) = prefix_range(prefix);
        Self { key, range_end, ..Self::default() }
    }
}

impl WatchCreateRequest {
    /// Watches every key with the prefix from `start_revision` on (0: from now on).
    pub fn of_prefix(prefix: impl Into<Bytes>, start_revision: i64) -> Self {
        let (key, range_end) = prefix_range(prefix);
        Self { key, range_end, start_revision, ..Self::default() }
    }
}

impl From<WatchCreateRequest> for WatchRequest {
    fn from(create: WatchCreateRequest) -> Self {
        Self { request_union: Some(watch_request::RequestUnion::CreateRequest(create)) }
    }
}

impl WatchRequest {
    /// Ends one watch of the stream.
    pub fn cancel(watch_id: i64) -> Self {
        let cancel = crate::pb::WatchCancelRequest { watch_id };
        Self { request_union: Some(watch_request::RequestUnion::CancelRequest(cancel)) }
    }

    /// Asks how far the whole stream is.
    pub fn progress() -> Self {
        let progress = crate::pb::WatchProgressRequest {};
        Self { request_union: Some(watch_request::RequestUnion::ProgressRequest(progress)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_the_prefix_plus_one() {
        assert_eq!(&prefix_end(b"/registry/pods/")[..], b"/registry/pods0");
        assert_eq!(&prefix_end(b"a\xff\xff")[..], b"b");
        assert_eq!(&prefix_end(b"\xff")[..], NO_END);
        assert_eq!(prefix_range(Bytes::new()), (Bytes::from_static(b"\0"), Bytes::from_static(b"\0")));
    }
}
