//! A JSON body, read with the errors that a client can act on.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;
use storefront_contract::object::Object;

use super::{Refusal, shape};
use crate::Problem;

/// A request's or an answer's JSON body. Unlike axum's, its refusals are [`Problem`]s: 415 without
/// `Content-Type: application/json`, 413 when too large, 400 when not JSON, 422 when JSON of
/// another shape (the detail names the field).
#[derive(Clone, Copy, Debug, Default)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(&request) {
            let detail = "the body must be sent with Content-Type: application/json";
            return Err(Problem::of(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail(detail));
        }
        let body = Bytes::from_request(request, state).await.map_err(|error| unreadable(&error))?;
        parse(&body).map(Self)
    }
}

/// A request's whole body, within the route's limit, for handlers that read other forms than JSON.
pub async fn body(request: Request) -> Result<Bytes, Problem> {
    Bytes::from_request(request, &()).await.map_err(|error| unreadable(&error))
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// `application/json` and `application/*+json`, with or without parameters.
fn is_json(request: &Request) -> bool {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next()).unwrap_or("").trim();
    let Some((kind, subtype)) = media_type.split_once('/') else { return false };
    kind.eq_ignore_ascii_case("application")
        && (subtype.eq_ignore_ascii_case("json") || subtype.to_ascii_lowercase().ends_with("+json"))
}

/// Parses a body, which is an object, as [`Json`] does: for handlers that need its bytes as well.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // What is UTF-8 is found out faster for all of it than for each of its texts.
    if let Ok(text) = str::from_utf8(body)
        && let Ok(Object(read)) = serde_json::from_str(text)
    {
        return Ok(read);
    }
    // Once more, to say where it is wrong: to know that all the while costs as much as reading.
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut reader);
    let Object(read) = read.map_err(|error| match error.inner().classify() {
        Category::Data => shape::problem(&error),
        _ => no_json(error.inner()),
    })?;
    // Nothing may follow.
    reader.end().map_err(|error| no_json(&error))?;
    Ok(read)
}

fn no_json(error: &serde_json::Error) -> Problem {
    let detail = format!("the body must be JSON, and is not: {error}");
    Problem::of(StatusCode::BAD_REQUEST).detail(detail)
}

fn unreadable(error: &BytesRejection) -> Problem {
    match super::refusal_of(error) {
        Some(refusal) => refusal.problem(),
        None if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Refusal::BodyTooLarge.problem(),
        None => Problem::of(error.status()).detail(error.body_text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[expect(dead_code, reason = "only read into")]
        quantity: u32,
    }

    async fn refused(content_type: &str, body: &'static str) -> (u16, String) {
        let request = Request::post("/").header("content-type", content_type);
        let request = request.body(body.into()).unwrap();
        let problem = Json::<Line>::from_request(request, &()).await.unwrap_err();
        (problem.status().as_u16(), problem.to_json()["detail"].as_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn each_way_to_be_wrong_has_its_status() {
        assert_eq!(refused("text/plain", "{}").await.0, 415);
        assert_eq!(refused("application/json", "{quantity").await.0, 400);
        assert_eq!(refused("application/json", "").await.0, 400);
        let (status, detail) =
            refused("application/json; charset=utf-8", r#"{"quantity":1.5}"#).await;
        assert_eq!(status, 422);
        assert_eq!(detail, "/quantity must be a whole number, not 1.5");
        let (status, detail) =
            refused("application/vnd.shop+json", r#"{"quantity":1,"isAdmin":true}"#).await;
        assert_eq!(status, 422);
        assert_eq!(detail, "/isAdmin is unknown; known here are quantity");
    }
}
