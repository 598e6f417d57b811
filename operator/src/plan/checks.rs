//! Every check of a Storefront that is not left to conversions. Collects all faults.

use std::collections::{BTreeMap, BTreeSet};

use storefront_contract::{
    CATALOG, Color, Currency, Money, Product, ServiceId, Shop,
    product::{is_picture, is_product_id},
    settings::{Branding, Cidr, is_shop_name},
};

use super::{Fault, Invalid, Placement, PlacementError, PlanError, ServicePlan, TopicPlan, topics};
use crate::api::{SmtpTls, Storefront, StorefrontSpec, rules, rules::Rule};

/// Limits of rules that conversions depend on; the rules' messages name them too.
const PRICE_MAX: i64 = 999_999_999_999;
const NAME_MAX_LENGTH: usize = 40;
const PREFIX_MAX_LENGTH: usize = 100;

/// The gateway's checked values.
pub(super) struct GatewayChecked {
    pub trusted_proxies: Vec<Cidr>,
    pub request_timeout_ms: u64,
}

/// The checked values of email.
pub(super) struct EmailChecked {
    pub from: String,
    pub max_age_hours: u64,
}

/// Collects what is wrong.
#[derive(Default)]
pub(super) struct Checks {
    faults: Vec<PlanError>,
}

impl Checks {
    pub(super) fn add(&mut self, field: impl Into<String>, fault: Fault) {
        self.faults.push(PlanError { field: field.into(), fault });
    }

    fn rule(&mut self, holds: bool, field: impl Into<String>, rule: Rule) {
        if !holds {
            self.add(field, Fault::Rule(rule));
        }
    }

    /// A number within limits, as the unsigned one that settings hold.
    fn number(&mut self, value: i32, limits: (i32, i32), field: &str, rule: Rule) -> u32 {
        self.rule((limits.0..=limits.1).contains(&value), field, rule);
        u32::try_from(value).unwrap_or_default()
    }

    pub fn into_invalid(self) -> Invalid {
        Invalid(self.faults)
    }

    /// The result, unless anything was wrong.
    pub fn finish<T>(self, result: T) -> Result<T, Invalid> {
        if self.faults.is_empty() { Ok(result) } else { Err(Invalid(self.faults)) }
    }

    /// A conversion of the placement.
    pub fn place<T>(&mut self, result: Result<T, PlacementError>) -> Option<T> {
        result.map_err(|error| self.add("spec", Fault::Place(error.to_string()))).ok()
    }

    pub fn shop(&mut self, storefront: &Storefront, namespace: &str) -> Option<Shop> {
        let name = storefront.metadata.name.as_deref().unwrap_or_default();
        let fits = name.len() <= NAME_MAX_LENGTH
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && Shop::new("default", name).is_ok();
        self.rule(fits, "metadata.name", rules::NAME);
        if let Some(fault) = Fault::of_namespace(namespace) {
            self.add("metadata.namespace", fault);
        }
        Shop::new(namespace, name).ok()
    }

    pub fn currency(&mut self, spec: &StorefrontSpec) -> Option<Currency> {
        let currency = Currency::new(spec.currency_code()).ok();
        self.rule(currency.is_some(), "spec.currency", rules::CURRENCY);
        currency
    }

    /// The shop's looks, with their defaults.
    pub fn branding(&mut self, storefront: &Storefront) -> Branding {
        let written = storefront.spec.branding.as_ref();
        let name = written.and_then(|branding| branding.name.as_deref());
        let fits = name.is_none_or(is_shop_name);
        self.rule(fits, "spec.branding.name", rules::SHOP_NAME);
        let logo = written.and_then(|branding| branding.logo.clone());
        let fits = logo.as_deref().is_none_or(is_picture);
        self.rule(fits, "spec.branding.logo", rules::PICTURE);
        let mut color = |field: &str, text: Option<&String>, default: Color| {
            let color = text.map_or(Ok(default), |text| text.parse());
            self.rule(color.is_ok(), format!("spec.branding.{field}"), rules::COLOR);
            color.unwrap_or(default)
        };
        let (primary, accent) = (Branding::DEFAULT_PRIMARY_COLOR, Branding::DEFAULT_ACCENT_COLOR);
        let written_primary = written.and_then(|branding| branding.primary_color.as_ref());
        let written_accent = written.and_then(|branding| branding.accent_color.as_ref());
        let object = storefront.metadata.name.as_deref().unwrap_or_default();
        Branding {
            shop_name: name.unwrap_or(object).trim().to_owned(),
            logo,
            primary_color: color("primaryColor", written_primary, primary),
            accent_color: color("accentColor", written_accent, accent),
        }
    }

