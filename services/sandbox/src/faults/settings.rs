//! The faults that can be asked for, and what is wrong with those that cannot. Pure.

use serde::{Deserialize, Serialize};

const API_DELAY_MAX_MS: u64 = 600_000;
/// As long as Stripe goes on trying (<https://docs.stripe.com/webhooks>).
const WEBHOOK_DELAY_MAX_MS: u64 = 3 * 24 * 60 * 60 * 1_000;
const SKEW_MAX_S: i64 = 24 * 60 * 60;
/// As long as Stripe lists its events (<https://docs.stripe.com/api/events>).
const AGE_MAX_S: i64 = 30 * 24 * 60 * 60;

/// What is broken on purpose. Everything has a default: nothing. `docs/sandbox.md` is for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultSettings {
    /// Seed of every decision; one is drawn, and told, when none is given.
    pub seed: Option<u64>,
    pub webhooks: WebhookFault,
    /// Part of the events (for `tamper` and `old-secret`: of the attempts) that `webhooks` is done
    /// to, 0 to 1.
    pub webhook_share: f64,
    /// Added to every delivery; up to three days.
    pub webhook_delay_ms: u64,
    /// Up to this much more, drawn for each event: shuffles them.
    pub webhook_jitter_ms: u64,
    /// Added to the time of each signature: the two machines' clocks disagree.
    pub webhook_skew_s: i64,
    /// Events are told as so much older than they are: they come days late. The list keeps the truth.
    pub webhook_age_s: i64,
    pub api: Option<ApiFault>,
    /// Before each answer of the Stripe API, while its idempotency key is in flight.
    pub api_delay_ms: u64,
    /// What becomes of payments by bank; without it they wait for `settle` or `fail`.
    pub delayed: Option<Delayed>,
    pub smtp: Option<SmtpFault>,
}

