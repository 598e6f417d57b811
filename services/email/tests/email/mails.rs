//! The mails as people and mail servers see them: one golden file a template and part, and what hostile
//! texts cannot do.

use jiff::Timestamp;
use lettre::message::Mailbox;
use mailparse::{MailHeaderMap, ParsedMail, parse_mail};
use proptest::prelude::*;
use storefront_contract::{CartLine, Template, settings::Branding};
use storefront_email::{
    address,
    letter::{self, Letter, Purchase},
    message,
};

const SESSION: &str = "cs_test_a1B2c3";

fn line(name: &str, quantity: u32, price: i64) -> CartLine {
    CartLine { id: "p".into(), name: name.into(), quantity, price }
}

fn purchase(currency: &str, cart: Vec<CartLine>) -> Purchase {
    Purchase {
        order_id: "5ab5989b-728e-548e-b0f9-2ecbda30970d".parse().unwrap(),
        session_id: SESSION.into(),
        user_id: "user-1".into(),
        amount: cart.iter().map(|line| line.price * i64::from(line.quantity)).sum(),
        cart,
        currency: currency.parse().unwrap(),
        at: "2026-11-14T10:31:07Z".parse().unwrap(),
    }
}

fn branding(shop_name: &str) -> Branding {
    Branding {
        shop_name: shop_name.into(),
        logo: Some("/img/logo.png".into()),
        primary_color: "#7a1f3d".parse().unwrap(),
        accent_color: Branding::DEFAULT_ACCENT_COLOR,
    }
}

fn letter(template: Template, purchase: &Purchase) -> Letter {
    let url = "https://shop.example.com/".parse().unwrap();
    letter::write(template, purchase, &branding("Demo Bazaar"), &url).unwrap()
}

fn receipt(name: &str) -> Letter {
    letter(Template::PaymentReceipt, &purchase("INR", vec![line(name, 1, 1_899_900)]))
}

fn compose(letter: &Letter, from: &str, to: &str) -> Vec<u8> {
    let from: Mailbox = address::sender(from).unwrap();
    let id = message::message_id("0d8c3f6e-8a54-5f0e-9a63-2f6f0a3c1b11", &from);
    let date: Timestamp = "2026-11-14T10:31:08Z".parse().unwrap();
    message::compose(letter, &from, &address::recipient(to).unwrap(), &id, date).unwrap()
}

/// Text and HTML as a mail program shows them.
fn parts(mail: &ParsedMail<'_>) -> (String, String) {
    assert_eq!(mail.ctype.mimetype, "multipart/alternative");
    let [text, html] = &*mail.subparts else { panic!("{} parts", mail.subparts.len()) };
    assert_eq!((&*text.ctype.mimetype, &*html.ctype.mimetype), ("text/plain", "text/html"));
    (text.get_body().unwrap(), html.get_body().unwrap())
}

#[test]
fn a_payment_receipt_in_rupees() {
    let cart = vec![line("Nova 5G", 1, 1_899_900), line("Case \"Ocean\" & strap", 12, 99_950)];
    let letter = letter(Template::PaymentReceipt, &purchase("INR", cart));
    insta::assert_snapshot!("payment-receipt.txt", letter.text);
    insta::assert_snapshot!("payment-receipt.html", letter.html);
}

#[test]
fn an_order_confirmation_in_yen() {
    let letter = letter(
        Template::OrderConfirmation,
        &purchase("JPY", vec![line("急須", 1, 4_800), line("湯呑み", 4, 1_250)]),
    );
    insta::assert_snapshot!("order-confirmation.txt", letter.text);
    insta::assert_snapshot!("order-confirmation.html", letter.html);
}

/// Everything at once that a shop can be called and sell: templates, tags, headers, lone dots, writing
/// from the right, Indian scripts, and many lines.
#[test]
fn a_long_cart_of_hostile_names() {
    let mut cart: Vec<CartLine> = HOSTILE.iter().map(|(name, ..)| line(name, 1, 1_250)).collect();
    cart.extend([
        line("हाथ से बुना सूती कुर्ता", 2, 129_990),
        line("தேயிலை, 250 கிராம்", 10, 34_500),
        line("كتاب الطبخ (2026) ¾", 1, 9_990),
        line(&"Donaudampfschifffahrtsgesellschaft".repeat(8), 99_999, 1_000_000),
        line(".", 1, 10),
        line("\r\n", 1, 10),
    ]);
    cart.extend((1..=20).map(|n| line(&format!("Small part no. {n}"), n, 10)));
    let url = "https://shop.example.com/".parse().unwrap();
    let shop = branding("<b>{{7*7}}</b> & \"Söhne\" बाज़ार");
    let purchase = purchase("KWD", cart);
    let letter = letter::write(Template::OrderConfirmation, &purchase, &shop, &url).unwrap();
    insta::assert_snapshot!("hostile.txt", letter.text);
    insta::assert_snapshot!("hostile.html", letter.html);
}

