//! What the stand-in and the mail sink have written: the truth that everything is compared with.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::world::World;

/// Most that the stand-ins answer with at once.
const PAGE: usize = 10_000;

/// A Checkout session, as the stand-in has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub is_paid: bool,
    /// In minor units.
    pub amount: i64,
    pub user: String,
    /// Unix time, in seconds.
    pub created: i64,
}

impl World {
    /// Every session that was ever made, by its id.
    pub async fn sessions(&self) -> Result<BTreeMap<String, Session>> {
        let mut sessions = BTreeMap::new();
        let mut after = String::new();
        loop {
            let url = format!("{}/control/sessions?limit={PAGE}{after}", self.stripe);
            let told = self.http.get(url).await?.expect_status(200)?.json()?;
            let page = told["sessions"].as_array().context("no sessions")?;
            for entry in page {
                let id = entry["id"].as_str().context("no id")?.to_owned();
                let session = Session {
                    is_paid: entry["state"] == "paid",
                    amount: entry["amountTotal"].as_i64().context("no amount")?,
                    user: text(&entry["metadata"]["userId"]),
                    created: entry["created"].as_i64().context("no time")?,
                };
                sessions.insert(id, session);
            }
            match (told["hasMore"].as_bool(), page.last()) {
                (Some(true), Some(last)) => after = format!("&after={}", text(&last["id"])),
                _ => return Ok(sessions),
            }
        }
    }

    /// How often each mail came, by its `Message-ID`.
    pub async fn mails(&self) -> Result<BTreeMap<String, usize>> {
        self.mails_by(|mail| text(&mail["MessageID"])).await
    }

    /// How many mails came to each address.
    pub async fn recipients(&self) -> Result<BTreeMap<String, usize>> {
        self.mails_by(|mail| text(&mail["To"][0]["Address"])).await
    }

    async fn mails_by(&self, name: fn(&Value) -> String) -> Result<BTreeMap<String, usize>> {
        let (mut mails, mut start) = (BTreeMap::new(), 0);
        loop {
            let url = format!("{}/api/v1/messages?limit={PAGE}&start={start}", self.inbox);
            let told = self.http.get(url).await?.expect_status(200)?.json()?;
            let page = told["messages"].as_array().context("no messages")?;
            for mail in page {
                *mails.entry(name(mail)).or_default() += 1;
            }
            start += page.len();
            if page.len() < PAGE {
                return Ok(mails);
            }
        }
    }

    /// How many sessions are paid, and how many different mails have come.
    pub async fn counts(&self) -> Result<(u64, u64)> {
        let sessions = format!("{}/control/sessions?limit=1", self.stripe);
        let sessions = self.http.get(sessions).await?.expect_status(200)?.json()?;
        let mails = format!("{}/control/mails", self.stripe);
        let mails = self.http.get(mails).await?.expect_status(200)?.json()?;
        let paid = sessions["counts"]["paid"].as_u64().unwrap_or_default();
        Ok((paid, mails["distinctMessageIds"].as_u64().unwrap_or_default()))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
