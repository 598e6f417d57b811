//! Which test shows each fault of the data path.

use anyhow::Result;
use storefront_pipeline_tests::{Held, every_row_is_held};

const PAYMENTS: &str = "services/payment/tests/payment/payments.rs";
const CREATION: &str = "services/payment/tests/payment/creation.rs";
const OUTBOX: &str = "services/runtime/tests/suite/outbox.rs";
const RESTORE: &str = "services/runtime/tests/suite/restore.rs";
const TROUBLE: &str = "services/runtime/tests/suite/trouble.rs";
const PARKING: &str = "services/runtime/tests/suite/parking.rs";
const LETTERS: &str = "services/runtime/tests/suite/dead_letters.rs";
const ANSWERS: &str = "services/email/src/sender/tests/answers.rs";
const STRIPE: (&str, &str) = (
    "tests/pipeline/tests/broken/stripe.rs",
    "whatever_stripe_does_each_payment_becomes_one_order",
);
const MAIL: (&str, &str) =
    ("tests/pipeline/tests/broken/mail.rs", "whatever_the_mail_server_says_each_mail_comes");
const BROKER: (&str, &str) = (
    "tests/pipeline/tests/broken/servers.rs",
    "whatever_the_broker_does_payments_go_on_and_everything_comes",
);
const REPLICAS: (&str, &str) = (
    "tests/pipeline/tests/broken/replicas.rs",
    "whatever_becomes_of_three_brokers_payments_go_on_and_everything_comes",
);
const DATABASE: (&str, &str) = (
    "tests/pipeline/tests/broken/servers.rs",
    "whatever_the_database_does_nothing_is_lost_or_doubled",
);

const HELD: &[Held] = &[
    (1, "tests/pipeline/tests/kill.rs", "nothing_is_lost_or_doubled_by_kills_under_load"),
    (2, CREATION, "a_creation_does_not_wait_for_all_sessions_that_are_due"),
    (3, CREATION, "a_crash_between_stripe_and_the_row_ends_in_the_same_session"),
    (4, PAYMENTS, "a_payment_whose_commit_is_cut_is_paid_once"),
    (5, PAYMENTS, "a_payment_whose_commit_is_cut_is_paid_once"),
    (6, PAYMENTS, "a_thousand_payments_whose_news_all_messengers_bring_at_once"),
    (7, OUTBOX, "relays_come_and_go_and_every_keys_order_stays"),
    (8, OUTBOX, "relays_come_and_go_and_every_keys_order_stays"),
    (9, "services/runtime/tests/suite/commit.rs", "a_batch_whose_commit_was_not_answered_is_not"),
    (10, "services/email/src/sender/tests/states.rs", "a_claim_that_ended_is_taken_up"),
    (11, ANSWERS, "an_unclear_end_is_sent_again_under_the_same_message_id"),
    (12, "tests/pipeline/tests/kill.rs", "nothing_is_lost_or_doubled_by_kills_under_load"),
    (13, BROKER.0, BROKER.1),
    (14, REPLICAS.0, REPLICAS.1),
    (15, REPLICAS.0, REPLICAS.1),
    (16, BROKER.0, BROKER.1),
    (17, RESTORE, "a_topic_made_again_under_a_running_consumer_is_read_from_its_beginning"),
    (18, RESTORE, "expired_records_are_counted_and_the_rest_is_read"),
    (19, BROKER.0, BROKER.1),
    (20, BROKER.0, BROKER.1),
    (21, TROUBLE, "a_consumer_that_has_stalled_is_made_anew"),
    (22, "services/runtime/tests/suite/rebalance.rs", "members_join_and_leave_under_load"),
    (23, PARKING, "at_the_bound_the_partition_waits_and_nothing_is_lost"),
    (24, "services/runtime/tests/suite/rebalance.rs", "an_owner_that_was_replaced_changes_nothing"),
    (25, LETTERS, "what_cannot_be_understood_is_dead_at_once_with_its_reason"),
    (26, TROUBLE, "a_database_that_is_killed_parks_nothing"),
    (27, LETTERS, "a_replay_is_handled_once_and_a_second_one_changes_nothing"),
    (29, PARKING, "many_failures_at_random_keep_every_keys_order"),
    (30, STRIPE.0, STRIPE.1),
    (31, STRIPE.0, STRIPE.1),
    (32, STRIPE.0, STRIPE.1),
    (33, PAYMENTS, "without_webhooks_the_sweeper_finds_every_payment"),
    (35, MAIL.0, MAIL.1),
    (
        36,
        "tests/pipeline/tests/broken/mail.rs",
        "what_the_mail_server_refuses_for_good_is_tried_once",
    ),
    (37, MAIL.0, MAIL.1),
    (37, ANSWERS, "a_silent_recipient_delays_nobody_else"),
    (38, DATABASE.0, DATABASE.1),
    (39, "services/runtime/tests/suite/database.rs", "writers_of_one_row_all_get_through"),
    (39, DATABASE.0, DATABASE.1),
    (40, DATABASE.0, DATABASE.1),
    (41, "services/runtime/tests/suite/commit.rs", "each_cut_loses_and_doubles_nothing"),
];

/// What this pipeline does not have: a schema registry (28), refunds (34).
const NOT_HERE: [u8; 2] = [28, 34];

#[test]
fn every_fault_of_the_data_path_has_its_test() -> Result<()> {
    every_row_is_held(1..=41, HELD, NOT_HERE)
}
