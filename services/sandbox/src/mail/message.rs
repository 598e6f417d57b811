//! Reads a message: headers, texts, attachments. Pure. Whatever a mail says, something is shown of
//! it: a mail that cannot be parsed is kept and shown with empty fields.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mailparse::{DispositionType, MailAddr, MailHeaderMap, ParsedMail, SingleInfo};
use sha2::{Digest, Sha256};

use super::{Address, Envelope, Summary};

/// Bytes of a snippet, as Mailpit's.
const SNIPPET_MAX_BYTES: usize = 200;
/// Letters of a body that are searched.
const SEARCHED_MAX: usize = 100_000;

/// A part that is a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    pub part_id: String,
    pub file_name: String,
    pub content_type: String,
    pub content_id: String,
    pub size: usize,
    pub sha256: String,
    pub inline: bool,
}

/// A mail, read.
#[derive(Debug, Clone, Default)]
pub struct Message {
    pub summary: Summary,
    pub date: Option<Timestamp>,
    pub return_path: String,
    pub text: String,
    pub html: String,
    pub attachments: Vec<Attachment>,
    /// Raw values by name in canonical form, as Go's `net/mail` gives them.
    pub headers: BTreeMap<String, Vec<String>>,
}

impl Message {
    pub fn read(raw: &[u8], envelope: &Envelope) -> Self {
        let mut message = Self::default();
        match mailparse::parse_mail(raw) {
            Ok(mail) => {
                message.read_headers(&mail.headers);
                message.read_part(&mail, String::new());
            }
            // Nested too deeply, say: the headers are still worth showing.
            Err(_) => {
                if let Ok((headers, _)) = mailparse::parse_headers(raw) {
                    message.read_headers(&headers);
                }
            }
        }
        message.finish(envelope);
        message
    }

    fn read_headers(&mut self, headers: &[mailparse::MailHeader<'_>]) {
        let summary = &mut self.summary;
        let text = |name: &str| headers.get_first_value(name).unwrap_or_default();
        summary.message_id = bare(&text("Message-ID"));
        summary.subject = text("Subject");
        summary.from = addresses(headers, "From")
            .into_iter()
            .next()
            .unwrap_or(Address { name: text("From"), address: String::new() });
        summary.to = addresses(headers, "To");
        summary.cc = addresses(headers, "Cc");
        summary.bcc = addresses(headers, "Bcc");
        summary.reply_to = addresses(headers, "Reply-To");
        self.return_path = bare(&text("Return-Path"));
        self.date = mailparse::dateparse(&text("Date"))
            .ok()
            .filter(|_| headers.get_first_value("Date").is_some())
            .and_then(|seconds| Timestamp::from_second(seconds).ok());
        for header in headers {
            let value = String::from_utf8_lossy(header.get_value_raw()).replace("\r\n", "");
            self.headers.entry(canonical(&header.get_key())).or_default().push(value);
        }
    }

    fn read_part(&mut self, part: &ParsedMail<'_>, id: String) {
        for (index, child) in part.subparts.iter().enumerate() {
            let dot = if id.is_empty() { "" } else { "." };
            self.read_part(child, format!("{id}{dot}{}", index + 1));
        }
        if !part.subparts.is_empty() {
            return;
        }
        let disposition = part.get_content_disposition();
        let name = disposition.params.get("filename").or_else(|| part.ctype.params.get("name"));
        let attached = disposition.disposition == DispositionType::Attachment || name.is_some();
        let place = match part.ctype.mimetype.as_str() {
            "text/plain" if !attached => &mut self.text,
            "text/html" if !attached => &mut self.html,
            _ => {
                let file_name = name.cloned().unwrap_or_default();
                self.attachments.push(attachment(part, id, file_name, attached));
                return;
            }
        };
        let body = part.get_body().unwrap_or_else(|_| {
            part.get_body_raw().map(|raw| String::from_utf8_lossy(&raw).into()).unwrap_or_default()
        });
        place.push_str(&body);
    }

    fn finish(&mut self, envelope: &Envelope) {
        let summary = &mut self.summary;
        let known = |address: &str| {
            [&summary.to, &summary.cc, &summary.bcc]
                .into_iter()
                .flatten()
                .any(|one| one.address.eq_ignore_ascii_case(address))
        };
        let hidden: Vec<Address> = envelope
            .to
            .iter()
            .filter(|address| !known(address))
            .map(|address| Address { name: String::new(), address: address.clone() })
            .collect();
        summary.bcc.extend(hidden);
        summary.username.clone_from(&envelope.username);
        summary.attachments = self.attachments.iter().filter(|one| !one.inline).count();
        summary.snippet = snippet(&self.text, &self.html);
        if self.return_path.is_empty() {
            self.return_path.clone_from(&envelope.from);
        }
    }

    /// All that a search without a field looks at, in small letters.
    pub fn search_text(&self) -> String {
        let words = [
            self.summary.subject.as_str(),
            &self.summary.addresses_text(),
            &self.summary.message_id,
            &self.text,
            &stripped(&self.html),
        ];
        let all = words.join(" ").to_lowercase();
        collapsed(&all).chars().take(SEARCHED_MAX).collect()
    }
}

/// An id or address without its angle brackets.
fn bare(text: &str) -> String {
    text.trim().trim_matches(['<', '>']).to_owned()
}

fn attachment(part: &ParsedMail<'_>, id: String, file_name: String, attached: bool) -> Attachment {
    let bytes = part.get_body_raw().unwrap_or_default();
    let content_id = part.headers.get_first_value("Content-ID").unwrap_or_default();
    Attachment {
        part_id: if id.is_empty() { "1".into() } else { id },
        file_name,
        content_type: part.ctype.mimetype.clone(),
        content_id: bare(&content_id),
        size: bytes.len(),
        sha256: hex::encode(Sha256::digest(&bytes)),
        inline: !attached,
    }
}

fn addresses(headers: &[mailparse::MailHeader<'_>], name: &str) -> Vec<Address> {
    let mut found = Vec::new();
    for header in headers.get_all_headers(name) {
        // One that cannot be parsed is shown as it stands.
        let Ok(list) = mailparse::addrparse_header(header) else {
            found.push(Address { name: header.get_value(), address: String::new() });
            continue;
        };
        for entry in list.into_inner() {
            match entry {
                MailAddr::Single(one) => found.push(one.into()),
                MailAddr::Group(group) => found.extend(group.addrs.into_iter().map(Address::from)),
            }
        }
    }
    found
}

impl From<SingleInfo> for Address {
    fn from(info: SingleInfo) -> Self {
        Self { name: info.display_name.unwrap_or_default(), address: info.addr }
    }
}

/// `message-ID` as `Message-Id`.
fn canonical(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters.map(|letter| letter.to_ascii_lowercase())).collect()
    };
    name.split('-').map(word).collect::<Vec<String>>().join("-")
}

