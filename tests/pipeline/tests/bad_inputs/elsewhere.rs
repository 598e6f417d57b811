//! Rows that other tests hold, nearer to what they are about. A test that is renamed must be renamed here.

use anyhow::Result;
use storefront_pipeline_tests::{Held, every_row_is_held};

use crate::{names, requests};

/// Who a caller is, and how often they may call, is for the gateway in front of a shop until it knows its
/// callers: rows 1 to 7, 13 and 30.
const OTHERS_KNOW_CALLERS: [u8; 9] = [1, 2, 3, 4, 5, 6, 7, 13, 30];

const ELSEWHERE: &[Held] = &[
    (
        25,
        "services/gateway/tests/gateway/bad_input.rs",
        "a_client_cannot_say_who_it_is_or_where_from",
    ),
    (
        32,
        "services/payment/tests/payment/secrets.rs",
        "a_webhook_without_a_right_signature_is_refused_cheaply",
    ),
    (
        34,
        "services/payment/tests/payment/secrets.rs",
        "a_webhook_without_a_right_signature_is_refused_cheaply",
    ),
    (31, "services/payment/tests/payment/secrets.rs", "a_wrong_file_ends_the_start_and_is_named"),
    (35, "services/payment/tests/payment/payments.rs", "one_event_a_thousand_times_is_one_payment"),
    (
        36,
        "services/payment/tests/payment/payments.rs",
        "what_was_paid_differs_from_what_was_priced",
    ),
    (
        37,
        "services/payment/tests/payment/payments.rs",
        "events_of_any_kind_are_answered_and_stored",
    ),
    (42, "operator/cli/tests/errors/manifest.rs", "messages"),
];

#[test]
fn every_row_has_its_test() -> Result<()> {
    let here = requests::rows().chain(names::ROWS);
    every_row_is_held(1..=42, ELSEWHERE, here.chain(OTHERS_KNOW_CALLERS))
}
