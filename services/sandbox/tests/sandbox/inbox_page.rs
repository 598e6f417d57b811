//! The inbox as a person meets it, with and without its script.

use http::Request;
use lettre::{AsyncTransport, Message, message::header::ContentType};
use serde_json::Value;
use storefront_sandbox::Sandbox;
use storefront_testkit::{Http, Reply};

use crate::{
    client::page_text,
    inbox::{receipt, transport},
};

struct Reader<'a> {
    sandbox: &'a Sandbox,
}

impl Reader<'_> {
    async fn opens(&self, path: &str) -> Reply {
        Http::default().get(format!("{}{path}", self.sandbox.inbox_url())).await.unwrap()
    }

    async fn sees(&self, path: &str) -> String {
        self.opens(path).await.expect_status(200).unwrap().text()
    }

    async fn posts(&self, path: &str) -> Reply {
        self.posts_from(path, "same-origin").await
    }

    /// As a browser does, on a page of that kind of site.
    async fn posts_from(&self, path: &str, site: &str) -> Reply {
        let request = Request::post(format!("{}{path}", self.sandbox.inbox_url()))
            .header("sec-fetch-site", site);
        Http::default().send(request.body(Vec::new().into()).unwrap()).await.unwrap()
    }

    /// Ids of the mails, newest first.
    async fn ids(&self) -> Vec<String> {
        let list: Value = self.opens("/api/v1/messages").await.json().unwrap();
        let mails = list["messages"].as_array().unwrap().iter();
        mails.map(|mail| mail["ID"].as_str().unwrap().to_owned()).collect()
    }

    async fn gets(&self, mails: std::ops::Range<usize>) {
        let transport = transport(self.sandbox);
        for number in mails {
            transport.send(receipt(number)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_empty_inbox_says_what_to_do() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let reader = Reader { sandbox: &sandbox };
    let page = reader.sees("/").await;
    assert!(page.contains("No mail yet.") && page.contains("Pay for a cart"), "{page}");
    assert!(!page.contains("Delete all"), "{page}");
}

#[tokio::test]
async fn the_list_shows_who_what_and_what_is_new() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let reader = Reader { sandbox: &sandbox };
    reader.gets(0..2).await;
    let page = reader.sees("/").await;
    for shown in [
        "<title>(2) Inbox</title>",
        "2 mails, 2 unread",
        "Asha &#60;asha1@example.com&#62;",
        "Café Demo &#60;shop@example.com&#62;",
        "Order 1 ₹1,500",
        "aria-label=\"Unread:\"",
        "<time datetime=\"20",
    ] {
        assert!(page.contains(shown), "{shown} is not in {page}");
    }
    let id = reader.ids().await.remove(0);
    let mail = reader.sees(&format!("/mail/{id}")).await;
    assert!(mail.contains("2 mails, 1 unread") && mail.contains("aria-current=\"true\""), "{mail}");
}

#[tokio::test]
async fn a_mail_has_four_views() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let reader = Reader { sandbox: &sandbox };
    reader.gets(0..1).await;
    let id = reader.ids().await.remove(0);
    for (tab, shown) in [
        (
            "",
            format!(
                "<iframe sandbox=\"allow-popups allow-popups-to-escape-sandbox\" src=\"/view/{id}.html\""
            ),
        ),
        ("/html", format!("src=\"/view/{id}.html\"")),
        ("/text", "Thank you for order 0\r\n.\r\n..dots".to_owned()),
        ("/source", "Content-Transfer-Encoding: ".to_owned()),
        ("/headers", "<dt>Message-Id</dt><dd>&#60;0@shop.example&#62;</dd>".to_owned()),
    ] {
        let page = reader.sees(&format!("/mail/{id}{tab}")).await;
        assert!(page.contains(&shown), "{shown} is not in {page}");
        assert_eq!(page.matches("aria-current=\"page\"").count(), 1, "{tab}");
        assert_eq!(page.contains("<iframe"), matches!(tab, "" | "/html"), "{tab}");
    }
    let unknown = reader.opens(&format!("/mail/{id}/colours")).await;
    assert_eq!((unknown.status, unknown.header("location")), (303, Some(&*format!("/mail/{id}"))));
    let latest = reader.sees("/mail/latest").await;
    assert!(latest.contains("Order 0"), "{latest}");
}

