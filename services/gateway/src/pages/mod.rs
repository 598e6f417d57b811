//! The pages of a shop that has none of its own: accessible, complete without a script, nothing loaded
//! from elsewhere. They ask the services as a browser would, and know nothing that these do not say.

mod ask;
mod assets;
mod cart;
mod catalog;
mod icons;
mod query;
mod shop;
mod success;
mod theme;

use askama::Template;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use storefront_contract::{ServiceId, settings::Branding};
use storefront_runtime::{
    Problem,
    failpoint::{self, Step},
};

pub use self::ask::Services;
use self::{
    assets::{Assets, Document, HTML},
    catalog::{Shelf, Stock},
    icons::{ICONS, Icons},
    query::CartQuery,
    shop::Shop,
    theme::Theme,
};
use crate::{body::AnswerBody, problems};

/// Nothing but what the gateway itself serves may run, load or be asked; pictures of products and the
/// logo may come from anywhere. The form may end at Stripe: browsers hold the redirect after it
/// against `form-action`.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' https:; base-uri 'none'; \
    form-action 'self' https://checkout.stripe.com; frame-ancestors 'none'";
/// When a page that the shop could not make should be asked for again.
const RETRY_AFTER_S: &str = "5";

/// The pages of one shop.
#[derive(Debug)]
pub struct Pages {
    theme: Theme,
    assets: Assets,
    shelf: Shelf,
}

#[derive(Template)]
#[template(path = "closed.html")]
struct ClosedPage<'a> {
    shop: Shop<'a>,
    icons: Icons,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    shop: Shop<'a>,
    icons: Icons,
    heading: &'static str,
    text: &'static str,
    status: u16,
    title: &'a str,
    detail: &'a str,
}

/// What of a request matters for a page.
pub struct Wanted<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
}

impl Pages {
    pub fn new(branding: &Branding) -> Self {
        let theme = Theme::new(branding);
        Self { assets: Assets::new(&theme), theme, shelf: Shelf::default() }
    }

    /// Whether a path is a page's, or belongs to one.
    pub fn have(&self, path: &str) -> bool {
        matches!(path, "/" | "/success") || self.assets.find(path).is_some()
    }

    /// The page or document, 304 when the client has it, or 405.
    pub async fn answer(&self, wanted: Wanted<'_>, services: Services<'_>) -> Response<AnswerBody> {
        if !matches!(*wanted.method, Method::GET | Method::HEAD) {
            let problem = problems::method_not_allowed("GET, HEAD");
            let person = wants_page(wanted.headers);
            return if person { self.problem(problem) } else { problem.into_response_of() };
        }
        let answer = match wanted.path {
            "/" => self.cart(&wanted, services).await,
            "/success" => self.success(wanted.query, services).await,
            path => match self.assets.find(path) {
                Some(document) => Ok(document.answer(wanted.headers)),
                None => return Problem::of(StatusCode::NOT_FOUND).into_response_of(),
            },
        };
        answer.map_or_else(|error| unmade(&error), guarded)
    }

    async fn cart(
        &self,
        wanted: &Wanted<'_>,
        services: Services<'_>,
    ) -> Result<Response<AnswerBody>, askama::Error> {
        let query = CartQuery::read(wanted.query);
        let Some(stock) = self.shelf.stock(services, !query.is_plain()).await else {
            let html = ClosedPage { shop: (&self.theme).into(), icons: ICONS }.render()?;
            return Ok(page(StatusCode::SERVICE_UNAVAILABLE, html));
        };
        let document = if query.is_plain() {
            self.plain_cart(&stock)?
        } else {
            let html = cart::page((&self.theme).into(), &stock.catalog, &query)?;
            Document::new(HTML, html)
        };
        Ok(document.answer(wanted.headers))
    }

    /// The page that most shoppers get is made once for each catalog.
    fn plain_cart(&self, stock: &Stock) -> Result<Document, askama::Error> {
        if let Some(document) = stock.page.get() {
            return Ok(document.clone());
        }
        let shop = (&self.theme).into();
        let html = cart::page(shop, &stock.catalog, &CartQuery::default())?;
        Ok(stock.page.get_or_init(|| Document::new(HTML, html)).clone())
    }