#[test]
fn a_logo_is_shown_where_mail_programs_can_show_it() {
    let logo = |base: &str, logo: &str| {
        let shop = Branding { logo: Some(logo.into()), ..branding("D") };
        let purchase = purchase("INR", vec![line("x", 1, 1)]);
        let url = base.parse().unwrap();
        let html = letter::write(Template::PaymentReceipt, &purchase, &shop, &url).unwrap().html;
        html.split("<img src=\"").nth(1).map(|rest| rest.split('"').next().unwrap().to_owned())
    };
    let shown = |address: &str| Some(address.to_owned());
    assert_eq!(logo("https://a.example/eu", "/logo.png"), shown("https://a.example/logo.png"));
    assert_eq!(
        logo("https://a.example", "https://cdn.example/l?x=1&y"),
        shown("https://cdn.example/l?x=1&#38;y")
    );
    for none in ["/logo.svg", "/LOGO.SVG", "javascript:alert(1)"] {
        assert_eq!(logo("https://a.example", none), None, "{none}");
    }
}

#[test]
fn every_colour_of_a_shop_can_be_read() {
    for (color, text, link) in
        [("#7a1f3d", "#ffffff", "#7a1f3d"), ("#ffcc00", "#000000", "#8f7200")]
    {
        let shop = Branding { primary_color: color.parse().unwrap(), ..branding("D") };
        let purchase = purchase("INR", vec![line("x", 1, 1)]);
        let url = "https://shop.example.com/".parse().unwrap();
        let html = letter::write(Template::PaymentReceipt, &purchase, &shop, &url).unwrap().html;
        assert!(html.contains(&format!("color:{text};font-weight:bold")), "{html}");
        assert!(html.contains(&format!("style=\"color:{link};word-break")), "{html}");
    }
}

#[test]
fn money_is_in_the_currencys_own_form() {
    for (currency, amount, shown, total) in [
        ("INR", 123_456_789, "₹12,34,567.89", "₹37,03,703.67"),
        ("JPY", 1_500, "¥1,500", "¥4,500"),
        ("KWD", 1_250, "KWD\u{a0}1.250", "KWD\u{a0}3.750"),
    ] {
        let letter =
            letter(Template::PaymentReceipt, &purchase(currency, vec![line("x", 3, amount)]));
        assert!(letter.text.contains(&format!("Total: {total}\n")), "{}", letter.text);
        assert!(letter.text.contains(&format!("3 × {shown} = {total}\n")), "{}", letter.text);
        assert!(letter.html.contains(&format!(">{total}</td>")), "{}", letter.html);
        assert!(letter.html.contains(&format!(">3 × {shown}</span>")), "{}", letter.html);
    }
}

#[test]
fn a_whole_mail_on_the_wire() {
    let mail = compose(&receipt("Nova 5G"), "Demo <shop@example.com>", "ada@example.com");
    let mail = String::from_utf8(mail).unwrap();
    assert!(mail.split("\r\n").all(|line| line.len() <= 78 && !line.contains(['\r', '\n'])));
    let head = mail.split("\r\n\r\n").next().unwrap().replace("\r\n", "\n");
    insta::assert_snapshot!(head);
}

#[test]
fn the_same_mail_gives_the_same_bytes() {
    let again = || compose(&receipt("Nova 5G"), "Demo <shop@example.com>", "ada@example.com");
    assert_eq!(again(), again());
}

/// Names that try to be a template, a tag, a header, the end of the mail, or the price beside them.
const HOSTILE: [(&str, &str, &str); 9] = [
    ("{{7*7}}", "{{7*7}}", "{{7*7}}"),
    ("{% include \"/etc/passwd\" %}", "{% include", "{% include &#34;/etc/passwd&#34; %}"),
    ("<script>alert(1)</script>", "<script>", "&#60;script&#62;alert(1)&#60;/script&#62;"),
    ("\" onload=\"x", "\" onload=\"x", "&#34; onload=&#34;x"),
    (
        "a\r\nBcc: eve@example.com\r\n\r\n<b>",
        "- a Bcc: eve@example.com <b>\n",
        "a Bcc: eve@example.com &#60;b&#62;",
    ),
    (".\r\n.\r\nQUIT", "- . . QUIT\n", "<bdi>. . QUIT</bdi>"),
    ("\u{202e}00.1 \u{2066}x", "- 00.1 x\n", "<bdi>00.1 x</bdi>"),
    ("שולחן עץ", "- שולחן עץ\n", "<bdi>שולחן עץ</bdi>"),
    ("👩🏽‍🚀 Nova", "- 👩🏽‍🚀 Nova\n", "<bdi>👩🏽‍🚀 Nova</bdi>"),
];

