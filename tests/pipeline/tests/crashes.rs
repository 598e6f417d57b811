//! The process ends at every step between a cart and a mail, and is started again with the same data: nothing is lost and nothing is
//! doubled but what the design says. One row a step; the ledger is the stand-ins' own. That each crash has struck where it should is
//! part of each row: the file that armed it is renamed by whoever passes there, and the process has aborted.
//!
//! Without a guard a row fails. It was tried with each taken out:
//!
//! | without | fails |
//! |---|---|
//! | the inbox | `analytics/events-polled`: sales are counted twice |
//! | payment and event in one transaction | `payment/payment-committed`: no order |
//! | Stripe's idempotency key | `payment/session-made`: two sessions for a cart |
//! | the shopper's idempotency key | `gateway/answered`: the same |
//! | events and offsets in one transaction (offsets first) | `analytics/events-written`: an event is skipped |
//!
//! and without the lock of a parked key: `a_parked_key_keeps_its_order_and_others_go_on` in the runtime's tests.
//!
//! Needs a program with failpoints, as `cargo build --workspace --all-features` makes it.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use storefront_contract::ServiceId;
use storefront_pipeline_tests::{MANIFEST, Reckoning, Shop, Shopper, TOPICS, ok};
use storefront_runtime::failpoint::{Step, VARIABLE};
use storefront_testkit::DevOptions;

const LIMIT: Duration = Duration::from_secs(120);
/// What a shell says of a process that SIGABRT has ended.
const ABORTED: i32 = 128 + 6;

/// Steps that are tried one after the other in one shop. The groups go side by side, as most of their time is waiting: for a lease of
/// the process that died, or for the sweeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Checkout,
    News,
    Sweeper,
    Order,
    Email,
    Mail,
    Analytics,
}

const GROUPS: [Group; 7] = [
    Group::Checkout,
    Group::News,
    Group::Sweeper,
    Group::Order,
    Group::Email,
    Group::Mail,
    Group::Analytics,
];

/// What happens when a step is where everything ends.
struct Row {
    group: Group,
    shopper: Shopper,
    /// What else is broken until then.
    faults: &'static str,
    /// How often a record of the service's topic stands on the wire once more, at least. Any may once: it was sent when everything
    /// ended.
    wire: usize,
    /// How often the mail comes once more, under the same `Message-ID`, at least and at most.
    mails: (usize, usize),
}

/// Where nobody knows whether a mail is just being sent.
const PLAIN: Row =
    Row { group: Group::Order, shopper: Shopper::Returns, faults: "{}", wire: 0, mails: (0, 1) };
/// Where the mail is not yet, or not any more, on its way.
const NO_MAIL: Row = Row { mails: (0, 0), ..PLAIN };
const MAIL: Row = Row { group: Group::Mail, ..NO_MAIL };
const UNHEARD: &str = r#"{"webhooks": "drop"}"#;
const UNLISTED: &str = r#"{"webhooks": "drop", "api": {"status": 503, "calls": ["events"]}}"#;

/// A new step does not compile before it has its row.
const fn row(service: ServiceId, step: Step) -> Row {
    let consumes = match service {
        ServiceId::Email => Group::Email,
        ServiceId::Analytics => Group::Analytics,
        _ => Group::Order,
    };
    match step {
        Step::Forwarding
        | Step::Answered
        | Step::CartStored
        | Step::SessionMade
        | Step::SessionStored => Row { group: Group::Checkout, ..NO_MAIL },
        Step::PageFilled => Row { group: Group::Checkout, shopper: Shopper::Looks, ..PLAIN },
        Step::EventVerified
        | Step::EventStored
        | Step::SessionClaimed
        | Step::SessionAsked
        | Step::PaymentWritten => Row { group: Group::News, shopper: Shopper::Leaves, ..NO_MAIL },
        Step::PaymentCommitted | Step::EventDone => {
            Row { group: Group::News, shopper: Shopper::Leaves, ..PLAIN }
        }
        Step::PaymentTold => Row { group: Group::News, ..PLAIN },
        Step::RowsTaken => {
            Row { group: Group::Sweeper, shopper: Shopper::Leaves, faults: UNLISTED, ..NO_MAIL }
        }
        Step::EventFollowed => {
            Row { group: Group::Sweeper, shopper: Shopper::Leaves, faults: UNHEARD, ..PLAIN }
        }
        Step::OutboxAcknowledged => Row { group: consumes, wire: 1, ..PLAIN },
        Step::OutboxRead
        | Step::OutboxSent
        | Step::OutboxDeleted
        | Step::EventsPolled
        | Step::EventsWritten
        | Step::EventsCommitted
        | Step::OffsetsCopied => Row { group: consumes, ..PLAIN },
        Step::MailClaimed | Step::MailOffered | Step::MailBegun | Step::MailCommitted => MAIL,
        // The server has the mail, and nothing here says so.
        Step::MailAccepted | Step::MailWritten => Row { mails: (1, 1), ..MAIL },
    }
}