    async fn success(
        &self,
        query: &str,
        services: Services<'_>,
    ) -> Result<Response<AnswerBody>, askama::Error> {
        let session = query::session_id(query);
        let known = success::look(services, session.as_deref()).await;
        failpoint::reach(ServiceId::Gateway, Step::PageFilled);
        let session = session.unwrap_or_default();
        let (status, html) = success::page((&self.theme).into(), &session, known)?;
        Ok(page(status, html))
    }

    /// A problem for a person in front of a browser; its status and headers stay.
    pub fn problem(&self, problem: Problem) -> Response<AnswerBody> {
        let document = problem.to_json();
        let (heading, text) = words(problem.status());
        let html = ProblemPage {
            shop: (&self.theme).into(),
            icons: ICONS,
            heading,
            text,
            status: problem.status().as_u16(),
            title: problem.title(),
            detail: document["detail"].as_str().unwrap_or_default(),
        };
        match html.render() {
            Ok(html) => {
                let mut answer = guarded(page(problem.status(), html));
                for (name, value) in problem.headers() {
                    answer.headers_mut().insert(name, value.clone());
                }
                answer
            }
            Err(_) => problem.into_response_of(),
        }
    }
}

/// Whether whoever asks is a person in front of a browser, which names HTML when it wants a page.
pub fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")))
}

/// A page that is made anew each time and kept by nobody: it is a shopper's own, or of a bad moment.
fn page(status: StatusCode, html: String) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Own(Bytes::from(html)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    }
    response
}

/// Adds the headers that keep a page to itself.
fn guarded(mut response: Response<AnswerBody>) -> Response<AnswerBody> {
    let fixed: [(HeaderName, &'static str); 3] = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The success page's address holds the session.
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A template that fails is a fault of this program.
fn unmade(error: &askama::Error) -> Response<AnswerBody> {
    tracing::error!(error = error as &dyn std::error::Error, "a page could not be made");
    Problem::of(StatusCode::INTERNAL_SERVER_ERROR).into_response_of()
}

fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::NOT_FOUND => {
            ("There is nothing here", "The address may be mistyped, or what was here has gone.")
        }
        status if status.is_server_error() => (
            "This does not work at the moment",
            // Whether something was charged is not known here: what failed may be a question about it.
            "We are sorry. Please try again in a moment.",
        ),
        _ => (
            "This could not be understood",
            "Something is wrong with the request. Please go back and try again.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_load_and_run_nothing_from_elsewhere() {
        let templates = [
            include_str!("../../templates/layout.html"),
            include_str!("../../templates/cart.html"),
            include_str!("../../templates/closed.html"),
            include_str!("../../templates/problem.html"),
            include_str!("../../templates/success.html"),
        ];
        let scripts = [
            include_str!("cart.js"),
            include_str!("live.js"),
            include_str!("money.js"),
            include_str!("shop.css"),
        ];
        let branding = Branding {
            shop_name: "Demo".into(),
            logo: None,
            primary_color: Branding::DEFAULT_PRIMARY_COLOR,
            accent_color: Branding::DEFAULT_ACCENT_COLOR,
        };
        let pages = Pages::new(&branding);
        for text in templates.into_iter().chain(scripts) {
            for forbidden in
                ["http://", "https://", "<script>", " style=", " onclick=", "innerHTML"]
            {
                assert!(!text.contains(forbidden), "{forbidden} in\n{text}");
            }
            for asset in text.split('"').filter(|text| text.starts_with("/assets/")) {
                assert!(pages.have(asset), "{asset} in\n{text}");
            }
        }
    }

    #[test]
    fn only_who_asks_for_html_gets_a_page() {
        let wants = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            wants_page(&headers)
        };
        assert!(wants("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(!wants("application/json"));
        assert!(!wants("*/*"));
        assert!(!wants_page(&HeaderMap::new()));
    }
}
