//! What shoppers read in each state.

use super::*;

fn verified(status: &str) -> Verified {
    let json = serde_json::json!({
        "status": status,
        "orderId": "2f1e9c3a-7a5d-5d0e-9a51-3c8f0d1f2a11",
        "userId": "ada",
        "cart": [{"id": "phone", "name": "Nova <5G>", "quantity": 2, "price": 1_899_900}],
        "amount": 3_799_800,
        "currency": "INR",
        "url": "https://checkout.stripe.com/c/pay/cs_1",
    });
    serde_json::from_value(json).unwrap()
}

/// The page's text, one line an element, and whether it looks again.
fn read(known: Known) -> String {
    let (status, html) = page(Shop::for_tests(), "cs_1", known).unwrap();
    let (_, main) = html.split_once("<article").unwrap();
    let (main, _) = main.split_once("</article>").unwrap();
    let live = if main.contains("data-live=") { ", looks again" } else { "" };
    let mut text = String::new();
    for part in main.split('<').skip(1) {
        let (tag, words) = part.split_once('>').unwrap_or_default();
        let name = tag.split(' ').next().unwrap_or_default();
        if !words.trim().is_empty() {
            let newline = ["h1", "p", "li", "caption", "tr", "a"].contains(&name);
            text += if newline || text.is_empty() { "\n" } else { " " };
            text += words.trim();
        }
        if ["li", "tr"].contains(&name) && words.trim().is_empty() {
            text += "\n";
        }
    }
    format!("{status}{live}\n{}", text.trim())
}

#[test]
fn what_shoppers_read_in_each_state() {
    let order = |state: &str| Some(Order { mail: Some(Mail { state: state.into() }) });
    let of = |status, order| Known::Verified { verified: verified(status), order };
    let pages = [
        Known::Nothing,
        Known::Unreachable,
        of("open", None),
        of("processing", None),
        of("failed", None),
        of("expired", None),
        of("paid", None),
        of("paid", order("none")),
        of("paid", order("queued")),
        of("paid", order("sent")),
        of("paid", order("failed")),
        of("paid", Some(Order { mail: None })),
        of("refunded", None),
    ];
    insta::assert_snapshot!(pages.map(read).join("\n\n----\n"));
}

#[test]
fn a_session_is_text_wherever_it_stands() {
    let (_, html) =
        page(Shop::for_tests(), "\"><script>alert(1)</script>", Known::Nothing).unwrap();
    assert!(!html.contains("<script>"), "{html}");
}

#[test]
fn the_way_on_leads_to_the_web_only() {
    let mut verified = verified("open");
    verified.url = Some("javascript:alert(1)".into());
    let (_, html) =
        page(Shop::for_tests(), "cs_1", Known::Verified { verified, order: None }).unwrap();
    assert!(!html.contains("Go on paying"), "{html}");
}
