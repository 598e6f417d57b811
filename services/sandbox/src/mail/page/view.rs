//! The inbox as HTML. What a mail says is text here: the templates escape it.

use std::fmt;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use jiff::{Timestamp, tz::TimeZone};
use url::form_urlencoded;

use super::PAGE;
use crate::{
    html::{INBOX_SCRIPT, INBOX_STYLE, Page, guarded},
    mail::{Address, message::Message},
    store::{MailRow, MailSummaryRow},
};

/// Bytes of a text or source that a page shows; the API has the rest.
const SHOWN_MAX_BYTES: usize = 256 * 1024;

/// A part of the list; written as the query of an address.
#[derive(Debug, Clone, Default)]
pub struct Place {
    pub query: String,
    pub start: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !self.query.is_empty() {
            query.append_pair("query", &self.query);
        }
        if self.start > 0 {
            query.append_pair("start", &self.start.to_string());
        }
        match query.finish() {
            empty if empty.is_empty() => Ok(()),
            query => write!(f, "?{query}"),
        }
    }
}

/// How many mails there are.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    pub total: i64,
    pub unread: i64,
    /// Of the search.
    pub found: i64,
    pub searching: bool,
}

impl Counts {
    fn words(self) -> String {
        let mails = |count| if count == 1 { "1 mail".to_owned() } else { format!("{count} mails") };
        match (self.searching, self.unread) {
            (true, _) => format!("{} of {}", self.found, mails(self.total)),
            (false, 0) => mails(self.total),
            (false, unread) => format!("{}, {unread} unread", mails(self.total)),
        }
    }
}

struct Row {
    id: String,
    to: String,
    from: String,
    subject: String,
    snippet: String,
    stamp: String,
    time: String,
    unread: bool,
    current: bool,
}

/// The list, written.
#[derive(Template)]
#[template(path = "rows.html")]
pub struct List {
    mails: Vec<Row>,
    place: String,
    revision: String,
    count: String,
    total: i64,
    unread: i64,
    searching: bool,
    newer: Option<String>,
    older: Option<String>,
}

impl List {
    pub fn new(
        place: &Place,
        mails: &[MailSummaryRow],
        counts: Counts,
        revision: String,
        open: Option<&str>,
    ) -> Self {
        let at = |start| format!("/{}", Place { start, ..place.clone() });
        Self {
            mails: mails.iter().map(|mail| row(mail, open)).collect(),
            place: place.to_string(),
            revision,
            count: counts.words(),
            total: counts.total,
            unread: counts.unread,
            searching: counts.searching,
            newer: (place.start > 0).then(|| at(i64::max(place.start - PAGE, 0))),
            older: (place.start.saturating_add(PAGE) < counts.found)
                .then(|| at(place.start.saturating_add(PAGE))),
        }
    }
}

fn row(mail: &MailSummaryRow, open: Option<&str>) -> Row {
    let summary = &mail.summary;
    let everybody = [summary.to.clone(), summary.cc.clone(), summary.bcc.clone()].concat();
    let (stamp, time) = times(mail.created_ms);
    Row {
        id: mail.id.clone(),
        to: names(&everybody),
        from: names(std::slice::from_ref(&summary.from)),
        subject: subject(&summary.subject),
        snippet: summary.snippet.clone(),
        stamp,
        time,
        unread: !mail.is_read,
        current: open == Some(&mail.id),
    }
}

fn subject(subject: &str) -> String {
    if subject.trim().is_empty() { "(no subject)".into() } else { subject.into() }
}

fn names(addresses: &[Address]) -> String {
    let one = |address: &Address| match (address.name.as_str(), address.address.as_str()) {
        ("", address) => address.to_owned(),
        (name, "") => name.to_owned(),
        (name, address) => format!("{name} <{address}>"),
    };
    addresses.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// For programs and for people.
fn times(ms: i64) -> (String, String) {
    let time = Timestamp::from_millisecond(ms).unwrap_or_default();
    let shown = time.to_zoned(TimeZone::UTC).strftime("%-d %b, %H:%M UTC").to_string();
    (format!("{time:.0}"), shown)
}

/// A way to look at a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    Html,
    Text,
    Source,
    Headers,
}

impl Tab {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Html, "html", "HTML"),
        (Self::Text, "text", "Text"),
        (Self::Source, "source", "Source"),
        (Self::Headers, "headers", "Headers"),
    ];

    /// The view of this name, or the best one without a name.
    pub fn of(word: &str, message: &Message) -> Option<Self> {
        match word {
            "" if message.html.is_empty() => Some(Self::Text),
            "" => Some(Self::Html),
            word => Self::ALL.into_iter().find(|(_, name, _)| *name == word).map(|(tab, ..)| tab),
        }
    }
}

struct TabView {
    word: &'static str,
    label: &'static str,
    current: bool,
}

