//! A letter as the bytes that go over SMTP. The same mail gives the same bytes every time, so that
//! one that is sent again is recognised. Opens no connection.

use jiff::Timestamp;
use lettre::{
    Address,
    message::{
        Mailbox, Message, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
};

use crate::letter::Letter;

/// Why a mail could not be put together. It holds no address.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    #[error("the mail has no valid headers")]
    Headers(#[source] lettre::error::Error),
    #[error("the mail's template failed")]
    Template(#[source] askama::Error),
}

/// A fixed word for dead letters and metrics of such a mail.
pub const NOT_COMPOSED: &str = "mail-not-composed";

/// `Message-ID` of a mail, without angle brackets: its event's id at the sender's domain.
pub fn message_id(mail_id: &str, from: &Mailbox) -> String {
    format!("{mail_id}@{}", from.email.domain())
}

/// The mail with all its headers. `message_id` comes without angle brackets; `date` is when the mail
/// was first wanted, not when this attempt is made.
pub fn compose(
    letter: &Letter,
    from: &Mailbox,
    to: &Address,
    message_id: &str,
    date: Timestamp,
) -> Result<Vec<u8>, ComposeError> {
    // `=_` cannot stand in quoted-printable text, so no body can hold this line.
    let boundary = format!("=_{}", message_id.split('@').next().unwrap_or_default());
    let body = MultiPart::alternative()
        .boundary(boundary)
        .singlepart(part(ContentType::TEXT_PLAIN, &letter.text))
        .singlepart(part(ContentType::TEXT_HTML, &letter.html));
    let message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(letter.subject.as_str())
        .message_id(Some(format!("<{message_id}>")))
        .date(date.into())
        // RFC 3834: keeps vacation answers from coming back.
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".into(),
        ))
        .multipart(body)
        .map_err(ComposeError::Headers)?;
    Ok(message.formatted())
}

/// Always encoded: no text of others decides how a body goes over the wire.
fn part(content_type: ContentType, text: &str) -> SinglePart {
    SinglePart::builder()
        .header(content_type)
        .header(ContentTransferEncoding::QuotedPrintable)
        .body(text.to_owned())
}
