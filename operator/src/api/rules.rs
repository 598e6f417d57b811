//! Every CEL rule of the Storefront with its message: `(rule, message)`.
//!
//! A message says what is allowed, so that nobody has to read the rule. A rule with `oldSelf` is a
//! transition rule: only the API server, which knows the object before the edit, can check it.

/// A CEL expression over `self`, and what people read when it is false.
pub type Rule = (&'static str, &'static str);

// Storefront and spec.
pub const NAME: Rule = (
    "self.metadata.name.size() <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    "metadata.name must have at most 40 lower-case letters, digits and '-', start with a letter and end with a letter or digit: names of Services are made from it",
);
pub const CURRENCY: Rule = (
    "self.matches('^[A-Z]{3}$')",
    "must be an ISO 4217 code in three capital letters, such as INR",
);
pub const CATALOG_HAS_CURRENCY: Rule = (
    "!has(self.catalog) || has(self.currency)",
    "a catalog needs the currency of its prices: write spec.currency, such as INR",
);
pub const STRIPE_HAS_CATALOG: Rule = (
    "!has(self.payment.stripe) || has(self.catalog)",
    "payment by Stripe needs spec.catalog: the demo catalog is for the sandbox only",
);
pub const CURRENCY_STAYS: Rule = (
    "(has(self.currency) ? self.currency : 'INR') == (has(oldSelf.currency) ? oldSelf.currency : 'INR')",
    "currency cannot change, because orders already kept are in it: create another Storefront",
);
pub const PREFIX_STAYS: Rule = (
    "(has(self.kafka) && has(self.kafka.prefix) ? self.kafka.prefix : '') == (has(oldSelf.kafka) && has(oldSelf.kafka.prefix) ? oldSelf.kafka.prefix : '')",
    "kafka.prefix cannot change, because events under way would be left behind in the old topics: create another Storefront",
);

// Branding.
pub const SHOP_NAME: Rule = (
    "self.matches('[^[:space:]]') && !self.matches('[[:cntrl:]]')",
    "must be 1 to 80 characters on one line: shoppers read it on the pages and in their mail",
);
pub const COLOR: Rule =
    ("self.matches('^#[0-9a-fA-F]{6}$')", "must be # and six hexadecimal digits, such as #7a1f3d");
/// Of the logo, and of each product.
pub const PICTURE: Rule = (
    "(self.startsWith('https://') || (self.startsWith('/') && !self.startsWith('//'))) && !self.matches('[[:space:][:cntrl:]]')",
    "must be a path on the shop's own host, such as /img/phone.svg, or an https:// URL",
);

// Managed parts. Each rule is of the spec as a whole, since a block that is not written has a size and
// a number, too; what others run before or after the edit is none of its business.
pub const KAFKA_REPLICAS_STAY: Rule = (
    "(has(self.kafka) && (has(self.kafka.external) || has(self.kafka.strimzi))) || (has(oldSelf.kafka) && (has(oldSelf.kafka.external) || has(oldSelf.kafka.strimzi))) || (has(self.kafka) && has(self.kafka.managed) && has(self.kafka.managed.replicas) ? self.kafka.managed.replicas : 1) == (has(oldSelf.kafka) && has(oldSelf.kafka.managed) && has(oldSelf.kafka.managed.replicas) ? oldSelf.kafka.managed.replicas : 1)",
    "kafka.managed.replicas cannot change, because the brokers' quorum is made once: create another Storefront",
);
pub const KAFKA_STORAGE_GROWS: Rule = (
    "(has(self.kafka) && (has(self.kafka.external) || has(self.kafka.strimzi))) || (has(oldSelf.kafka) && (has(oldSelf.kafka.external) || has(oldSelf.kafka.strimzi))) || quantity(has(self.kafka) && has(self.kafka.managed) && has(self.kafka.managed.storage) && has(self.kafka.managed.storage.size) ? string(self.kafka.managed.storage.size) : '10Gi').compareTo(quantity(has(oldSelf.kafka) && has(oldSelf.kafka.managed) && has(oldSelf.kafka.managed.storage) && has(oldSelf.kafka.managed.storage.size) ? string(oldSelf.kafka.managed.storage.size) : '10Gi')) >= 0",
    "kafka.managed.storage.size cannot shrink (it is 10Gi when not written): disks only grow",
);
pub const DATABASE_STORAGE_GROWS: Rule = (
    "(has(self.database) && has(self.database.external)) || (has(oldSelf.database) && has(oldSelf.database.external)) || quantity(has(self.database) && has(self.database.managed) && has(self.database.managed.storage) && has(self.database.managed.storage.size) ? string(self.database.managed.storage.size) : '10Gi').compareTo(quantity(has(oldSelf.database) && has(oldSelf.database.managed) && has(oldSelf.database.managed.storage) && has(oldSelf.database.managed.storage.size) ? string(oldSelf.database.managed.storage.size) : '10Gi')) >= 0",
    "database.managed.storage.size cannot shrink (it is 10Gi when not written): disks only grow",
);

