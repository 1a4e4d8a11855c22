//! What answers tell of who answered, where that was asked for.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::exchange::Exchange;

const X_BACKEND_VERSION: HeaderName = HeaderName::from_static("x-backend-version");
const X_SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");

/// Names the version and the instance that answered. Where that was not asked for, what the instance itself says of it
/// is passed on as it is.
pub(crate) fn tell(headers: &mut HeaderMap, exchange: &Exchange) {
    let revision = exchange.serving();
    if revision.answer_fields.backend_version {
        headers.insert(X_BACKEND_VERSION, revision.version.clone());
    }
    if revision.answer_fields.served_by
        && let Some(endpoint) = exchange.endpoint()
        && let Ok(instance) = HeaderValue::from_str(endpoint.instance.as_str())
    {
        headers.insert(X_SERVED_BY, instance);
    }
}