    /// Blocks of which one must be chosen, and blocks that need one another.
    pub fn choices(&mut self, spec: &StorefrontSpec) {
        let payment = &spec.payment;
        let one = payment.sandbox.is_some() != payment.stripe.is_some();
        self.rule(one, "spec.payment", rules::PAYMENT_ONE);
        if let Some(catalog) = &spec.catalog {
            let one = catalog.products.is_some() != catalog.config_map_ref.is_some();
            self.rule(one, "spec.catalog", rules::CATALOG_ONE);
            self.rule(spec.currency.is_some(), "spec", rules::CATALOG_HAS_CURRENCY);
        }
        let sellable = payment.stripe.is_none() || spec.catalog.is_some();
        self.rule(sellable, "spec", rules::STRIPE_HAS_CATALOG);
        if let Some(kafka) = &spec.kafka {
            let chosen =
                [kafka.managed.is_some(), kafka.external.is_some(), kafka.strimzi.is_some()];
            let count = chosen.into_iter().filter(|chosen| *chosen).count();
            self.rule(count <= 1, "spec.kafka", rules::KAFKA_ONE);
        }
        if let Some(database) = &spec.database {
            let one = database.managed.is_none() || database.external.is_none();
            self.rule(one, "spec.database", rules::DATABASE_ONE);
        }
        if let Some(email) = &spec.email {
            let one = email.inbox.is_none() || email.smtp.is_none();
            self.rule(one, "spec.email", rules::EMAIL_ONE);
        }
    }

    /// Names of Secrets and ConfigMaps become parts of paths: none may lead elsewhere.
    pub fn references(&mut self, spec: &StorefrontSpec) {
        let stripe = spec.payment.stripe.as_ref().map(|stripe| &stripe.secret_ref.name);
        let sasl = spec.external_kafka().and_then(|kafka| kafka.sasl.as_ref());
        let ca = spec.external_kafka().and_then(|kafka| kafka.tls.as_ref()?.ca_secret_ref.as_ref());
        let database = spec.database.as_ref().and_then(|d| d.external.as_ref());
        let smtp = spec.smtp().and_then(|smtp| smtp.secret_ref.as_ref());
        let smtp_ca = spec.smtp().and_then(|smtp| smtp.ca_secret_ref.as_ref());
        let config_map = spec.catalog_config_map();
        let names = [
            ("spec.payment.stripe.secretRef.name", stripe),
            ("spec.kafka.external.sasl.secretRef.name", sasl.map(|sasl| &sasl.secret_ref.name)),
            ("spec.kafka.external.tls.caSecretRef.name", ca.map(|ca| &ca.name)),
            ("spec.kafka.strimzi.cluster", spec.strimzi().map(|strimzi| &strimzi.cluster)),
            ("spec.database.external.secretRef.name", database.map(|d| &d.secret_ref.name)),
            ("spec.email.smtp.secretRef.name", smtp.map(|secret| &secret.name)),
            ("spec.email.smtp.caSecretRef.name", smtp_ca.map(|ca| &ca.name)),
            ("spec.catalog.configMapRef.name", config_map.as_ref().map(|(name, _)| name)),
        ];
        for (field, name) in names {
            self.rule(name.is_none_or(|name| is_object_name(name)), field, rules::OBJECT_NAME);
        }
        let keys = [
            ("spec.kafka.external.tls.caSecretRef.key", ca.map(|ca| &ca.key)),
            ("spec.database.external.secretRef.key", database.map(|d| &d.secret_ref.key)),
            ("spec.email.smtp.caSecretRef.key", smtp_ca.map(|ca| &ca.key)),
            ("spec.catalog.configMapRef.key", config_map.as_ref().map(|(_, key)| key)),
        ];
        for (field, key) in keys {
            self.rule(key.is_none_or(|key| is_data_key(key)), field, rules::DATA_KEY);
        }
    }

