//! A user's name and password, and the token they were exchanged for. A token that the store does not know any more is
//! exchanged for another one; nobody but the client notices.

use std::sync::Mutex;
use tonic::{Request, Status, metadata::MetadataValue};

/// Where a request carries its token.
pub const TOKEN: &str = "token";

pub(crate) struct Credentials {
    pub name: String,
    pub password: String,
    token: Mutex<Option<String>>,
    /// Held while a token is being asked for, so that many calls ask once.
    pub asking: rt::sync::Mutex<()>,
}

impl Credentials {
    pub fn new(name: String, password: String) -> Self {
        Self { name, password, token: Mutex::default(), asking: rt::sync::Mutex::new(()) }
    }

    pub fn token(&self) -> Option<String> {
        self.token.lock().expect("no holder of the token panics").clone()
    }

    pub fn set(&self, token: String) {
        *self.token.lock().expect("no holder of the token panics") = Some(token);
    }

    /// Forgets this token, unless there is a newer one.
    pub fn forget(&self, token: Option<&str>) {
        let mut known = self.token.lock().expect("no holder of the token panics");
        if known.as_deref() == token {
            *known = None;
        }
    }
}

/// The message as it is sent by a user.
pub(crate) fn signed<T>(message: T, token: Option<&str>) -> Result<Request<T>, Status> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let token = MetadataValue::try_from(token)
            .map_err(|_| Status::internal("the store gave a token that no request can carry"))?;
        request.metadata_mut().insert(TOKEN, token);
    }
    Ok(request)
}
