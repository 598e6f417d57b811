//! The typed settings of each service, from checked parts of the spec and the placement.

use storefront_contract::{
    CATALOG, Currency, Http, ServiceId, Shop,
    settings::{
        AnalyticsSettings, Branding, Common, DatabaseSettings, EmailSettings, GatewaySettings,
        KafkaSettings, OrderSettings, PaymentSettings, Route, SmtpSettings, StripeSettings,
    },
};

use super::{
    Placement, PlacementError, ServiceSettings,
    checks::{EmailChecked, GatewayChecked},
};
use crate::api::StorefrontSpec;

const BODY_MAX_BYTES: u64 = 2 << 20;
const CONNECT_TIMEOUT_MS: u64 = 1_000;
const UPSTREAM_TIMEOUT_MS: u64 = 30_000;
const DATABASE_CONNECTIONS: u32 = 8;
const STRIPE_TIMEOUT_MS: u64 = 8_000;
const WEBHOOK_TOLERANCE_S: u64 = 300;
const EMAIL_ASKED_FOR_MS: u64 = 300;
const SMTP_TIMEOUT_MS: u64 = 30_000;
const SMTP_CONNECTIONS: u32 = 4;

/// Values that have passed their checks.
pub(super) struct Checked<'a> {
    pub shop: &'a Shop,
    pub branding: Branding,
    pub currency: Currency,
    pub gateway: GatewayChecked,
    pub email: EmailChecked,
}

/// The settings of one service.
pub(super) fn of(
    id: ServiceId,
    spec: &StorefrontSpec,
    placement: &Placement,
    checked: &Checked<'_>,
) -> Result<ServiceSettings, PlacementError> {
    let writer = Writer { spec, placement, checked };
    Ok(match id {
        ServiceId::Gateway => ServiceSettings::Gateway(writer.gateway()?),
        ServiceId::Payment => ServiceSettings::Payment(writer.payment()?),
        ServiceId::Order => ServiceSettings::Order(writer.order()?),
        ServiceId::Email => ServiceSettings::Email(writer.email()?),
        ServiceId::Analytics => ServiceSettings::Analytics(writer.analytics()?),
    })
}

struct Writer<'a> {
    spec: &'a StorefrontSpec,
    placement: &'a Placement,
    checked: &'a Checked<'a>,
}

impl Writer<'_> {
    fn common(&self, id: ServiceId) -> Result<Common, PlacementError> {
        let place = self.placement.service(id)?;
        Ok(Common {
            shop: self.checked.shop.clone(),
            http_listen: place.http_listen,
            admin_listen: place.admin_listen,
            drain_ms: self.placement.drain_ms,
        })
    }

    fn kafka(&self) -> KafkaSettings {
        KafkaSettings {
            brokers: self.placement.brokers.clone(),
            prefix: self.spec.prefix().to_owned(),
            security: self.placement.kafka_security.clone(),
        }
    }

    fn database(&self, id: ServiceId) -> Result<DatabaseSettings, PlacementError> {
        Ok(DatabaseSettings {
            url: self.placement.service(id)?.database.clone(),
            max_connections: DATABASE_CONNECTIONS,
        })
    }

    fn gateway(&self) -> Result<GatewaySettings, PlacementError> {
        Ok(GatewaySettings {
            common: self.common(ServiceId::Gateway)?,
            branding: self.checked.branding.clone(),
            routes: self.routes()?,
            pages: self.spec.pages(),
            trusted_proxies: self.checked.gateway.trusted_proxies.clone(),
            body_max_bytes: BODY_MAX_BYTES,
            request_timeout_ms: self.checked.gateway.request_timeout_ms,
            connect_timeout_ms: CONNECT_TIMEOUT_MS,
            upstream_timeout_ms: UPSTREAM_TIMEOUT_MS,
        })
    }

    /// One route for each prefix of each service that runs: the others get the 404 that names those
    /// that do.
    fn routes(&self) -> Result<Vec<Route>, PlacementError> {
        let mut routes = Vec::new();
        for entry in CATALOG.iter().filter(|entry| self.placement.runs(self.spec, entry.id)) {
            let Http::Routed(prefixes) = entry.http else { continue };
            let upstream = &self.placement.service(entry.id)?.url;
            routes.extend(prefixes.iter().map(|prefix| Route {
                prefix: (*prefix).to_owned(),
                service: entry.id.name().to_owned(),
                upstream: upstream.clone(),
            }));
        }
        routes.extend(self.placement.sandbox.iter().map(|upstream| Route {
            prefix: "/sandbox".to_owned(),
            service: "sandbox".to_owned(),
            upstream: upstream.clone(),
        }));
        Ok(routes)
    }

    fn payment(&self) -> Result<PaymentSettings, PlacementError> {
        let stripe = &self.placement.stripe;
        Ok(PaymentSettings {
            common: self.common(ServiceId::Payment)?,
            kafka: self.kafka(),
            database: self.database(ServiceId::Payment)?,
            currency: self.checked.currency,
            catalog_file: self.placement.catalog_file.clone(),
            public_url: self.placement.public_url.clone(),
            stripe: StripeSettings {
                api_base: stripe.api_base.clone(),
                ca_file: None,
                api_key_file: stripe.api_key_file.clone(),
                webhook_secret_files: stripe.webhook_secret_files.clone(),
                timeout_ms: STRIPE_TIMEOUT_MS,
                sandbox: stripe.sandbox,
                webhook_tolerance_s: WEBHOOK_TOLERANCE_S,
            },
            sweep_interval_ms: stripe.sweep_interval_ms,
        })
    }

    fn order(&self) -> Result<OrderSettings, PlacementError> {
        let asks = self.placement.runs(self.spec, ServiceId::Email);
        let email = self.placement.service(ServiceId::Email).ok().filter(|_| asks);
        Ok(OrderSettings {
            common: self.common(ServiceId::Order)?,
            kafka: self.kafka(),
            database: self.database(ServiceId::Order)?,
            email_url: email.map(|place| place.url.clone()),
            email_timeout_ms: EMAIL_ASKED_FOR_MS,
        })
    }

    fn email(&self) -> Result<EmailSettings, PlacementError> {
        let smtp = &self.placement.smtp;
        Ok(EmailSettings {
            common: self.common(ServiceId::Email)?,
            branding: self.checked.branding.clone(),
            kafka: self.kafka(),
            database: self.database(ServiceId::Email)?,
            smtp: SmtpSettings {
                host: smtp.host.clone(),
                port: smtp.port,
                tls: smtp.tls,
                ca_file: smtp.ca_file.clone(),
                credentials: smtp.credentials.clone(),
                timeout_ms: SMTP_TIMEOUT_MS,
                connections: SMTP_CONNECTIONS,
            },
            from: self.checked.email.from.clone(),
            send_on: self.spec.send_on(),
            public_url: self.placement.public_url.clone(),
            max_age_hours: self.checked.email.max_age_hours,
        })
    }

    fn analytics(&self) -> Result<AnalyticsSettings, PlacementError> {
        Ok(AnalyticsSettings {
            common: self.common(ServiceId::Analytics)?,
            kafka: self.kafka(),
            database: self.database(ServiceId::Analytics)?,
        })
    }
}