    /// The products of the manifest; `None` when it lists none. Without a currency their prices are only numbers.
    pub fn products(
        &mut self,
        spec: &StorefrontSpec,
        currency: Option<Currency>,
    ) -> Option<Vec<Product>> {
        let products = spec.catalog.as_ref()?.products.as_ref()?;
        self.rule(!products.is_empty(), "spec.catalog.products", rules::PRODUCTS_SOME);
        let ids: BTreeSet<_> = products.iter().map(|product| &product.id).collect();
        let unique = ids.len() == products.len();
        self.rule(unique, "spec.catalog.products", rules::PRODUCTS_UNIQUE);
        for (index, product) in products.iter().enumerate() {
            let field = |name: &str| format!("spec.catalog.products[{index}].{name}");
            self.rule(is_product_id(&product.id), field("id"), rules::PRODUCT_ID);
            let price = (0..=PRICE_MAX).contains(&product.price);
            self.rule(price, field("price"), rules::PRODUCT_PRICE);
            if let Some(fault) =
                currency.filter(|_| price).and_then(|c| price_fault(product.price, c))
            {
                self.add(field("price"), fault);
            }
            let one_line =
                !product.name.trim().is_empty() && !product.name.chars().any(char::is_control);
            self.rule(one_line, field("name"), rules::PRODUCT_NAME);
            let image = product.image.as_deref().is_none_or(is_picture);
            self.rule(image, field("image"), rules::PICTURE);
        }
        let product = |product: &crate::api::Product| Product {
            id: product.id.clone(),
            name: product.name.clone(),
            price: product.price,
            image: product.image.clone(),
        };
        Some(products.iter().map(product).collect())
    }

    pub fn topics(
        &mut self,
        spec: &StorefrontSpec,
        placement: &Placement,
    ) -> Option<Vec<TopicPlan>> {
        let prefix = spec.prefix();
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let fits = prefix.len() <= PREFIX_MAX_LENGTH && prefix.bytes().all(legal);
        self.rule(fits, "spec.kafka.prefix", rules::PREFIX);
        let before = self.faults.len();
        let topics = topics::plan(spec, placement, |field, fault| self.add(field, fault));
        (self.faults.len() == before).then_some(topics)
    }

    pub fn gateway(&mut self, spec: &StorefrontSpec) -> Option<GatewayChecked> {
        let field = "spec.gateway.requestTimeoutMs";
        let timeout = spec.request_timeout_ms();
        let timeout = self.number(timeout, (10, 600_000), field, rules::REQUEST_TIMEOUT);
        let written = spec.gateway.as_ref().and_then(|gateway| gateway.trusted_proxies.as_ref());
        let mut trusted_proxies = Vec::new();
        for (index, network) in written.into_iter().flatten().enumerate() {
            match network.parse() {
                Ok(network) => trusted_proxies.push(network),
                Err(_) => self.add(
                    format!("spec.gateway.trustedProxies[{index}]"),
                    Fault::Rule(rules::NETWORKS),
                ),
            }
        }
        let fits = spec.public_url().is_none_or(is_public_url);
        self.rule(fits, "spec.gateway.publicUrl", rules::PUBLIC_URL);
        let complete = trusted_proxies.len() == written.map_or(0, Vec::len);
        complete.then_some(GatewayChecked { trusted_proxies, request_timeout_ms: timeout.into() })
    }

    pub fn email(&mut self, storefront: &Storefront) -> EmailChecked {
        let spec = &storefront.spec;
        let email = spec.email.as_ref();
        if let Some(smtp) = spec.smtp() {
            let clear = smtp.tls == Some(SmtpTls::None) && smtp.secret_ref.is_some();
            self.rule(!clear, "spec.email.smtp", rules::NO_CLEAR_PASSWORD);
            let idle = smtp.tls == Some(SmtpTls::None) && smtp.ca_secret_ref.is_some();
            self.rule(!idle, "spec.email.smtp", rules::CA_NEEDS_TLS);
            let port = smtp.port_or_default();
            self.number(port, (1, 65_535), "spec.email.smtp.port", rules::PORT);
            let from = email.is_some_and(|email| email.from.is_some());
            self.rule(from, "spec.email", rules::SMTP_HAS_FROM);
            self.rule(is_host(&smtp.host), "spec.email.smtp.host", rules::SMTP_HOST);
        }
        let field = "spec.email.maxAgeHours";
        let hours = self.number(spec.max_age_hours(), (1, 8_760), field, rules::MAX_AGE_HOURS);
        self.rule(!spec.send_on().is_empty(), "spec.email.sendOn", rules::SEND_ON_SOME);
        let name = storefront.metadata.name.as_deref().unwrap_or("shop");
        let from = email.and_then(|email| email.from.clone());
        let from = from.unwrap_or_else(|| format!("{name} <shop@localhost>"));
        self.rule(is_mailbox(&from), "spec.email.from", rules::EMAIL_FROM);
        EmailChecked { from, max_age_hours: hours.into() }
    }