// Catalog.
pub const CATALOG_ONE: Rule =
    ("has(self.products) != has(self.configMapRef)", "must have either products or configMapRef");
pub const PRODUCTS_SOME: Rule = (
    "self.size() > 0",
    "must list at least one product; without a catalog the sandbox sells a demo catalog",
);
pub const PRODUCTS_UNIQUE: Rule = (
    "self.all(product, self.exists_one(other, other.id == product.id))",
    "must not have two products with the same id",
);
pub const PRODUCT_ID: Rule = (
    "self.matches('^[A-Za-z0-9._-]+$')",
    "must be 1 to 64 letters, digits, '.', '_' and '-': a cart is kept at Stripe as id:quantity,id:quantity",
);
pub const PRODUCT_NAME: Rule = (
    "self.matches('[^[:space:]]') && !self.matches('[[:cntrl:]]')",
    "must be 1 to 200 characters on one line: shoppers read it at Stripe and in their mail",
);
pub const PRODUCT_PRICE: Rule = (
    "self >= 0 && self <= 999999999999",
    "must be 0 to 999999999999 in the currency's minor unit, as Stripe takes at most 12 digits: 18,999.00 INR is 1899900",
);

// References.
pub const OBJECT_NAME: Rule = (
    "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
    "must be the name of an object in the same namespace: lower-case letters, digits, '-' and '.'",
);
pub const DATA_KEY: Rule = (
    "self.matches('^[-._a-zA-Z0-9]+$') && !self.startsWith('..')",
    "must be a key of the object's data: letters, digits, '-', '_' and '.'",
);

// Payment.
pub const PAYMENT_ONE: Rule = (
    "has(self.sandbox) != has(self.stripe)",
    "must have either sandbox or stripe: write sandbox: {} for development, or stripe: {secretRef: {name: stripe}}",
);

// Kafka.
pub const KAFKA_ONE: Rule = (
    "[has(self.managed), has(self.external), has(self.strimzi)].filter(chosen, chosen).size() <= 1",
    "must have only one of managed, external and strimzi",
);
pub const REPLICATION_FITS: Rule = (
    "has(self.external) || has(self.strimzi) || !has(self.topics) || !has(self.topics.replicationFactor) || self.topics.replicationFactor <= (has(self.managed) && has(self.managed.replicas) ? self.managed.replicas : 1)",
    "topics.replicationFactor must not be larger than managed.replicas, the number of brokers",
);
pub const KAFKA_REPLICAS: Rule =
    ("self == 1 || self == 3", "must be 1 or 3: two brokers survive no more failures than one");
pub const KAFKA_VERSION: Rule = (
    "self.matches('^4[.](0|[1-9][0-9]?)[.](0|[1-9][0-9]?)$')",
    "must be a release of Apache Kafka 4, such as 4.1.0",
);
pub const KAFKA_NO_DOWNGRADE: Rule = (
    "int(self.split('.')[1]) >= int(oldSelf.split('.')[1])",
    "kafka.managed.version cannot go down: an older broker may not read what a newer one wrote",
);
/// The operator's own release may be any: a rule cannot compare with it.
pub const KAFKA_VERSION_STAYS: Rule = (
    "!(has(oldSelf.kafka) && has(oldSelf.kafka.managed) && has(oldSelf.kafka.managed.version)) || (has(self.kafka) && (has(self.kafka.external) || has(self.kafka.strimzi) || (has(self.kafka.managed) && has(self.kafka.managed.version))))",
    "kafka.managed.version stays once it is written: without it the brokers get the operator's release, which may be older, and an older broker may not read what a newer one wrote",
);
pub const BOOTSTRAP_SERVERS: Rule = (
    "self.matches('^[[:alnum:].-]+:[0-9]{1,5}( *, *[[:alnum:].-]+:[0-9]{1,5})*$')",
    "must be host:port, several separated by commas, such as broker-1.example.com:9092,broker-2.example.com:9092",
);
pub const PREFIX: Rule = (
    "self.matches('^[A-Za-z0-9._-]*$')",
    "must have only letters, digits, '.', '_' and '-', as Kafka allows in names of topics",
);
pub const PARTITIONS: Rule = ("self >= 1 && self <= 200", "must be 1 to 200");
pub const REPLICATION_FACTOR: Rule = ("self >= 1 && self <= 9", "must be 1 to 9");
pub const NO_COMPACTION: Rule = (
    "!('cleanup.policy' in self) || self['cleanup.policy'] == 'delete'",
    "cleanup.policy must stay delete: compaction would drop all but the last event of each shopper",
);

// Database.
pub const DATABASE_ONE: Rule =
    ("!(has(self.managed) && has(self.external))", "must have only one of managed and external");

// Mail.
pub const EMAIL_ONE: Rule =
    ("!(has(self.inbox) && has(self.smtp))", "must have only one of inbox and smtp");
