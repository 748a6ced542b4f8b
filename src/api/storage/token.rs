//! The continue token of a list, in upstream's form: base64url of `{"v","rv","start"}`. Pure.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

/// Where the next page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The revision of the first page; None when the rest is to be read at the present one, because that of the
    /// first page is gone.
    pub revision: Option<i64>,
    /// The first key of the next page, below the prefix of the list.
    pub start: String,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

const FORM: &str = "meta.k8s.io/v1";

impl Token {
    /// The page that starts right behind `key`.
    pub fn after(key: &str, revision: i64) -> Self {
        Token { revision: Some(revision), start: format!("{key}\0") }
    }

    pub fn encode(&self) -> String {
        let wire = Wire { v: FORM.into(), rv: self.revision.unwrap_or(-1), start: self.start.clone() };
        let text = serde_json::to_vec(&wire).expect("strings and a number are always JSON");
        URL_SAFE_NO_PAD.encode(text)
    }

    pub fn decode(text: &str) -> Result<Self, String> {
        let invalid = |why: &str| format!("continue key is not valid: {why}");
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|e| invalid(&e.to_string()))?;
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|e| invalid(&e.to_string()))?;
        if wire.v != FORM {
            return Err(invalid(&format!("server does not recognize this encoded version {:?}", wire.v)));
        }
        if wire.start.is_empty() {
            return Err(invalid("encoded start key empty"));
        }
        match wire.rv {
            0 => Err(invalid("incorrect encoded start resourceVersion")),
            rv if rv < 0 => Ok(Token { revision: None, start: wire.start }),
            rv => Ok(Token { revision: Some(rv), start: wire.start }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_as_it_went() {
        for token in [Token::after("n/a", 7), Token { revision: None, start: "n/a\0".into() }] {
            assert_eq!(Token::decode(&token.encode()).unwrap(), token);
        }
    }

    #[test]
    fn what_is_no_token_is_told_so() {
        for text in ["%", "abcd", &URL_SAFE_NO_PAD.encode(r#"{"v":"x","rv":1,"start":"a"}"#)] {
            assert!(Token::decode(text).unwrap_err().starts_with("continue key is not valid"), "{text}");
        }
        assert!(
            Token::decode(&URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#)).is_err()
        );
        assert!(Token::decode(&URL_SAFE_NO_PAD.encode(r#"{"v":"meta.k8s.io/v1","rv":4}"#)).is_err());
    }
}