#[test]
fn a_hostile_name_is_shown_as_it_is_written() {
    for (name, in_text, in_html) in HOSTILE {
        let bytes = compose(&receipt(name), "Demo <shop@example.com>", "ada@example.com");
        let mail = parse_mail(&bytes).unwrap();
        let (text, html) = parts(&mail);
        assert!(text.replace("\r\n", "\n").contains(in_text), "{name}: {text}");
        assert!(html.contains(in_html), "{name}: {html}");
        assert!(!html.contains("<script") && !html.contains("<b>"), "{name}: {html}");
        assert!(mail.headers.get_first_value("Bcc").is_none());
    }
}

#[test]
fn other_letters_in_headers_are_encoded() {
    let url = "https://shop.example.com/".parse().unwrap();
    let cart = purchase("INR", vec![line("x", 1, 1)]);
    let letter =
        letter::write(Template::PaymentReceipt, &cart, &branding("Café Ünïcode 店"), &url).unwrap();
    let bytes = compose(&letter, "Café Ünïcode 店 <shop@bücher.example>", "ada@bücher.example");
    assert!(bytes.is_ascii());
    let mail = parse_mail(&bytes).unwrap();
    let header = |name| mail.headers.get_first_value(name).unwrap();
    assert_eq!(header("Subject"), "Café Ünïcode 店: We received your payment (5ab5989b)");
    assert_eq!(header("From"), "Café Ünïcode 店 <shop@xn--bcher-kva.example>");
    assert_eq!(header("To"), "ada@xn--bcher-kva.example");
}

#[test]
fn the_link_back_leads_to_the_shop_and_nowhere_else() {
    let link = |base: &str, session: &str| {
        let mut purchase = purchase("INR", vec![line("x", 1, 1)]);
        purchase.session_id = session.into();
        let url = base.parse().unwrap();
        let text =
            letter::write(Template::PaymentReceipt, &purchase, &branding("D"), &url).unwrap().text;
        text.lines().find(|line| line.contains("/success?")).unwrap().to_owned()
    };
    assert_eq!(
        link("https://a.example", SESSION),
        "https://a.example/success?session_id=cs_test_a1B2c3"
    );
    assert_eq!(
        link("http://127.0.0.1:8080/eu/?x=1#y", "cs&a=b\r\n<x>"),
        "http://127.0.0.1:8080/eu/success?session_id=cs%26a%3Db%0D%0A%3Cx%3E"
    );
}

proptest! {
    /// Whatever a product, a shop or a person is called: one mail, two parts, our headers, no line that
    /// ends a mail early.
    #[test]
    fn no_text_breaks_a_mail(name in any::<String>(), shop in any::<String>(), user in "[a-z.+'-]{1,20}") {
        let url = "https://shop.example.com/".parse().unwrap();
        let cart = purchase("INR", vec![line(&name, 1, 5)]);
        let letter = letter::write(Template::PaymentReceipt, &cart, &branding(&shop), &url).unwrap();
        let from = Mailbox::new(Some(shop), "shop@example.com".parse().unwrap());
        let Ok(to) = address::recipient(&format!("{user}@example.com")) else { return Ok(()) };
        let bytes = message::compose(&letter, &from, &to, "id@example.com", Timestamp::UNIX_EPOCH);
        let bytes = bytes.unwrap();
        prop_assert!(bytes.is_ascii());
        for line in bytes.split(|byte| *byte == b'\n') {
            prop_assert!(line.is_empty() || line.ends_with(b"\r"), "bare LF");
            prop_assert!(!line[..line.len().saturating_sub(1)].contains(&b'\r'), "bare CR");
        }
        let mail = parse_mail(&bytes).unwrap();
        let names: Vec<_> = mail.headers.iter().map(mailparse::MailHeader::get_key).collect();
        prop_assert_eq!(
            names,
            ["From", "To", "Subject", "Message-ID", "Date", "Auto-Submitted", "MIME-Version", "Content-Type"]
        );
        let (text, html) = parts(&mail);
        prop_assert!(text.contains("Total: ₹0.05") && html.ends_with("</html>\r\n") || html.ends_with("</html>"));
    }
}
