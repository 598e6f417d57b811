//! What other tests hold, nearer to what they are about. Who a caller is, and how often they may call, is for whatever
//! stands in front of a shop.

use anyhow::Result;
use storefront_pipeline_tests::{Held, each_is_held};

const GATEWAY: &str = "services/gateway/tests/gateway/bad_input.rs";
const PAYMENTS: &str = "services/payment/tests/payment/payments.rs";
const SECRETS: &str = "services/payment/tests/payment/secrets.rs";
const UNSIGNED: &str = "a_webhook_without_a_right_signature_is_refused_cheaply";

const ELSEWHERE: &[Held] = &[
    ("addresses that a client claims", GATEWAY, "a_client_cannot_say_who_it_is_or_where_from"),
    (
        "one byte of a head or a body a second",
        "services/runtime/tests/http.rs",
        "a_trickle_does_not_outlast_the_limit",
    ),
    (
        "requests that are framed in two ways",
        GATEWAY,
        "gateway_and_service_agree_where_requests_end",
    ),
    ("a signature that is too old or too new", SECRETS, UNSIGNED),
    ("a body that was changed or written anew", SECRETS, UNSIGNED),
    ("an empty secret", SECRETS, "a_wrong_file_ends_the_start_and_is_named"),
    ("one event a thousand times", PAYMENTS, "one_event_a_thousand_times_is_one_payment"),
    (
        "less than was priced, in another currency, unpaid",
        PAYMENTS,
        "what_was_paid_differs_from_what_was_priced",
    ),
    ("events of unknown kinds", PAYMENTS, "events_of_any_kind_are_answered_and_stored"),
    ("sessions that nobody made", PAYMENTS, "sessions_of_others_are_left_alone"),
    (
        "names that would end a mail",
        "services/email/tests/email/mails.rs",
        "a_hostile_name_is_shown_as_it_is_written",
    ),
    ("manifests", "operator/cli/tests/errors/manifest.rs", "messages"),
    ("settings", "operator/cli/tests/errors/settings.rs", "messages"),
    ("the command", "operator/cli/tests/errors/command.rs", "messages"),
    ("any bytes", "tests/properties/tests/seeds.rs", "each_property_holds_for_its_seeds"),
];

#[test]
fn each_has_its_test() -> Result<()> {
    each_is_held(ELSEWHERE)
}