    /// Instances of the services that say how many.
    pub fn replicas(&mut self, spec: &StorefrontSpec) -> BTreeMap<ServiceId, u32> {
        let mut replicas = BTreeMap::new();
        for entry in CATALOG {
            if let Some(written) = spec.service(entry.id).and_then(|service| service.replicas) {
                let field = format!("spec.services.{}.replicas", entry.id);
                replicas.insert(entry.id, self.number(written, (0, 100), &field, rules::REPLICAS));
            }
        }
        replicas
    }
}

/// What Stripe, and so payment, would refuse of a price. Which prices that are depends on another field, in more ways
/// than a rule of the definition can tell.
fn price_fault(price: i64, currency: Currency) -> Option<Fault> {
    let money = |amount| Money { amount, currency };
    let ((_, most), step) = (currency.charge_limits(), currency.price_step());
    let most = most - most % step;
    if price > most {
        Some(Fault::PriceTooLarge { price: money(price), most: money(most) })
    } else if price % step != 0 {
        Some(Fault::PriceStep { price: money(price), step })
    } else {
        None
    }
}

/// What is allowed but likely not meant.
pub(super) fn notes(spec: &StorefrontSpec, services: &[ServicePlan]) -> Vec<String> {
    let partitions = spec.partitions();
    let consumers = services.iter().filter(|p| storefront_contract::service(p.id).group.is_some());
    let too_many = consumers.filter_map(|plan| {
        let service = spec.service(plan.id)?;
        let scaled = service.autoscaling.as_ref().map(|scaler| scaler.max_replicas);
        let (field, most) = match scaled {
            Some(most) => ("autoscaling.maxReplicas", most),
            None => ("replicas", service.replicas?),
        };
        (most > partitions).then_some((plan.id, field))
    });
    let note = |(id, field)| {
        format!(
            "spec.services.{id}.{field}: only {partitions} of them can work at once, one for each partition"
        )
    };
    let unencrypted = (spec.payment.stripe.is_some()
        && spec.host().is_some()
        && spec.public_url().is_none()
        && spec.scheme() == "http")
        .then(|| {
            "spec.gateway.ingress: shoppers come by http, as it has no tlsSecretRef; where something before it \
             speaks https, write spec.gateway.publicUrl"
                .to_owned()
        });
    too_many.map(note).chain(unencrypted).collect()
}

/// RFC 1123 subdomain, which also is one harmless part of a path.
pub(super) fn is_object_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let end = |b: &u8| b.is_ascii_alphanumeric();
    let bytes = name.as_bytes();
    name.len() <= 253
        && bytes.iter().copied().all(legal)
        && bytes.first().is_some_and(end)
        && bytes.last().is_some_and(end)
}

fn is_data_key(key: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !key.is_empty() && key.len() <= 253 && !key.starts_with("..") && key.bytes().all(legal)
}

/// Scheme, host and port, and nothing that a path could be put behind wrongly.
fn is_public_url(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:/".contains(&b);
    let Ok(url) = url::Url::parse(text) else { return false };
    let http = matches!(url.scheme(), "http" | "https");
    // The path of a bare authority is `/`, written or not.
    http && url.has_host() && url.path() == "/" && text.bytes().all(legal)
}

fn is_host(host: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    !host.is_empty() && host.bytes().all(legal) && !host.starts_with("169.254.")
}

/// One address, bare or in angle brackets behind a name; no list, no control character.
fn is_mailbox(text: &str) -> bool {
    let reserved = |c: char| c.is_control() || matches!(c, '<' | '>' | '@' | ',' | ';' | ':');
    let address = |text: &str| {
        text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !local.contains(|c: char| reserved(c) || c.is_whitespace())
                && is_host(domain)
        })
    };
    match text.strip_suffix('>').and_then(|text| text.split_once('<')) {
        Some((name, inner)) => !name.contains(reserved) && address(inner),
        None => address(text),
    }
}