#[tokio::test]
async fn a_mail_is_shown_without_being_trusted() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let reader = Reader { sandbox: &sandbox };
    let hostile = Message::builder()
        .from("shop@example.com".parse().unwrap())
        .to("asha@example.com".parse().unwrap())
        .subject("<img src=x onerror=alert(1)> {{7*7}}")
        .header(ContentType::TEXT_HTML)
        .body("<!doctype html><head></head><script>alert(1)</script>".to_owned())
        .unwrap();
    transport(&sandbox).send(hostile).await.unwrap();
    let id = reader.ids().await.remove(0);
    let mail = format!("/mail/{id}");
    let paths = ["/", "/rows", &mail, &format!("{mail}/source"), &format!("{mail}/headers")];
    for path in paths {
        let page = reader.opens(path).await;
        let html = page.text();
        assert!(html.contains("&#60;img src=x onerror=alert(1)&#62; {{7*7}}"), "{html}");
        assert!(!html.contains("<img") && !html.contains("<script>alert"), "{path}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    let frame = reader.opens(&format!("/view/{id}.html")).await;
    assert_eq!(
        frame.text().trim_end(),
        "<!doctype html><head><base target=\"_blank\"></head><script>alert(1)</script>"
    );
    assert_eq!(
        frame.header("content-security-policy").unwrap(),
        format!(
            "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src \
             'unsafe-inline'; img-src data: {}; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'self'",
            sandbox.stripe_url()
        )
    );
    let text = reader.opens(&format!("/view/{id}.txt")).await;
    assert_eq!(
        (text.status, text.header("content-type")),
        (200, Some("text/plain; charset=utf-8"))
    );
}

#[tokio::test]
async fn the_script_is_told_what_is_new_and_nothing_else() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let reader = Reader { sandbox: &sandbox };
    let revision = |html: &str| {
        html.split("data-revision=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let mut seen = revision(&reader.sees("/").await);
    reader.gets(0..1).await;
    let id = reader.ids().await.remove(0);
    // A mail that came, one that was opened, one that was deleted.
    for path in [None, Some(format!("/mail/{id}")), Some(format!("/mail/{id}/delete"))] {
        match path {
            Some(path) if path.ends_with("/delete") => drop(reader.posts(&path).await),
            Some(path) => drop(reader.sees(&path).await),
            None => {}
        }
        let rows = reader.opens(&format!("/rows?seen={seen}&open={id}")).await;
        assert_eq!(rows.status, 200);
        assert!(rows.text().starts_with("<div id=\"mails\""), "{}", rows.text());
        seen = revision(&rows.text());
        assert_eq!(reader.opens(&format!("/rows?seen={seen}")).await.status, 204);
    }
}

#[tokio::test]
async fn mails_are_searched_and_paged_by_links() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let reader = Reader { sandbox: &sandbox };
    reader.gets(0..52).await;
    let page = reader.sees("/").await;
    assert!(page.contains("<a href=\"/?start=50\">Older</a>") && !page.contains("Newer"), "{page}");
    assert_eq!(page.matches("<li><a id=\"m-").count(), 50);
    let older = reader.sees("/?start=50").await;
    assert_eq!(older.matches("<li><a id=\"m-").count(), 2);
    assert!(older.contains("<a href=\"/\">Newer</a>") && !older.contains("Older</a>"), "{older}");
    let found = reader.sees("/?query=to:asha7@example.com&start=x").await;
    assert!(found.contains("1 of 52 mails") && found.contains("Order 7 "), "{found}");
    assert!(found.contains("?query=to%3Aasha7%40example.com\""), "a mail's link keeps the search");
    let none = reader.sees("/?query=%3Cb%3E").await;
    assert!(none.contains("No mail matches.") && none.contains("value=\"&#60;b&#62;\""), "{none}");
}

#[tokio::test]
async fn mails_are_deleted_one_by_one_or_all() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let reader = Reader { sandbox: &sandbox };
    reader.gets(0..3).await;
    let ids = reader.ids().await;
    let reply = reader.posts(&format!("/mail/{}/delete", ids[1])).await;
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
    assert_eq!(reader.ids().await, [ids[0].as_str(), ids[2].as_str()]);
    let gone = reader.opens(&format!("/mail/{}", ids[1])).await;
    assert_eq!(gone.status, 404);
    assert!(gone.text().contains("This mail is not here"), "{}", gone.text());
    assert!(reader.sees("/").await.contains("All 2 mails are deleted"));
    assert_eq!(reader.posts("/delete").await.status, 303);
    assert_eq!(reader.ids().await, Vec::<String>::new());
    assert_eq!(reader.opens("/delete").await.header("location"), Some("/"));
}

#[tokio::test]
async fn a_large_mail_is_cut_with_a_way_to_the_rest() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let reader = Reader { sandbox: &sandbox };
    let large = Message::builder()
        .from("shop@example.com".parse().unwrap())
        .to("asha@example.com".parse().unwrap())
        .header(ContentType::TEXT_PLAIN)
        .body("₹ 500 and more\n".repeat(30_000))
        .unwrap();
    transport(&sandbox).send(large).await.unwrap();
    let id = reader.ids().await.remove(0);
    for tab in ["", "/source"] {
        let page = reader.sees(&format!("/mail/{id}{tab}")).await;
        assert!(page.len() < 300_000, "{}", page.len());
        assert!(page.contains(&format!("href=\"/api/v1/message/{id}/raw\"")));
        assert!(page.contains("(no subject)"));
    }
}

/// The page whole, to be looked at when it changes.
#[tokio::test]
async fn the_page_as_it_is_written() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let reader = Reader { sandbox: &sandbox };
    reader.gets(0..2).await;
    let ids = reader.ids().await;
    let page = reader.sees(&format!("/mail/{}", ids[0])).await;
    insta::assert_snapshot!("inbox_page", page_text(&page, &[&ids[0], &ids[1]]));
}

#[tokio::test]
async fn no_page_of_another_site_deletes_mails() {
    let sandbox = Sandbox::start_for_test().await.unwrap();
    let reader = Reader { sandbox: &sandbox };
    reader.gets(0..1).await;
    let ids = reader.ids().await;
    for path in ["/delete".to_owned(), format!("/mail/{}/delete", ids[0])] {
        for site in ["cross-site", "same-site", "none"] {
            assert_eq!(reader.posts_from(&path, site).await.status, 400, "{path} {site}");
        }
    }
    assert_eq!(reader.ids().await, ids);
}
