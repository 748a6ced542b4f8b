//! `--auth-token`: what tokens of users are, as etcd has it: `simple`, or
//! `jwt,pub-key=FILE,priv-key=FILE,sign-method=RS256,ttl=5m`.

use super::{Error, member::duration};
use ::member::signed::Signer;
use std::{sync::Arc, time::Duration};

/// How long a signed token is good if nothing is said.
const TTL: Duration = Duration::from_secs(300);

/// What signs tokens; nothing if they are words that members share.
pub async fn signer(text: &str) -> Result<Option<Arc<Signer>>, Error> {
    let (kind, options) = text.split_once(',').unwrap_or((text, ""));
    match kind {
        "simple" if options.is_empty() => Ok(None),
        "jwt" => jwt(options).await.map(|signer| Some(Arc::new(signer))),
        _ => {
            let expected = "simple, or jwt,pub-key=FILE,priv-key=FILE,sign-method=RS256,ttl=5m";
            Err(format!("--auth-token {text:?}: expected {expected}").into())
        }
    }
}

async fn jwt(options: &str) -> Result<Signer, Error> {
    let (mut public, mut private, mut method, mut ttl) = (None, None, None, TTL);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        match name {
            "pub-key" => public = Some(rt::fs::read(value.as_ref()).await?),
            "priv-key" => private = Some(rt::fs::read(value.as_ref()).await?),
            "sign-method" => method = Some(value),
            "ttl" => ttl = duration(value).map_err(|why| format!("--auth-token: ttl {why}"))?,
            _ => {
                let expected = "pub-key, priv-key, sign-method or ttl";
                return Err(format!("--auth-token: {name:?} is no option, expected {expected}").into());
            }
        }
    }
    let method = method.ok_or("--auth-token jwt: expected sign-method as well")?;
    let signer = Signer::new(method, public.as_deref(), private.as_deref(), ttl);
    signer.map_err(|why| format!("--auth-token: {why}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |text: &str| {
            let parsed = futures::executor::block_on(signer(text));
            parsed.map(|_| ()).expect_err("wrong").to_string()
        };
        assert!(wrong("complex").contains("expected simple, or jwt"));
        assert!(wrong("jwt").contains("expected sign-method"));
        assert!(wrong("jwt,sign-method=XX").contains("expected one of HS256"));
        assert!(wrong("jwt,key=x").contains("expected pub-key"));
        assert!(wrong("jwt,ttl=soon").contains("expected a length of time"));
        assert!(futures::executor::block_on(signer("simple")).expect("simple").is_none());
    }
}
