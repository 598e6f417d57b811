//! The parameters of `POST /v1/checkout/sessions` into a session, or Stripe's refusal. Pure but for
//! the ids that it draws. What would change the price is refused, never ignored.

use url::Url;

use super::{
    currency,
    error::StripeError,
    expand::{self, Expand},
    form::Node,
    lines,
    metadata::read as metadata,
    params::{Param, unknown},
};
use crate::{
    ids,
    session::{Session, State},
};

/// A session lives 30 minutes to 24 hours, and 24 hours when nothing is said
/// (<https://docs.stripe.com/api/checkout/sessions/create>).
const LIFE_LEAST_S: i64 = 30 * 60;
const LIFE_MOST_S: i64 = 24 * 60 * 60;
/// The client's clock and the way here may take this long.
const LIFE_SLACK_S: i64 = 5;
const URL_LENGTH_MAX: usize = 5_000;

/// Parameters that mean something here.
const MEANT: &[&str] = &[
    "cancel_url",
    "client_reference_id",
    "currency",
    "customer_email",
    "expand",
    "expires_at",
    "line_items",
    "metadata",
    "mode",
    "payment_intent_data",
    "payment_method_types",
    "success_url",
    "ui_mode",
];
/// Parameters that change what the page looks like, or what is stored elsewhere: taken, no effect.
const WITHOUT_EFFECT: &[&str] = &[
    "after_expiration",
    "billing_address_collection",
    "branding_settings",
    "consent_collection",
    "custom_text",
    "customer_creation",
    "excluded_payment_method_types",
    "integration_identifier",
    "invoice_creation",
    "locale",
    "name_collection",
    "origin_context",
    "payment_method_collection",
    "payment_method_configuration",
    "payment_method_options",
    "phone_number_collection",
    "saved_payment_method_options",
    "submit_type",
    "tax_id_collection",
    "wallet_options",
];
/// Parameters of Stripe's that the stand-in does not act on and must not pass over.
const REFUSED: &[&str] = &[
    "adaptive_pricing",
    "allow_promotion_codes",
    "automatic_tax",
    "custom_fields",
    "customer",
    "customer_account",
    "customer_update",
    "discounts",
    "managed_payments",
    "optional_items",
    "payment_method_data",
    "permissions",
    "redirect_on_completion",
    "return_url",
    "setup_intent_data",
    "shipping_address_collection",
    "shipping_options",
    "subscription_data",
];
const METHODS: &[&str] = &[
    "acss_debit",
    "affirm",
    "afterpay_clearpay",
    "alipay",
    "alma",
    "amazon_pay",
    "au_becs_debit",
    "bacs_debit",
    "bancontact",
    "billie",
    "blik",
    "boleto",
    "card",
    "cashapp",
    "customer_balance",
    "eps",
    "fpx",
    "giropay",
    "grabpay",
    "ideal",
    "kakao_pay",
    "klarna",
    "konbini",
    "kr_card",
    "link",
    "mobilepay",
    "multibanco",
    "naver_pay",
    "oxxo",
    "p24",
    "pay_by_bank",
    "payco",
    "paynow",
    "paypal",
    "pix",
    "promptpay",
    "revolut_pay",
    "samsung_pay",
    "satispay",
    "sepa_debit",
    "sofort",
    "swish",
    "twint",
    "upi",
    "us_bank_account",
    "wechat_pay",
    "zip",
];

/// A session that was asked for, and how its client wants it written.
#[derive(Debug, Clone)]
pub struct Creation {
    pub session: Session,
    pub expand: Expand,
}

/// Checks everything; nothing is stored yet.
pub fn read(params: &Node, public_url: &str, now: i64) -> Result<Creation, StripeError> {
    check_names(params)?;
    let of = |name| Param::of(params, name);
    check_mode(&of("mode"), &of("ui_mode"))?;
    let (lines, line_currency) = lines::read(&of("line_items"))?;
    let asked = of("currency");
    if let Some(text) = asked.text()?
        && currency::read(text, asked.path())? != line_currency
    {
        return Err(asked.invalid("The `currency` must be that of the `line_items`."));
    }
    let amount_total = lines::total(&lines)?;
    currency::check_total(amount_total, &line_currency)?;
    let intent_data = of("payment_intent_data");
    intent_data.only(&[
        "metadata",
        "description",
        "receipt_email",
        "statement_descriptor_suffix",
    ])?;
    let id = ids::session();
    let session = Session {
        url: format!("{}/sandbox/checkout/{id}", public_url.trim_end_matches('/')),
        id,
        created: now,
        expires_at: expires_at(&of("expires_at"), now)?,
        state: State::Open,
        currency: line_currency,
        amount_total,
        lines,
        metadata: metadata(&of("metadata"))?,
        intent_metadata: metadata(&intent_data.child("metadata"))?,
        success_url: url(&of("success_url"))?.ok_or_else(|| StripeError::missing("success_url"))?,
        cancel_url: url(&of("cancel_url"))?,
        customer_email: email(&of("customer_email"))?,
        client_reference_id: of("client_reference_id").short_text(200)?.map(str::to_owned),
        payment_method_types: methods(&of("payment_method_types"))?,
        idempotency_key: None,
        payment: None,
    };
    Ok(Creation { session, expand: Expand::read(params, expand::IN_SESSION, "")? })
}

