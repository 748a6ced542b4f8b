//! Generates the messages and the service traits. `protox` reads the .proto files, so no `protoc` is needed;
//! `build_transport(false)` leaves out what would need tonic's own sockets.

fn main() {
    println!("cargo:rerun-if-changed=proto");
    let descriptors =
        protox::compile(["rpc.proto", "kv.proto", "auth.proto", "lock.proto", "election.proto"], ["proto"])
            .expect("the .proto files compile");
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .compile_fds(descriptors)
        .expect("code is generated from the descriptors");
}