pub const SMTP_HAS_FROM: Rule = (
    "!has(self.smtp) || has(self.from)",
    "mail by smtp needs a sender: write email.from, such as \"Demo <shop@example.com>\"",
);
pub const EMAIL_FROM: Rule = (
    "self.matches('^([^<>@,;:[:cntrl:]]*<[^<>@,;:[:space:]]+@[[:alnum:].-]+>|[^<>@,;:[:space:]]+@[[:alnum:].-]+)$')",
    "must be one address, such as \"Demo <shop@example.com>\" or shop@example.com",
);
pub const SEND_ON_SOME: Rule =
    ("self.size() > 0", "must name at least one topic: payment-successful or order-successful");
pub const MAX_AGE_HOURS: Rule =
    ("self >= 1 && self <= 8760", "must be 1 to 8760 hours, which is a year");
pub const SMTP_HOST: Rule = (
    "self.matches('^[[:alnum:]]([[:alnum:].-]*[[:alnum:]])?$') && !self.startsWith('169.254.')",
    "must be the name or IPv4 address of a mail server, without scheme and port, and no link-local address",
);
pub const PORT: Rule = ("self >= 1 && self <= 65535", "must be 1 to 65535");
pub const NO_CLEAR_PASSWORD: Rule = (
    "!has(self.secretRef) || !has(self.tls) || self.tls != 'none'",
    "a password must not travel in clear: with secretRef write tls: starttls or tls: implicit",
);
pub const CA_NEEDS_TLS: Rule = (
    "!has(self.caSecretRef) || !has(self.tls) || self.tls != 'none'",
    "a CA is of use only for an encrypted connection: with caSecretRef write tls: starttls or tls: implicit",
);

// Gateway.
pub const HOST: Rule = (
    "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
    "must be a DNS name in lower case, without scheme, port and path, such as shop.example.com",
);
pub const PUBLIC_URL: Rule = (
    "self.matches('^https?://[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?/?$')",
    "must be http:// or https://, a name in lower case or an IPv4 address, and a port if it is not the usual one, without a path, such as https://shop.example.com or http://127.0.0.1:8080",
);
pub const NETWORKS: Rule = (
    "self.all(network, isCIDR(network) || isIP(network))",
    "must be networks such as 10.0.0.0/8, or single addresses",
);
pub const REQUEST_TIMEOUT: Rule =
    ("self >= 10 && self <= 600000", "must be 10 to 600000 milliseconds, which is ten minutes");

pub const ROUTE_HAS_HOST: Rule = (
    "has(self.host) || !(has(self.ingress) || has(self.httpRoute))",
    "ingress and httpRoute need the shop's public name: write gateway.host, such as shop.example.com",
);
pub const PARENT_REFS_SOME: Rule = (
    "self.size() > 0",
    "must name at least one Gateway, such as [{name: public, namespace: gateways}]",
);

// Pods.
pub const IMAGE_REGISTRY: Rule = (
    "self.matches('^[[:alnum:]][[:alnum:]._:/-]*[[:alnum:]]$')",
    "must be a registry with a path and without a '/' at its end, such as ghcr.io/shop",
);
pub const IMAGE_TAG: Rule = (
    "self.matches('^[[:alnum:]_][[:alnum:]_.-]*$')",
    "must be a tag, such as 1.2.0: letters, digits, '.', '_' and '-'",
);
pub const ENV_NAME: Rule = (
    "self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",
    "must be the name of a variable: letters, digits and '_', not a digit first",
);
pub const AUTOSCALING_COUNT: Rule = ("self >= 1 && self <= 100", "must be 1 to 100");
pub const AUTOSCALING_ORDER: Rule = (
    "(has(self.minReplicas) ? self.minReplicas : 1) <= self.maxReplicas",
    "minReplicas must not exceed maxReplicas",
);
pub const CPU_PERCENT: Rule =
    ("self >= 1 && self <= 500", "must be 1 to 500 percent of the requested CPU");
pub const MAX_UNAVAILABLE: Rule = (
    "string(self).matches('^[0-9]{1,3}%?$')",
    "must be a number of instances, such as 1, or a percentage, such as 25%",
);

// Services.
pub const REPLICAS_OR_AUTOSCALING: Rule = (
    "!(has(self.replicas) && has(self.autoscaling))",
    "must have only one of replicas and autoscaling: both would change the same number",
);
pub const REPLICAS: Rule = ("self >= 0 && self <= 100", "must be 0 to 100");
pub const IMAGE: Rule = (
    "self.matches('^[[:alnum:]][[:alnum:]._:/@-]*$')",
    "must be an image, such as ghcr.io/shop/order:1.2 or one with @sha256: and its digest",
);
pub const STORAGE_CLASS_STAYS: Rule = (
    "(has(self.storageClassName) ? self.storageClassName : '') == (has(oldSelf.storageClassName) ? oldSelf.storageClassName : '')",
    "storageClassName cannot change: a disk stays where it is",
);
pub const QUANTITY: Rule = (
    "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",
    "must be a quantity above 0, such as 500m (half a core), 256Mi or 10Gi",
);
