//! Tokens that say themselves whom they stand for, signed by a key (JSON Web Tokens, RFC 7519). Members need not share
//! anything but the key, and know them after a restart; they count while users and roles are as they were when they were
//! signed, and until their time is over.
//!
//! Source: etcd, server/auth/jwt.go; its flag `--auth-token jwt,pub-key=FILE,priv-key=FILE,sign-method=RS256,ttl=5m`.

use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::Error as KeyError,
};
use rt::Wall;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// What a token says; the names are etcd's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub username: String,
    /// Of users and roles.
    pub revision: u64,
    /// Seconds since 1970.
    exp: u64,
}

/// What is wrong with a key, or with the lack of one.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error(
        "sign-method {0:?}: expected one of HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA"
    )]
    Method(String),
    #[error("{what} is no key for {method:?}: {source}")]
    Key { what: &'static str, method: Algorithm, source: KeyError },
    #[error("this member has no private key: it takes tokens, and signs none")]
    NoKey,
    #[error("expected a private key, a public key, or both")]
    NoKeys,
    #[error("a token cannot be signed: {0}")]
    Sign(KeyError),
}

pub struct Signer {
    method: Algorithm,
    signing: Option<EncodingKey>,
    verifying: DecodingKey,
    ttl: Duration,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.method, self.ttl) // never the keys
    }
}

impl Signer {
    /// Keys are the contents of PEM files, of which the public one may be a certificate's key; for HS256 and its kin the
    /// private one is the secret, as it is. Without a private key tokens can only be taken; without a public one it must be
    /// a secret.
    pub fn new(
        method: &str,
        public: Option<&[u8]>,
        private: Option<&[u8]>,
        ttl: Duration,
    ) -> Result<Self, SignError> {
        let method: Algorithm = method.parse().map_err(|_| SignError::Method(method.into()))?;
        let refuse = |what| move |source| SignError::Key { what, method, source };
        let secret = matches!(method, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
        let signing = private.map(|key| signing(method, key)).transpose().map_err(refuse("priv-key"))?;
        let verifying = match (public, private) {
            (_, Some(key)) if secret => DecodingKey::from_secret(key),
            (Some(key), _) => verifying(method, key).map_err(refuse("pub-key"))?,
            _ => return Err(SignError::NoKeys),
        };
        Ok(Self { method, signing, verifying, ttl })
    }

    /// A token for a user, good while users and roles have this revision.
    pub fn sign(&self, user: &str, revision: u64, now: Wall) -> Result<String, SignError> {
        let key = self.signing.as_ref().ok_or(SignError::NoKey)?;
        let claims = Claims { username: user.into(), revision, exp: seconds(now + self.ttl) };
        encode(&Header::new(self.method), &claims, key).map_err(SignError::Sign)
    }

    /// What a token says; nothing if it was signed by somebody else, or its time is over.
    pub fn read(&self, token: &str, now: Wall) -> Option<Claims> {
        let mut validation = Validation::new(self.method);
        validation.validate_exp = false; // by the process's own clock, which is not that of the crate
        validation.required_spec_claims.clear();
        let claims = decode::<Claims>(token, &self.verifying, &validation).ok()?.claims;
        (claims.exp > seconds(now)).then_some(claims)
    }
}

fn seconds(time: Wall) -> u64 {
    time.0 / 1_000_000_000
}

fn signing(method: Algorithm, key: &[u8]) -> Result<EncodingKey, KeyError> {
    match method {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Ok(EncodingKey::from_secret(key)),
        Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(key),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(key),
        _ => EncodingKey::from_rsa_pem(key),
    }
}

fn verifying(method: Algorithm, key: &[u8]) -> Result<DecodingKey, KeyError> {
    match method {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => Ok(DecodingKey::from_secret(key)),
        Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(key),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(key),
        _ => DecodingKey::from_rsa_pem(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const NOW: Wall = Wall(1_700_000_000_000_000_000);

    fn signer(secret: &[u8]) -> Signer {
        Signer::new("HS256", None, Some(secret), MINUTE).expect("a signer")
    }

    #[test]
    fn a_token_says_whom_it_stands_for_until_its_time_is_over() {
        let (ours, other) = (signer(b"secret"), signer(b"another"));
        let token = ours.sign("alice", 7, NOW).expect("a token");
        let claims = ours.read(&token, NOW).expect("ours");
        assert_eq!((claims.username.as_str(), claims.revision), ("alice", 7));
        assert!(ours.read(&token, NOW + MINUTE / 2).is_some());
        assert_eq!(ours.read(&token, NOW + MINUTE), None);
        assert_eq!(other.read(&token, NOW), None, "it was signed by somebody else");
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("letters");
            let said = ours.read(&changed, NOW);
            assert!(said.is_none() || said == Some(claims.clone()), "letter {at}: {said:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_keys_is_said() {
        let wrong = |method, public, private| {
            Signer::new(method, public, private, MINUTE).expect_err("wrong").to_string()
        };
        assert!(wrong("none", None, None).contains("expected one of HS256"));
        assert!(wrong("RS256", Some(b"no key"), None).contains("pub-key is no key for RS256"));
        assert!(wrong("ES256", None, Some(b"no key")).contains("priv-key is no key for ES256"));
        assert!(wrong("HS256", None, None).contains("expected a private key"));
        let taking = Signer::new("HS256", Some(b"secret"), None, MINUTE).expect("takes only");
        assert!(taking.sign("alice", 1, NOW).expect_err("no key").to_string().contains("signs none"));
        let token = signer(b"secret").sign("alice", 1, NOW).expect("a token");
        assert!(taking.read(&token, NOW).is_some());
    }
}
