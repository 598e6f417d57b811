//! The inbox: what was accepted by SMTP, shown as Mailpit shows it. Sends nothing on.

pub mod api;
pub mod message;
mod page;
pub mod search;

use serde::{Deserialize, Serialize};

/// A name and an address, as Mailpit writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Address {
    pub name: String,
    pub address: String,
}

/// What SMTP said about a mail, which its headers need not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    pub from: String,
    pub to: Vec<String>,
    /// Who the client said it is, if it said so.
    pub username: String,
}

/// What a list shows of a mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Summary {
    #[serde(rename = "MessageID")]
    pub message_id: String,
    pub from: Address,
    pub to: Vec<Address>,
    pub cc: Vec<Address>,
    /// Recipients that no header names.
    pub bcc: Vec<Address>,
    pub reply_to: Vec<Address>,
    pub subject: String,
    pub username: String,
    pub attachments: usize,
    pub snippet: String,
}

impl Summary {
    /// Every address in one text, to be searched.
    pub fn addresses_text(&self) -> String {
        let all = [&self.to, &self.cc, &self.bcc, &self.reply_to];
        std::iter::once(&self.from)
            .chain(all.into_iter().flatten())
            .map(|one| format!("{} <{}>", one.name, one.address))
            .collect::<Vec<_>>()
            .join(", ")
    }
}
