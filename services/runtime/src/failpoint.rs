//! Places between a cart and a mail at which a test may have the process end, as by a crash. With the feature `failpoints`, which only
//! `--all-features` turns on, the first to pass the place that a file names ends the process; in what is shipped [`reach`] is empty.
//! Decides nothing and stores nothing: a place is a line that can be taken out. And guards that a test takes out one by one, to see
//! that it would notice: in what is shipped [`without`] is always false.

use storefront_contract::ServiceId;

/// The variable that names the file.
pub const VARIABLE: &str = "STOREFRONT_FAILPOINT";
/// The variable that names a guard which is not there.
pub const WITHOUT: &str = "STOREFRONT_WITHOUT";

macro_rules! steps {
    ($($(#[doc = $meaning:literal])+ $step:ident = $name:literal in $services:expr;)+) => {
        /// Between two neighbouring steps something has become true for others, or durable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Step {
            $($(#[doc = $meaning])+ $step,)+
        }

        impl Step {
            /// Every step, in the order in which a purchase meets them.
            pub const ALL: &[Self] = &[$(Self::$step),+];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$step => $name,)+
                }
            }

            /// Who passes it.
            pub const fn services(self) -> &'static [ServiceId] {
                match self {
                    $(Self::$step => $services,)+
                }
            }
        }
    };
}

const GATEWAY: &[ServiceId] = &[ServiceId::Gateway];
const PAYMENT: &[ServiceId] = &[ServiceId::Payment];
const EMAIL: &[ServiceId] = &[ServiceId::Email];
const SENDERS: &[ServiceId] = &[ServiceId::Payment, ServiceId::Order, ServiceId::Email];
const CONSUMERS: &[ServiceId] = &[ServiceId::Order, ServiceId::Email, ServiceId::Analytics];

steps! {
    /// A request goes to its service.
    Forwarding = "forwarding" in GATEWAY;
    /// A service has answered, and whoever asked has not got it.
    Answered = "answered" in GATEWAY;
    /// Everything that the success page shows is known, and nothing of it is shown.
    PageFilled = "page-filled" in GATEWAY;
    /// The cart is stored, and Stripe knows nothing of it.
    CartStored = "cart-stored" in PAYMENT;
    /// Stripe has the session, and the row does not say so.
    SessionMade = "session-made" in PAYMENT;
    /// The row has the session, and the shopper has not.
    SessionStored = "session-stored" in PAYMENT;
    /// A webhook is Stripe's, and nothing of it is stored.
    EventVerified = "event-verified" in PAYMENT;
    /// Stripe's event is stored, and nothing is done about it.
    EventStored = "event-stored" in PAYMENT;
    /// One messenger has the session to itself, and has not asked Stripe.
    SessionClaimed = "session-claimed" in PAYMENT;
    /// Stripe has said what became of the session.
    SessionAsked = "session-asked" in PAYMENT;
    /// The payment and its event are written, and not committed.
    PaymentWritten = "payment-written" in PAYMENT;
    /// The payment and its event are committed, and nobody was told.
    PaymentCommitted = "payment-committed" in PAYMENT;
    /// Stripe's event is done, and Stripe has no answer.
    EventDone = "event-done" in PAYMENT;
    /// The success page's question is answered, and the answer has not left.
    PaymentTold = "payment-told" in PAYMENT;
    /// The sweeper has taken rows to look at.
    RowsTaken = "rows-taken" in PAYMENT;
    /// An event of Stripe's list is taken, and the place in the list is not stored.
    EventFollowed = "event-followed" in PAYMENT;
    /// Messages were read from the outbox, and none was sent.
    OutboxRead = "outbox-read" in SENDERS;
    /// Messages are on their way to Kafka.
    OutboxSent = "outbox-sent" in SENDERS;
    /// Kafka has the messages, and they are in the outbox still.
    OutboxAcknowledged = "outbox-acknowledged" in SENDERS;
    /// The messages are gone from the outbox.
    OutboxDeleted = "outbox-deleted" in SENDERS;
    /// Events have come, and nothing is done about them.
    EventsPolled = "events-polled" in CONSUMERS;
    /// All that the events mean is written, and not committed.
    EventsWritten = "events-written" in CONSUMERS;
    /// All is committed, and Kafka does not know it.
    EventsCommitted = "events-committed" in CONSUMERS;
    /// The offsets are with the client that copies them to Kafka.
    OffsetsCopied = "offsets-copied" in CONSUMERS;
    /// A mail is claimed, and no mail server was asked.
    MailClaimed = "mail-claimed" in EMAIL;
    /// The mail server takes sender and recipient, and was not asked for DATA.
    MailOffered = "mail-offered" in EMAIL;
    /// The mail server waits for the content.
    MailBegun = "mail-begun" in EMAIL;
    /// The mail server has the mail, and the row does not say so.
    MailAccepted = "mail-accepted" in EMAIL;
    /// The mail is marked as sent with its event, and this is not committed.
    MailWritten = "mail-written" in EMAIL;
    /// The end of the mail is committed.
    MailCommitted = "mail-committed" in EMAIL;
}

/// Ends the process if the file says `<service>/<step>`. The file is renamed to `….struck` first: it strikes once, and a test sees
/// that it has.
#[cfg(feature = "failpoints")]
pub fn reach(service: ServiceId, step: Step) {
    use std::{env, fs, path::PathBuf, process, sync::OnceLock};

    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| env::var_os(VARIABLE).map(PathBuf::from));
    let Some(file) = file else { return };
    let Ok(armed) = fs::read_to_string(file) else { return };
    let is_here = armed.split_once('/').is_some_and(|place| place == (service.name(), step.name()));
    // Several may pass at once: whoever renames it is the one.
    if is_here && fs::rename(file, file.with_extension("struck")).is_ok() {
        process::abort();
    }
}

/// Does nothing, and costs nothing: nothing of it is in what is shipped.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn reach(_: ServiceId, _: Step) {}

/// What keeps events from being lost or doubled, each where nothing else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The inbox says which events are new.
    Inbox,
    /// A payment and its event are written in one transaction.
    Outbox,
    /// Stripe is asked again with the same key.
    IdempotencyKey,
    /// What events mean and the offsets behind them are written in one transaction.
    Offsets,
    /// A parked event holds back the later ones of its key.
    KeyLock,
}

impl Guard {
    /// Each of them.
    pub const ALL: [Self; 5] =
        [Self::Inbox, Self::Outbox, Self::IdempotencyKey, Self::Offsets, Self::KeyLock];

    /// The guard of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guard| guard.name() == name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Outbox => "outbox",
            Self::IdempotencyKey => "idempotency-key",
            Self::Offsets => "offsets",
            Self::KeyLock => "key-lock",
        }
    }
}

/// Whether the test has taken this guard out.
#[cfg(feature = "failpoints")]
pub fn without(guard: Guard) -> bool {
    use std::{env, ffi::OsString, sync::OnceLock};

    static NAME: OnceLock<Option<OsString>> = OnceLock::new();
    NAME.get_or_init(|| env::var_os(WITHOUT)).as_ref().is_some_and(|name| name == guard.name())
}

/// Never.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[expect(clippy::inline_always, reason = "so that nothing of it is in what is shipped")]
pub const fn without(_: Guard) -> bool {
    false
}

/// Where a guard is out two transactions stand for one: the time between them, long enough for a kill to strike there.
pub async fn between_transactions() {
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}
