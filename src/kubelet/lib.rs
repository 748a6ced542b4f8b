//! kubelet: to be written.
