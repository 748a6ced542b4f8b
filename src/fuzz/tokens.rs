//! What a request shows of its sender: a word that members share, a token signed by a key, or any header at all; and the
//! keys that tokens are signed by.

use crate::{
    Seed,
    input::{Input, Output},
    served::{Manner, SECRET, Served},
};
use axum::body::Body;
use base::Index;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, Request};
use jsonwebtoken::{Algorithm, EncodingKey};
use member::{signed::Signer, tokens as words};
use std::time::Duration;

const METHODS: &[&str] = &["HS256", "HS384", "RS256", "PS256", "ES256", "ES384", "EdDSA", "none"];
const TTL: Duration = Duration::from_secs(300);
const NOW: rt::Wall = rt::Wall(1_700_000_000_000_000_000);

pub fn tokens(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte() % 4 {
        0 => word(&input.text()),
        1 => {
            read(&String::from_utf8_lossy(input.rest()));
        }
        2 => {
            let (header, claims) = (input.block(), input.block());
            read(&forged(header, claims));
        }
        _ => key(&mut input),
    }
    shown(bytes);
}

/// A word with an index is the token of that word and index.
fn word(text: &str) {
    if let (Some(index), Some((word, _))) = (words::index(text), text.split_once('.')) {
        assert_eq!(words::index(&words::token(word, index)), Some(index));
    }
}

fn signer() -> Signer {
    Signer::new("HS256", None, Some(SECRET), TTL).expect("a secret signs")
}

/// Who may be whom says a token that was signed, and no other.
fn read(token: &str) {
    if let Some(claims) = signer().read(token, NOW) {
        let again = signer().sign(&claims.username, claims.revision, NOW).expect("it has a key");
        let said = signer().read(&again, NOW).expect("it was just signed");
        assert_eq!((said.username, said.revision), (claims.username, claims.revision));
    }
}

/// A token with a right signature over any header and any claims.
fn forged(header: &[u8], claims: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", signature.expect("a secret signs"))
}

/// Keys are PEM files, and somebody else's word for it.
fn key(input: &mut Input) {
    let (method, has) = (*input.pick(METHODS), input.byte());
    let (public, private) = (input.block(), input.block());
    let signer =
        Signer::new(method, (has & 1 != 0).then_some(public), (has & 2 != 0).then_some(private), TTL);
    if let Ok(signer) = signer {
        signer.read(&forged(br#"{"alg":"HS256"}"#, b"{}"), NOW);
        if let Ok(token) = signer.sign("alice", 1, NOW) {
            signer.read(&token, NOW);
        }
    }
}

/// The bytes as the header of a call.
fn shown(bytes: &[u8]) {
    let Some((manner, token)) = bytes.split_first() else { return };
    let Ok(token) = HeaderValue::from_bytes(token) else { return };
    let manner = Manner { auth: true, ..Manner::of(*manner) };
    rt::testing::run_here(1, move || async move {
        let mut served = Served::start(manner);
        let call = Request::post("/v3/kv/range").header("authorization", token);
        served.call(call.body(Body::from(r#"{"key":"YQ=="}"#)).expect("of known parts")).await;
        served.finish().await;
    });
}

pub fn seeds() -> Vec<Seed> {
    let word = words::token("abcdefghijklmnop", Index(7));
    let signed = signer().sign("alice", 1, NOW).expect("it has a key");
    let header = br#"{"typ":"JWT","alg":"HS256"}"#;
    let claims = br#"{"username":"alice","revision":1,"exp":1700000300}"#;
    let ed25519 = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let output = Output::default;
    vec![
        ("a-word".into(), output().byte(0).block(word.as_bytes()).into_bytes()),
        ("a-signed-token".into(), output().byte(1).rest(signed.as_bytes()).into_bytes()),
        ("claims".into(), output().byte(2).block(header).block(claims).into_bytes()),
        ("a-secret".into(), output().byte(3).byte(0).byte(2).block(b"").block(b"secret").into_bytes()),
        (
            "a-key".into(),
            output().byte(3).byte(6).byte(3).block(ed25519.as_bytes()).block(ed25519.as_bytes()).into_bytes(),
        ),
    ]
}