fn check_names(params: &Node) -> Result<(), StripeError> {
    let Node::Map(fields) = params else { return Ok(()) };
    for (name, node) in fields {
        let known = MEANT.contains(&name.as_str()) || WITHOUT_EFFECT.contains(&name.as_str());
        if known || is_switched_off(name, node) {
            continue;
        }
        if REFUSED.contains(&name.as_str()) {
            return Err(StripeError::invalid(format!(
                "The sandbox does not implement `{name}`: what the shop priced is what is charged."
            ))
            .param(name));
        }
        return Err(unknown(name));
    }
    Ok(())
}

/// `automatic_tax[enabled]=false` and the like say what is so anyway.
fn is_switched_off(name: &str, node: &Node) -> bool {
    let switch = match name {
        "adaptive_pricing" | "automatic_tax" => node.get("enabled"),
        "allow_promotion_codes" => Some(node),
        _ => None,
    };
    switch == Some(&Node::Text("false".into()))
}

fn check_mode(mode: &Param<'_>, ui_mode: &Param<'_>) -> Result<(), StripeError> {
    match mode.required()? {
        "payment" => {}
        "setup" | "subscription" => {
            return Err(mode.invalid("The sandbox implements mode `payment` only."));
        }
        _ => {
            let message = "Invalid mode: must be one of payment, setup, or subscription";
            return Err(mode.invalid(message));
        }
    }
    match ui_mode.text()? {
        None | Some("hosted" | "hosted_page") => Ok(()),
        Some(_) => Err(ui_mode.invalid("The sandbox implements the hosted page only.")),
    }
}

fn expires_at(param: &Param<'_>, now: i64) -> Result<i64, StripeError> {
    let Some(time) = param.integer()? else { return Ok(now + LIFE_MOST_S) };
    let problem = if time < now + LIFE_LEAST_S - LIFE_SLACK_S {
        "at least 30 minutes"
    } else if time > now + LIFE_MOST_S + LIFE_SLACK_S {
        "less than 24 hours"
    } else {
        return Ok(time);
    };
    Err(param.invalid(format!(
        "The `expires_at` timestamp must be {problem} from Checkout Session creation."
    )))
}

fn url(param: &Param<'_>) -> Result<Option<String>, StripeError> {
    let Some(text) = param.short_text(URL_LENGTH_MAX)? else { return Ok(None) };
    // The placeholder's braces are no characters of a URL; the session's id will be.
    let filled = text.replace("{CHECKOUT_SESSION_ID}", "cs_test");
    let valid = Url::parse(&filled)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if valid && !text.contains(char::is_control) {
        Ok(Some(text.to_owned()))
    } else if text.contains("://") {
        Err(param.invalid("Not a valid URL").code("url_invalid"))
    } else {
        let message =
            "Invalid URL: An explicit scheme (such as https) must be provided.".to_owned();
        Err(param.invalid(message).code("url_invalid"))
    }
}

fn email(param: &Param<'_>) -> Result<Option<String>, StripeError> {
    let Some(text) = param.short_text(512)? else { return Ok(None) };
    let valid = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty()
            && domain.contains('.')
            && !domain.starts_with('.')
            && !domain.ends_with('.')
            && !domain.contains('@')
            && !text.contains(|letter: char| letter.is_whitespace() || letter.is_control())
    });
    if valid {
        Ok(Some(text.to_owned()))
    } else {
        Err(param.invalid(format!("Invalid email address: {text}")).code("email_invalid"))
    }
}

