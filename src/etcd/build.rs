//! Generates the messages and the service traits. `protox` reads the .proto files, so no `protoc` is needed;
//! `build_transport(false)` leaves out what would need tonic's own sockets.
//!
//! Fields have the protocol's names, capitals and all, which is what JSON shows; in Rust they are in snake case.

use prost::Message;
use protox::prost_reflect::prost_types::{DescriptorProto, FileDescriptorSet};
use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=proto");
    let files = ["rpc.proto", "kv.proto", "auth.proto", "lock.proto", "election.proto", "health.proto"];
    let mut descriptors = protox::compile(files, ["proto"]).expect("the .proto files compile");
    let folder = env::var("OUT_DIR").expect("cargo names a folder");
    fs::write(Path::new(&folder).join("descriptors.bin"), descriptors.encode_to_vec())
        .expect("the folder can be written");
    snake_case(&mut descriptors);
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .compile_fds(descriptors)
        .expect("code is generated from the descriptors");
}

fn snake_case(descriptors: &mut FileDescriptorSet) {
    fn of_message(message: &mut DescriptorProto) {
        message.field.iter_mut().for_each(|field| field.name = field.name.as_deref().map(snake));
        message.nested_type.iter_mut().for_each(of_message);
    }
    descriptors.file.iter_mut().flat_map(|file| &mut file.message_type).for_each(of_message);
}

/// peerURLs becomes peer_urls.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && snake.ends_with(|last: char| last.is_lowercase()) {
            snake.push('_');
        }
        snake.push(letter);
    }
    snake.to_lowercase()
}
