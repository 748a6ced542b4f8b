//! etcd: to be written.