/// A mail that is read.
pub struct Open {
    id: String,
    subject: String,
    addresses: Vec<(&'static str, String)>,
    stamp: String,
    time: String,
    files: String,
    tabs: Vec<TabView>,
    framed: bool,
    headers: Vec<(String, String)>,
    body_label: &'static str,
    body: String,
    cut: bool,
}

pub fn open(row: &MailRow, message: &Message, tab: Tab) -> Open {
    let summary = &message.summary;
    let addresses = [
        ("From", names(std::slice::from_ref(&summary.from))),
        ("To", names(&summary.to)),
        ("Cc", names(&summary.cc)),
        ("Bcc", names(&summary.bcc)),
        ("Reply to", names(&summary.reply_to)),
    ];
    let (stamp, time) = times(row.created_ms);
    let files = message.attachments.iter().map(|file| match file.file_name.as_str() {
        "" => format!("{}, {} bytes", file.content_type, file.size),
        name => format!("{name}, {} bytes", file.size),
    });
    let (body_label, (body, cut)) = match tab {
        Tab::Html if message.html.is_empty() => {
            ("The mail's HTML", ("This mail has no HTML.".into(), false))
        }
        Tab::Html | Tab::Headers => ("", (String::new(), false)),
        Tab::Text if message.text.is_empty() => {
            ("The mail's text", ("This mail has no text part.".into(), false))
        }
        Tab::Text => ("The mail's text", shown(&message.text)),
        Tab::Source => ("The mail's source", shown(&String::from_utf8_lossy(&row.raw))),
    };
    let tabs = Tab::ALL.map(|(one, word, label)| TabView { word, label, current: one == tab });
    let headers = message.headers.iter().flat_map(|(name, values)| {
        values.iter().map(|value| (name.clone(), value.trim().to_owned()))
    });
    Open {
        id: row.id.clone(),
        subject: subject(&summary.subject),
        addresses: addresses.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        stamp,
        time,
        files: files.collect::<Vec<_>>().join("; "),
        tabs: tabs.into(),
        framed: tab == Tab::Html && !message.html.is_empty(),
        headers: if tab == Tab::Headers { headers.collect() } else { Vec::new() },
        body_label,
        body,
        cut,
    }
}

fn shown(text: &str) -> (String, bool) {
    let end = text.floor_char_boundary(SHOWN_MAX_BYTES);
    (text[..end].to_owned(), end < text.len())
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct InboxPage<'a> {
    list: &'a List,
    rows: String,
    query: &'a str,
    place: String,
    open: Option<Open>,
    missing: bool,
}

/// The list, and the mail that is read beside it.
pub fn inbox(list: &List, place: &Place, open: Option<Open>) -> Response {
    answer(StatusCode::OK, list, place, open)
}

/// A mail that is not there any more.
pub fn gone(list: &List, place: &Place) -> Response {
    answer(StatusCode::NOT_FOUND, list, place, None)
}

fn answer(status: StatusCode, list: &List, place: &Place, open: Option<Open>) -> Response {
    let missing = status == StatusCode::NOT_FOUND;
    let page =
        Page { style: INBOX_STYLE, script: Some(INBOX_SCRIPT), frames: true, ..Page::default() };
    let html = list.render().and_then(|rows| {
        let (query, place) = (place.query.as_str(), place.to_string());
        InboxPage { list, rows, query, place, open, missing }.render()
    });
    page.answer(status, html)
}

/// The list alone.
pub fn rows(list: &List) -> Response {
    match list.render() {
        Ok(html) => guarded(Html(html).into_response(), "default-src 'none'"),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The mail's HTML with its links opening tabs of their own: inside the frame the shop's pages, which
/// let nobody frame them, would stay blank.
pub fn with_new_tabs(html: &str) -> String {
    let base = "<base target=\"_blank\">";
    let lower = html.to_ascii_lowercase();
    let head = lower.find("<head").and_then(|at| Some(at + lower[at..].find('>')? + 1));
    // Not before a doctype: that would change how the rest is laid out.
    let at = head.or_else(|| {
        let doctype = lower.find("<!doctype")?;
        Some(doctype + lower[doctype..].find('>')? + 1)
    });
    let (before, after) = html.split_at(at.unwrap_or(0));
    format!("{before}{base}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_open_tabs_without_a_change_of_layout() {
        let base = "<base target=\"_blank\">";
        for (html, expected) in [
            ("<p>x</p>", format!("{base}<p>x</p>")),
            ("<!DOCTYPE html>\n<p>x", format!("<!DOCTYPE html>{base}\n<p>x")),
            ("<!doctype html><HEAD lang=x><t>", format!("<!doctype html><HEAD lang=x>{base}<t>")),
            ("<head", format!("{base}<head")),
            ("", base.to_owned()),
        ] {
            assert_eq!(with_new_tabs(html), expected);
        }
    }

    #[test]
    fn a_place_is_written_as_a_query() {
        let place = |query: &str, start| Place { query: query.into(), start }.to_string();
        assert_eq!(place("", 0), "");
        assert_eq!(place("to:a@b \"x\"", 50), "?query=to%3Aa%40b+%22x%22&start=50");
    }

    #[test]
    fn counts_are_told_in_words() {
        let words =
            |total, unread, found, searching| Counts { total, unread, found, searching }.words();
        assert_eq!(words(0, 0, 0, false), "0 mails");
        assert_eq!(words(1, 1, 1, false), "1 mail, 1 unread");
        assert_eq!(words(12, 3, 4, true), "4 of 12 mails");
    }
}