fn steps() -> impl Iterator<Item = (ServiceId, Step)> {
    let services = |step: Step| step.services().iter().map(move |service| (*service, step));
    Step::ALL.iter().copied().flat_map(services)
}

#[test]
fn every_step_has_its_row() {
    let mut table = String::new();
    for (service, step) in steps() {
        let Row { group, shopper, faults, wire, mails: (least, most) } = row(service, step);
        let place = format!("{service}/{}", step.name());
        let more = format!("records {wire}..=1, mails {least}..={most}");
        let how = format!("{group:?}, {shopper:?}");
        let line = format!("{place:<28} {how:<20} {more:<30} {faults}");
        writeln!(table, "{}", line.trim_end_matches(" {}").trim_end()).unwrap();
    }
    insta::assert_snapshot!(table);
}

/// Goes through the steps of a group in one shop: at each, one cart is bought, and everything ends there.
async fn crashes(group: Group) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let armed = folder.path().join("step");
    let struck = armed.with_extension("struck");
    let path = armed.to_string_lossy().into_owned();
    let mut options = DevOptions::new(MANIFEST);
    options.environment.push((VARIABLE.into(), path));
    let mut shop = Shop::start_with(options).await?;
    let mut before = Reckoning::default();
    for (service, step) in steps().filter(|(service, step)| row(*service, *step).group == group) {
        let row = row(service, step);
        let place = format!("{service}/{}", step.name());
        let site = shop.site.clone();
        // They end with the process.
        let faults = serde_json::from_str(row.faults)?;
        ok(&site.http.put_json(site.sandbox("/control/faults"), &faults).await?)?;
        fs::write(&armed, &place)?;
        let number = before.payments;
        let crash = async {
            let ended = shop.dev.ended(LIMIT).await;
            let ended = ended.with_context(|| {
                format!("nothing ended at {place}: is it built with --all-features?")
            })?;
            ensure!(ended.code() == Some(ABORTED), "{place}: {ended}\n{}", shop.dev.log());
            ensure!(struck.exists(), "it ended elsewhere than at {place}");
            fs::remove_file(&struck)?;
            shop.restart().await
        };
        let bought = row.shopper.buy(&site, number, LIMIT);
        tokio::try_join!(bought, crash).with_context(|| place.clone())?;
        let after = shop.reckon(LIMIT).await.with_context(|| place.clone())?;
        compare(service, &row, &before, &after).with_context(|| place.clone())?;
        before = after;
    }
    ensure!(before.payments > 0, "{group:?} has no steps");
    Ok(())
}

fn compare(service: ServiceId, row: &Row, before: &Reckoning, after: &Reckoning) -> Result<()> {
    ensure!(after.payments == before.payments + 1, "one cart, but {} payments", after.payments);
    ensure!(after.sessions == after.payments, "a session that nobody asked for: {after:?}");
    for topic in TOPICS {
        let more = after.wire[topic] - before.wire.get(topic).copied().unwrap_or_default();
        let least = if sends(service) == Some(topic) { row.wire } else { 0 };
        ensure!((least..=1).contains(&more), "{more} records more on {topic}");
    }
    let (more, (least, most)) = (after.mails - before.mails, row.mails);
    ensure!((least..=most).contains(&more), "{more} mails more");
    Ok(())
}

fn sends(service: ServiceId) -> Option<&'static str> {
    match service {
        ServiceId::Payment => Some(TOPICS[0]),
        ServiceId::Order => Some(TOPICS[1]),
        ServiceId::Email => Some(TOPICS[2]),
        ServiceId::Gateway | ServiceId::Analytics => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_step_loses_and_doubles_nothing() -> Result<()> {
    try_join_all(GROUPS.map(crashes)).await.map(drop)
}
