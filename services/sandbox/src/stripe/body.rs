//! Reads the parameters of a request: query and body, bounded in size and time.

use std::time::Duration;

use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};

use super::{auth, error::StripeError, form};

/// 100 lines with texts and 50 pairs of metadata take less than a fifth of it.
const BODY_MAX_BYTES: usize = 1024 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Query and body together; the body wins where both name a parameter.
pub async fn params(request: Request) -> Result<form::Node, StripeError> {
    let (parts, body) = request.into_parts();
    check_type(&parts.headers)?;
    let collected =
        tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_MAX_BYTES).collect());
    let body = match collected.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("The request is larger than {BODY_MAX_BYTES} bytes.");
            return Err(StripeError { status: 413, ..StripeError::invalid(message) });
        }
        Ok(Err(_)) => return Err(StripeError::invalid("The request's body ended early.")),
        Err(_) => {
            let error = StripeError::invalid("The request's body did not come in time.");
            return Err(StripeError { status: 408, ..error });
        }
    };
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    if auth::has_live_key(query) || auth::has_live_key(&body) {
        return Err(auth::live_key_refused());
    }
    form::parse(&joined(query, &body))
}

fn joined(query: &[u8], body: &Bytes) -> Vec<u8> {
    [query, b"&", body].concat()
}

fn check_type(headers: &HeaderMap) -> Result<(), StripeError> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    if kind.as_bytes().to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded") {
        return Ok(());
    }
    // Clients send it with a GET, where there is nothing to read.
    if headers.get(header::CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0")
        && headers.get(header::TRANSFER_ENCODING).is_none()
    {
        return Ok(());
    }
    Err(StripeError::invalid(
        "Invalid request (check that your POST content type is application/x-www-form-urlencoded).",
    ))
}
