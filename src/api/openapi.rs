//! `/openapi/v3`: an index, and one document for each group and version. There is no v2.

use crate::{answer, discovery::GIT_VERSION};
use axum::response::Response;
use objects::schema::{openapi_index, openapi_v3};

/// The document at a path; None when there is none.
pub fn answer(path: &str) -> Option<Response> {
    let rest = path.strip_prefix("/openapi/v3")?;
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    let document = match parts.as_slice() {
        [] => openapi_index(GIT_VERSION),
        ["api", version] => openapi_v3("", version, GIT_VERSION)?,
        ["apis", group, version] => openapi_v3(group, version, GIT_VERSION)?,
        _ => return None,
    };
    Some(answer::value(200, &document))
}