fn snippet(text: &str, html: &str) -> String {
    let shown = collapsed(&if html.trim().is_empty() { text.to_owned() } else { stripped(html) });
    if shown.len() <= SNIPPET_MAX_BYTES {
        return shown;
    }
    format!("{}...", &shown[..shown.floor_char_boundary(SNIPPET_MAX_BYTES)])
}

fn collapsed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text between tags, without title, styles and scripts; good enough to be read and searched.
fn stripped(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let name = tag.get(..6).unwrap_or(tag).to_ascii_lowercase();
        let end = match name.as_str() {
            "script" => "</script",
            "title>" => "</title",
            "style>" | "style " => "</style",
            _ => "",
        };
        let skipped = find_ignoring_case(tag, end).map_or("", |at| &tag[at..]);
        rest = skipped.split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    for (entity, letter) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, letter);
    }
    text
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    let windows = text.as_bytes().windows(wanted.len());
    windows.into_iter().position(|window| window.eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECEIPT: &str = "Message-ID: <42@shop.example>\r\nDate: Fri, 21 Nov 2025 10:00:00 +0530\r\n\
From: =?utf-8?q?Caf=C3=A9?= <shop@example.com>\r\nTo: Asha <asha@example.com>, b@example.com\r\n\
Subject: =?utf-8?b?4oK5MSw1MDA=?= is\r\n paid\r\nMIME-Version: 1.0\r\n\
Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\
Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
Thank you =E2=82=B9\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n\
<title>Receipt</title><style>p{}</style><p>Thank <b>you</b> &lt;3</p>\r\n--b--\r\n";

    #[test]
    fn a_receipt_is_read() {
        let envelope = Envelope {
            from: "bounce@example.com".into(),
            to: vec!["asha@example.com".into(), "B@example.com".into(), "c@example.com".into()],
            username: "shop".into(),
        };
        let message = Message::read(RECEIPT.as_bytes(), &envelope);
        insta::assert_json_snapshot!(message.summary, @r#"
        {
          "MessageID": "42@shop.example",
          "From": {
            "Name": "Café",
            "Address": "shop@example.com"
          },
          "To": [
            {
              "Name": "Asha",
              "Address": "asha@example.com"
            },
            {
              "Name": "",
              "Address": "b@example.com"
            }
          ],
          "Cc": [],
          "Bcc": [
            {
              "Name": "",
              "Address": "c@example.com"
            }
          ],
          "ReplyTo": [],
          "Subject": "₹1,500 is paid",
          "Username": "shop",
          "Attachments": 0,
          "Snippet": "Thank you <3"
        }
        "#);
        assert_eq!(message.text.trim(), "Thank you ₹");
        assert_eq!(message.date.unwrap().to_string(), "2025-11-21T04:30:00Z");
        assert_eq!(message.return_path, "bounce@example.com");
        assert_eq!(message.headers["Message-Id"], ["<42@shop.example>"]);
        assert!(message.search_text().contains("asha@example.com"));
    }

    #[test]
    fn attachments_are_listed() {
        let raw = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n\
Content-Type: application/pdf; name=\"bill.pdf\"\r\nContent-Disposition: attachment\r\n\
Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n";
        let message = Message::read(raw.as_bytes(), &Envelope::default());
        let [bill] = message.attachments.as_slice() else { panic!("{:?}", message.attachments) };
        assert_eq!(
            (bill.file_name.as_str(), bill.size, bill.part_id.as_str()),
            ("bill.pdf", 5, "2")
        );
        assert_eq!(message.summary.attachments, 1);
    }

    #[test]
    fn deep_nesting_is_survived() {
        let part = |n| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n");
        let parts: Vec<String> = (0..10_000).map(part).collect();
        let raw = format!("Subject: deep\r\n{}", parts.concat());
        assert_eq!(Message::read(raw.as_bytes(), &Envelope::default()).summary.subject, "deep");
    }

    proptest! {
        #[test]
        fn no_mail_breaks_it(raw in prop::collection::vec(any::<u8>(), 0..500), html in any::<String>()) {
            let _ = Message::read(&raw, &Envelope::default());
            let _ = stripped(&html);
            prop_assert!(snippet("", &html).len() <= SNIPPET_MAX_BYTES + 3);
        }
    }
}
