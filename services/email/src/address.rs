//! Addresses of people and of the shop. Whatever passes here may stand in an SMTP command and in a
//! header as it is; nothing else of the crate builds an address.

use lettre::{
    Address,
    address::AddressError,
    message::{Mailbox, Mailboxes},
};
use url::Host;

use crate::words;

/// Longest address, in bytes (RFC 5321, 4.5.3.1.3, less the angle brackets).
pub const ADDRESS_MAX_BYTES: usize = 254;
/// Longest name of a sender, in characters.
const NAME_MAX_CHARS: usize = 100;
/// What RFC 5322 allows only inside quotes, and what is used to smuggle a second address or a
/// display name into the first. Real mailboxes do without.
const NEVER: &[char] =
    &['<', '>', '(', ')', '[', ']', '\\', ',', ';', ':', '"', '%', '!', '|', '`'];

/// Why a text is no address that mail is sent to. It never holds the address itself, so that it
/// may be logged and dead-lettered.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAddress {
    #[error("the address has {0} bytes; 3 to {ADDRESS_MAX_BYTES} are allowed")]
    Length(usize),
    #[error("the address has a blank, a control character or one of <>()[]\\,;:\"%!|`")]
    Character,
    #[error("the address has no @ or more than one")]
    Parts,
    #[error("the address has a domain that cannot be one")]
    Domain,
    #[error("the address has a form that no mailbox has")]
    Form(#[source] AddressError),
    #[error("the sender is not written as `Name <mailbox@domain>` or `mailbox@domain`")]
    Sender(#[source] AddressError),
    #[error("the sender must be exactly one mailbox")]
    OneSender,
}

impl InvalidAddress {
    /// A fixed word for dead letters and metrics.
    pub fn reason(&self) -> &'static str {
        "bad-address"
    }
}

/// A shopper's address, without any display name. Its domain comes out in ASCII (IDNA), so that only
/// a mailbox name with other letters needs a server with SMTPUTF8.
pub fn recipient(text: &str) -> Result<Address, InvalidAddress> {
    if !(3..=ADDRESS_MAX_BYTES).contains(&text.len()) {
        return Err(InvalidAddress::Length(text.len()));
    }
    if text.chars().any(|c| c.is_whitespace() || words::is_unseen(c) || NEVER.contains(&c)) {
        return Err(InvalidAddress::Character);
    }
    let (mailbox, domain) = text.split_once('@').ok_or(InvalidAddress::Parts)?;
    if domain.contains('@') {
        return Err(InvalidAddress::Parts);
    }
    let Ok(Host::Domain(domain)) = Host::parse(domain) else {
        return Err(InvalidAddress::Domain);
    };
    Address::new(mailbox, domain).map_err(InvalidAddress::Form)
}

/// The shop's own address with its name, as the setting `EMAIL_FROM` has it.
pub fn sender(text: &str) -> Result<Mailbox, InvalidAddress> {
    let boxes: Mailboxes = text.trim().parse().map_err(InvalidAddress::Sender)?;
    let mut boxes = boxes.into_iter();
    let (Some(Mailbox { name, email }), None) = (boxes.next(), boxes.next()) else {
        return Err(InvalidAddress::OneSender);
    };
    let name = name.map(|name| words::one_line(&name, NAME_MAX_CHARS)).filter(|n| !n.is_empty());
    Ok(Mailbox::new(name, recipient(email.as_ref())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> String {
        match recipient(text) {
            Ok(address) => address.to_string(),
            Err(error) => format!("refused: {error}"),
        }
    }

    #[test]
    fn what_is_an_address_and_what_is_not() {
        let long = format!("{}@example.com", "a".repeat(250));
        let seen: Vec<_> = [
            "ada@example.com",
            "ada.l+shop@mail.example.co.uk",
            "o'neil@example.com",
            "ada@localhost",
            "ada@bücher.example",
            "用户@例え.jp",
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@example@com",
            "Ada <ada@example.com>",
            "\"ada b\"@example.com",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "ada@0x7f.1",
            "ada@exam_ple.com:25",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada\n@example.com",
            "ada\0@example.com",
            "ada@example.com,eve@example.com",
            "ada@example.com> SIZE=1",
            "ada%example.org@example.com",
            "ad\u{202e}a@example.com",
            "..@example.com",
            "ada@exam ple.com",
            "ada@-.com.",
            &long,
        ]
        .into_iter()
        .map(|text| format!("{} -> {}", text.escape_debug(), verdict(text)))
        .collect();
        insta::assert_snapshot!(seen.join("\n"));
    }

    #[test]
    fn a_sender_is_one_mailbox_with_a_clean_name() {
        let shown =
            |text| sender(text).map(|mailbox| mailbox.to_string()).map_err(|e| e.to_string());
        insta::assert_debug_snapshot!([
            shown("Demo <shop@example.com>"),
            shown("shop@example.com"),
            shown("Café Ünïcode <shop@bücher.example>"),
            shown("\"Books, and more\" <shop@example.com>"),
            shown("a@example.com, b@example.com"),
            shown("Demo <shop@[127.0.0.1]>"),
            shown("Demo\r\nBcc: eve@example.com <shop@example.com>"),
            shown("shop"),
        ]);
    }
}