impl Default for FaultSettings {
    fn default() -> Self {
        Self {
            seed: None,
            webhooks: WebhookFault::Deliver,
            webhook_share: 1.0,
            webhook_delay_ms: 0,
            webhook_jitter_ms: 0,
            webhook_skew_s: 0,
            webhook_age_s: 0,
            api: None,
            api_delay_ms: 0,
            delayed: None,
            smtp: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookFault {
    Deliver,
    /// Never sent; the event is in the list all the same.
    Drop,
    /// Sent twice, together.
    Duplicate,
    /// One byte of the body is another than the one that was signed.
    Tamper,
    /// Signed with [`OLD_SECRET`](crate::OLD_WEBHOOK_SECRET), as when the shop has rolled its secret
    /// and Stripe has not, or the other way round.
    OldSecret,
}

/// Answers of the Stripe API that are errors, or do not come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiFault {
    /// 400 to 599; either this or `how`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<ApiHow>,
    /// Part of the requests, 0 to 1.
    pub share: f64,
    /// The error is kept for the idempotency key, as Stripe keeps its 500s
    /// (<https://docs.stripe.com/api/idempotent_requests>).
    pub stored: bool,
    /// The request takes effect all the same.
    pub applied: bool,
    /// `create`, `expire`, `retrieve`, `list`, `line_items`, `events`, `event` or `intent`; all when
    /// empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<String>,
}

impl Default for ApiFault {
    fn default() -> Self {
        Self {
            status: None,
            how: None,
            share: 1.0,
            stored: false,
            applied: false,
            calls: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApiHow {
    /// The connection is closed without an answer.
    Cut,
    /// Nothing is answered until the faults are set anew; then the connection is cut.
    Hang,
}

/// Money by bank that comes, or does not come, by itself
/// (<https://docs.stripe.com/checkout/fulfillment>).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delayed {
    /// After the shopper has confirmed.
    pub after_ms: u64,
    /// Part of the payments that fail, 0 to 1.
    #[serde(default)]
    pub fail_share: f64,
}

/// Replies of the SMTP server that are errors, or do not come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpFault {
    /// Such as `450 4.2.0 greylisted`. After a 421 the connection is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Only without a reply; cut when there is neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<SmtpHow>,
    pub at: SmtpStage,
    /// Part of the times this stage is reached, 0 to 1.
    #[serde(default = "whole")]
    pub share: f64,
    /// At the end of data: the mail is kept all the same.
    #[serde(default)]
    pub stored: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmtpHow {
    /// The connection is closed without a word.
    Cut,
    /// Nothing is said any more until the faults are set anew; then the connection is closed.
    Silence,
    /// From here on one byte a second, until the faults are set anew.
    Trickle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SmtpStage {
    Connect,
    Mail,
    Rcpt,
    Data,
    EndOfData,
}

fn whole() -> f64 {
    1.0
}

/// Names of the calls that an [`ApiFault`] can be limited to.
pub const CALLS: &[&str] =
    &["create", "expire", "retrieve", "list", "line_items", "events", "event", "intent"];

impl FaultSettings {
    /// What is wrong with them, in words that name the field.
    pub fn check(&self) -> Result<(), String> {
        self.check_shares()?;
        within("webhook_delay_ms", self.webhook_delay_ms, 0, WEBHOOK_DELAY_MAX_MS)?;
        within("webhook_jitter_ms", self.webhook_jitter_ms, 0, WEBHOOK_DELAY_MAX_MS)?;
        within("webhook_skew_s", self.webhook_skew_s, -SKEW_MAX_S, SKEW_MAX_S)?;
        within("webhook_age_s", self.webhook_age_s, 0, AGE_MAX_S)?;
        within("api_delay_ms", self.api_delay_ms, 0, API_DELAY_MAX_MS)?;
        let after_ms = self.delayed.map_or(0, |delayed| delayed.after_ms);
        within("delayed.after_ms", after_ms, 0, API_DELAY_MAX_MS)?;
        self.api.as_ref().map_or(Ok(()), ApiFault::check)?;
        self.smtp.as_ref().map_or(Ok(()), SmtpFault::check)
    }

    fn check_shares(&self) -> Result<(), String> {
        let shares = [
            ("webhook_share", Some(self.webhook_share)),
            ("api.share", self.api.as_ref().map(|api| api.share)),
            ("delayed.fail_share", self.delayed.map(|delayed| delayed.fail_share)),
            ("smtp.share", self.smtp.as_ref().map(|smtp| smtp.share)),
        ];
        for (name, share) in shares {
            within(name, share.unwrap_or_default(), 0.0, 1.0)?;
        }
        Ok(())
    }
}

fn within<T: Copy + PartialOrd + std::fmt::Display>(
    name: &str,
    value: T,
    least: T,
    most: T,
) -> Result<(), String> {
    if value >= least && value <= most {
        return Ok(());
    }
    Err(format!("{name} is {value}; it must be {least} to {most}"))
}

impl ApiFault {
    fn check(&self) -> Result<(), String> {
        match (self.status, self.how) {
            (Some(status), None) => within("api.status", status, 400, 599)?,
            (None, Some(_)) if self.stored => {
                return Err("api.stored is for a status: without an answer none is kept".into());
            }
            (None, Some(_)) => {}
            _ => return Err("api must have one of status and how".into()),
        }
        match self.calls.iter().find(|call| !CALLS.contains(&call.as_str())) {
            Some(call) => Err(format!("api.calls has {call:?}; there are {}", CALLS.join(", "))),
            None => Ok(()),
        }
    }
}

impl SmtpFault {
    fn check(&self) -> Result<(), String> {
        let Some(reply) = &self.reply else { return Ok(()) };
        if self.how.is_some() {
            return Err("smtp must have one of reply and how".into());
        }
        if is_reply(reply) {
            return Ok(());
        }
        Err(format!("smtp.reply is {reply:?}; it must be like \"450 4.2.0 later\""))
    }
}

/// A negative reply of one line.
fn is_reply(reply: &str) -> bool {
    let (code, text) = reply.split_at_checked(3).unwrap_or_default();
    let negative = code.starts_with(['4', '5']) && code.bytes().all(|b| b.is_ascii_digit());
    negative
        && text.strip_prefix(' ').is_some_and(|text| !text.is_empty())
        && reply.len() <= 500
        && !reply.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> String {
        match serde_json::from_str::<FaultSettings>(json) {
            Ok(settings) => settings.check().map_or_else(|problem| problem, |()| "taken".into()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn faults_are_checked() {
        for taken in [
            "{}",
            r#"{"webhooks": "drop", "webhook_share": 0.5, "seed": 7}"#,
            r#"{"webhooks": "old-secret", "webhook_skew_s": -400, "webhook_age_s": 259200}"#,
            r#"{"webhook_delay_ms": 259200000}"#,
            r#"{"api": {"how": "hang", "applied": true, "calls": ["create"]}}"#,
            r#"{"delayed": {"after_ms": 100, "fail_share": 0.5}}"#,
            r#"{"smtp": {"reply": "421 4.3.2 later", "at": "end-of-data"}}"#,
            r#"{"smtp": {"how": "trickle", "at": "connect"}}"#,
            r#"{"smtp": {"at": "data"}}"#,
        ] {
            assert_eq!(checked(taken), "taken", "{taken}");
        }
        let refused: Vec<String> = [
            r#"{"webhook_share": 2}"#,
            r#"{"webhook_delay_ms": 259200001}"#,
            r#"{"webhook_skew_s": 100000}"#,
            r#"{"webhook_age_s": -1}"#,
            r#"{"delayed": {"after_ms": 0, "fail_share": -0.1}}"#,
            r#"{"api": {}}"#,
            r#"{"api": {"status": 500, "how": "cut"}}"#,
            r#"{"api": {"how": "cut", "stored": true}}"#,
            r#"{"api": {"status": 200}}"#,
            r#"{"api": {"status": 500, "calls": ["pay"]}}"#,
            r#"{"smtp": {"reply": "450 4.2.0 later", "how": "cut", "at": "rcpt"}}"#,
        ]
        .map(checked)
        .into();
        insta::assert_snapshot!(refused.join("\n"), @r#"
        webhook_share is 2; it must be 0 to 1
        webhook_delay_ms is 259200001; it must be 0 to 259200000
        webhook_skew_s is 100000; it must be -86400 to 86400
        webhook_age_s is -1; it must be 0 to 2592000
        delayed.fail_share is -0.1; it must be 0 to 1
        api must have one of status and how
        api must have one of status and how
        api.stored is for a status: without an answer none is kept
        api.status is 200; it must be 400 to 599
        api.calls has "pay"; there are create, expire, retrieve, list, line_items, events, event, intent
        smtp must have one of reply and how
        "#);
        for reply in ["250 ok", "450", "450 ", "450 a\\r\\n250 b", "4500 x"] {
            let problem = checked(&format!(r#"{{"smtp": {{"reply": "{reply}", "at": "rcpt"}}}}"#));
            assert!(problem.starts_with("smtp.reply is"), "{problem}");
        }
        assert!(checked(r#"{"webhook": "drop"}"#).contains("unknown field"));
    }

    #[test]
    fn the_page_for_people_names_every_field_and_its_examples_are_taken() {
        let page = include_str!("../../../../docs/sandbox.md");
        let examples: Vec<&str> = page.split("```json\n").skip(1).collect();
        for example in &examples {
            let example = example.split("```").next().unwrap();
            assert_eq!(checked(example), "taken", "{example}");
        }
        assert!(examples.len() > 3);
        let structs = [
            known::<FaultSettings>(r#"{"?": 1}"#),
            known::<ApiFault>(r#"{"?": 1}"#),
            known::<Delayed>(r#"{"?": 1}"#),
            known::<SmtpFault>(r#"{"?": 1}"#),
        ];
        let choices = [
            known::<WebhookFault>(r#""?""#),
            known::<ApiHow>(r#""?""#),
            known::<SmtpHow>(r#""?""#),
            known::<SmtpStage>(r#""?""#),
        ];
        let calls = CALLS.iter().map(|call| (*call).to_owned());
        for name in structs.into_iter().chain(choices).flatten().chain(calls) {
            assert!(page.contains(&format!("`{name}`")), "{name} is missing");
        }
    }

    /// The names that a type knows, as it says when it is given another one.
    fn known<T: serde::de::DeserializeOwned>(json: &str) -> Vec<String> {
        let error = serde_json::from_str::<T>(json).err().unwrap().to_string();
        let (_, names) = error.split_once("expected ").unwrap();
        let names: Vec<String> = names.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(names.len() > 1, "{error}");
        names
    }
}