fn methods(param: &Param<'_>) -> Result<Vec<String>, StripeError> {
    let mut methods = Vec::new();
    for item in param.items()? {
        let method = item.required()?;
        if !METHODS.contains(&method) {
            return Err(item.invalid(format!(
                "Invalid {}: must be one of {}",
                item.path(),
                METHODS.join(", ")
            )));
        }
        methods.push(method.to_owned());
    }
    Ok(if methods.is_empty() { vec!["card".into()] } else { methods })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::form;

    const NOW: i64 = 1_700_000_000;
    const GOOD: &str = "mode=payment&success_url=http://shop.example/success?s={CHECKOUT_SESSION_ID}\
&line_items[0][price_data][currency]=inr&line_items[0][price_data][unit_amount]=1899900\
&line_items[0][price_data][product_data][name]=Nova&line_items[0][quantity]=2";

    /// `!name` takes a parameter away, anything else is added to a good request or replaces it.
    fn with(changes: &str) -> Result<Session, StripeError> {
        let mut query = GOOD.to_owned();
        for change in changes.split(' ').filter(|change| !change.is_empty()) {
            match change.strip_prefix('!') {
                Some(name) => {
                    let kept = |pair: &&str| !pair.starts_with(name);
                    query = query.split('&').filter(kept).collect::<Vec<_>>().join("&");
                }
                None => query = format!("{query}&{change}"),
            }
        }
        let params = form::parse(query.as_bytes()).unwrap();
        read(&params, "http://shop.example/", NOW).map(|creation| creation.session)
    }

    #[test]
    fn a_good_request_is_a_session() {
        let session = with("metadata[shop]=default/demo customer_email=a@b.example").unwrap();
        assert_eq!(session.amount_total, 3_799_800);
        assert_eq!(session.expires_at, NOW + 86_400);
        assert_eq!(session.url, format!("http://shop.example/sandbox/checkout/{}", session.id));
        assert_eq!(session.payment_method_types, ["card"]);
        assert!(
            with("locale=en automatic_tax[enabled]=false adaptive_pricing[enabled]=false").is_ok()
        );
        assert!(with("ui_mode=hosted").is_ok());
        assert!(with(&format!("expires_at={}", NOW + 1_800)).is_ok());
        assert!(with("payment_method_types[]=card payment_method_types[]=upi").is_ok());
    }

    #[test]
    fn everything_else_is_refused_as_stripe_does() {
        let price = "line_items[0][price_data]";
        let late = format!("expires_at={}", NOW + 90_000);
        let huge = format!(
            "!{price}[unit_amount] {price}[unit_amount]=999999999999 \
                            line_items[0][quantity]=999999"
        );
        let (key, value) = (format!("metadata[{}]=1", "k".repeat(41)), "v".repeat(501));
        let value = format!("metadata[k]={value}");
        let many: Vec<String> = (0..51).map(|n| format!("metadata[k{n}]=1")).collect();
        let lines: Vec<String> =
            (1..=100).map(|n| format!("line_items[{n}][quantity]=1")).collect();
        let cases = [
            "!mode",
            "mode=subscription",
            "mode=gift",
            "!success_url",
            "success_url=shop.example",
            "success_url=javascript://alert",
            "cancel_url=http://",
            "!line_items",
            "!line_items[0][quantity]",
            "line_items[0][quantity]=0",
            "line_items[0][quantity]=-1",
            "line_items[0][quantity]=1.5",
            "line_items[0][quantity]=9223372036854775808",
            "line_items[0][price]=price_1",
            "!line_items[0][price_data] line_items[0][price]=price_1",
            "line_items[0][price_data][currency]=xyz",
            "line_items[0][price_data][unit_amount]=-5",
            "line_items[0][price_data][unit_amount]=",
            "line_items[0][price_data][recurring][interval]=month",
            "line_items[0][adjustable_quantity][enabled]=true",
            "line_items[0][tax_rates][0]=txr_1",
            "line_items[x][quantity]=1",
            "!line_items[0][price_data][unit_amount] line_items[0][price_data][unit_amount]=1 line_items[0][quantity]=1",
            huge.as_str(),
            "currency=eur",
            "expires_at=1700001000",
            late.as_str(),
            "expires_at=soon",
            "customer_email=nobody",
            "client_reference_id=",
            "payment_method_types[0]=cash",
            "automatic_tax[enabled]=true",
            "discounts[0][coupon]=x",
            "allow_promotion_codes=true",
            "isAdmin=true",
            "expand[]=charges",
            key.as_str(),
            value.as_str(),
            &many.join(" "),
            &lines.join(" "),
        ];
        let told: Vec<String> = cases
            .iter()
            .map(|case| {
                let error = with(case).expect_err(case);
                let case: String = case.chars().take(60).collect();
                let message: String = error.message.chars().take(110).collect();
                let (code, param) = (error.code.unwrap_or("-"), error.param.unwrap_or("-".into()));
                let param: String = param.chars().take(60).collect();
                format!("{case}\n    {} {code} {param}: {message}\n", error.status)
            })
            .collect();
        insta::assert_snapshot!(told.concat());
    }
}
