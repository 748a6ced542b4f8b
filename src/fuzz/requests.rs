//! Calls over gRPC: of any method, from anybody, with any message, or with a body that is none.

use crate::{
    Seed,
    input::{Input, Output},
    served::{self, Served},
};
use axum::body::Body;
use etcd::pb;
use http::{Request, header};
use prost::Message;
use prost_reflect::DescriptorPool;
use std::sync::OnceLock;

/// A method as its path, and whether many messages may come.
struct Method {
    path: String,
    streams: bool,
}

/// All there are, in the order of the protocol's own files.
fn methods() -> &'static [Method] {
    static METHODS: OnceLock<Vec<Method>> = OnceLock::new();
    METHODS.get_or_init(|| {
        let pool = DescriptorPool::decode(etcd::DESCRIPTORS).expect("the descriptors of our own files");
        let all = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
        let method = |method: prost_reflect::MethodDescriptor| Method {
            path: format!("/{}/{}", method.parent_service().full_name(), method.name()),
            streams: method.is_client_streaming(),
        };
        all.map(method).collect()
    })
}

/// The body is as it comes, not framed as gRPC has it.
const RAW: u8 = 0x80;

/// Calls, each of them `method, sender, length, message`; where many messages may come, each has a length before it.
pub fn requests(bytes: &[u8]) {
    served::calls(bytes, request, |_, _| ());
}

fn request(served: &Served, input: &mut Input) -> Request<Body> {
    let method = input.pick(methods());
    let (sender, message) = (input.byte(), input.block());
    let body = match (sender & RAW != 0, method.streams) {
        (true, _) => message.to_vec(),
        (false, false) => framed(message),
        (false, true) => {
            let (mut input, mut body) = (Input::new(message), Vec::new());
            while !input.is_empty() {
                body.extend(framed(input.block()));
            }
            body
        }
    };
    let request = Request::post(&method.path).header(header::CONTENT_TYPE, "application/grpc");
    let mut request = request.header(header::TE, "trailers").body(Body::from(body)).expect("of known parts");
    request.headers_mut().extend(served.headers(sender));
    request
}

/// Not compressed, so long, and the message.
fn framed(message: &[u8]) -> Vec<u8> {
    [&[0], (message.len() as u32).to_be_bytes().as_slice(), message].concat()
}

pub fn seeds() -> Vec<Seed> {
    let pool = DescriptorPool::decode(etcd::DESCRIPTORS).expect("the descriptors of our own files");
    let all = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let mut seeds: Vec<Seed> = all
        .enumerate()
        .map(|(number, method)| {
            let message = filled(&method.input(), 3).encode_to_vec();
            let message = match method.is_client_streaming() {
                true => Output::default().block(&message).block(&message).into_bytes(),
                false => message,
            };
            let calls = Output::default().byte(0).byte(number as u8).byte(1).block(&message);
            let name = format!("{}-{}", method.parent_service().name(), method.name());
            (name, calls.byte(number as u8).byte(1).block(&message).into_bytes())
        })
        .collect();
    seeds.push(("session".into(), session()));
    seeds
}

/// A message in which every field says something.
fn filled(of: &prost_reflect::MessageDescriptor, depth: u32) -> prost_reflect::DynamicMessage {
    use prost_reflect::{DynamicMessage, Kind, Value};
    let mut message = DynamicMessage::new(of.clone());
    for field in of.fields() {
        let value = match field.kind() {
            Kind::Message(inner) if depth > 0 => Value::Message(filled(&inner, depth - 1)),
            Kind::Message(_) => continue,
            Kind::String => Value::String("http://10.0.0.2:2380".into()),
            Kind::Bytes => Value::Bytes(bytes::Bytes::from_static(b"b")),
            Kind::Bool => Value::Bool(true),
            Kind::Enum(_) => Value::EnumNumber(1),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(1),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(7),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(1),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(7),
            Kind::Float => Value::F32(1.0),
            Kind::Double => Value::F64(1.0),
        };
        let value = if field.is_list() { Value::List(vec![value]) } else { value };
        message.set_field(&field, value);
    }
    message
}

/// A watch, and writes that it sees.
fn session() -> Vec<u8> {
    let number = |name: &str| {
        let at = methods().iter().position(|method| method.path.ends_with(name));
        at.expect("a method of the protocol") as u8
    };
    let create = pb::WatchCreateRequest {
        key: "a".into(),
        range_end: "z".into(),
        start_revision: 4,
        ..Default::default()
    };
    let union = Some(pb::watch_request::RequestUnion::CreateRequest(create));
    let watch = pb::WatchRequest { request_union: union }.encode_to_vec();
    let put = pb::PutRequest { key: "b".into(), value: "new".into(), lease: 7, ..Default::default() };
    let op = pb::RequestOp { request: Some(pb::request_op::Request::RequestPut(put.clone())) };
    let txn = pb::TxnRequest { success: vec![op], ..Default::default() };
    let calls = [
        (number("/Watch"), Output::default().block(&watch).into_bytes()),
        (number("/Put"), put.encode_to_vec()),
        (number("/Txn"), txn.encode_to_vec()),
        (number("/LeaseRevoke"), pb::LeaseRevokeRequest { id: 7 }.encode_to_vec()),
        (number("/Compact"), pb::CompactionRequest { revision: 6, physical: false }.encode_to_vec()),
    ];
    let start = Output::default().byte(0);
    let all =
        calls.iter().fold(start, |output, (number, message)| output.byte(*number).byte(0).block(message));
    all.into_bytes()
}
