//! Why a request was refused before, or while, anyone looked at what it asks for.

use std::fmt;

use http::StatusCode;

use crate::Problem;

/// A request that breaks the rules of HTTP, or the server's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Refusal {
    /// The request line is not `METHOD target HTTP/1.x`.
    RequestLine = 1,
    /// A header field has no colon, a blank before it, a line folded, a control character.
    HeaderField,
    /// A line ends in LF without CR.
    BareLineFeed,
    /// No Host, several, or one that is no host.
    Host,
    /// Content-Length is no number, or there are several.
    ContentLength,
    /// Transfer-Encoding is something else than one `chunked`, or comes with Content-Length.
    TransferEncoding,
    /// A chunk is not framed as RFC 9112 says, or its extension is too long.
    Chunk,
    /// HTTP/2 or another version on a plain connection.
    Version,
    HeadTooLarge,
    TooManyHeaders,
    TargetTooLong,
    BodyTooLarge,
    HeadTimeout,
    BodyTimeout,
    /// `Expect` asks for something else than `100-continue`.
    Expectation,
}

impl Refusal {
    /// Every refusal, those of the request line first.
    pub const ALL: [Self; 15] = [
        Self::RequestLine,
        Self::HeaderField,
        Self::BareLineFeed,
        Self::Host,
        Self::ContentLength,
        Self::TransferEncoding,
        Self::Chunk,
        Self::Version,
        Self::HeadTooLarge,
        Self::TooManyHeaders,
        Self::TargetTooLong,
        Self::BodyTooLarge,
        Self::HeadTimeout,
        Self::BodyTimeout,
        Self::Expectation,
    ];

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| *refusal as u8 == code)
    }

    pub fn status(self) -> StatusCode {
        match self {
            Self::RequestLine
            | Self::HeaderField
            | Self::BareLineFeed
            | Self::Host
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::Chunk => StatusCode::BAD_REQUEST,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::HeadTooLarge | Self::TooManyHeaders => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTimeout | Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
        }
    }

    /// What the client did wrong, in words.
    pub fn detail(self) -> &'static str {
        match self {
            Self::RequestLine => "the request line is malformed",
            Self::HeaderField => "a header field is malformed",
            Self::BareLineFeed => "a line ends without a carriage return",
            Self::Host => "there must be one Host header field, with a valid host",
            Self::ContentLength => "Content-Length must be one decimal number",
            Self::TransferEncoding => {
                "Transfer-Encoding may only be chunked, and not beside Content-Length"
            }
            Self::Chunk => "the chunked body is malformed",
            Self::Version => "only HTTP/1.0 and HTTP/1.1 are spoken here",
            Self::HeadTooLarge => "the request's headers are too large; send fewer or shorter ones",
            Self::TooManyHeaders => "the request has too many header fields; send fewer",
            Self::TargetTooLong => "the request's target is too long; send a shorter one",
            Self::BodyTooLarge => "the request's body is too large; send a smaller one",
            Self::HeadTimeout => "the request's headers did not come in time",
            Self::BodyTimeout => "the request's body did not come in time",
            Self::Expectation => "the only expectation that can be met is 100-continue",
        }
    }

    /// A fixed word for metrics and logs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::RequestLine => "RequestLine",
            Self::HeaderField => "HeaderField",
            Self::BareLineFeed => "BareLineFeed",
            Self::Host => "Host",
            Self::ContentLength => "ContentLength",
            Self::TransferEncoding => "TransferEncoding",
            Self::Chunk => "Chunk",
            Self::Version => "Version",
            Self::HeadTooLarge => "HeadTooLarge",
            Self::TooManyHeaders => "TooManyHeaders",
            Self::TargetTooLong => "TargetTooLong",
            Self::BodyTooLarge => "BodyTooLarge",
            Self::HeadTimeout => "HeadTimeout",
            Self::BodyTimeout => "BodyTimeout",
            Self::Expectation => "Expectation",
        }
    }

    /// The answer. The connection closes after it, since where the next request begins is unknown.
    pub fn problem(self) -> Problem {
        Problem::of(self.status()).detail(self.detail()).header(http::header::CONNECTION, "close")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for Refusal {}
