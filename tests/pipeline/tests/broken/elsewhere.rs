//! Which test shows each fault of the data path.

use anyhow::Result;
use storefront_pipeline_tests::{Held, each_is_held};

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
    (
        "the gateway is killed",
        "tests/pipeline/tests/kill.rs",
        "nothing_is_lost_or_doubled_by_kills_under_load",
    ),
    (
        "payment is killed before it asks Stripe",
        CREATION,
        "a_creation_does_not_wait_for_all_sessions_that_are_due",
    ),
    (
        "payment is killed before it stores what Stripe said",
        CREATION,
        "a_crash_between_stripe_and_the_row_ends_in_the_same_session",
    ),
    (
        "payment is killed before an event is committed",
        PAYMENTS,
        "a_payment_whose_commit_is_cut_is_paid_once",
    ),
    (
        "payment is killed before an event is answered",
        PAYMENTS,
        "a_payment_whose_commit_is_cut_is_paid_once",
    ),
    (
        "webhook and success page at once",
        PAYMENTS,
        "a_thousand_payments_whose_news_all_messengers_bring_at_once",
    ),
    (
        "the relay is killed before it hears of what it sent",
        OUTBOX,
        "relays_come_and_go_and_every_keys_order_stays",
    ),
    ("two relays", OUTBOX, "relays_come_and_go_and_every_keys_order_stays"),
    (
        "a consumer is killed before it stores its offset",
        "services/runtime/tests/suite/commit.rs",
        "a_batch_whose_commit_was_not_answered_is_not",
    ),
    (
        "email is killed before it sends",
        "services/email/src/sender/tests/states.rs",
        "a_claim_that_ended_is_taken_up",
    ),
    (
        "the link is cut after a mail",
        ANSWERS,
        "an_unclear_end_is_sent_again_under_the_same_message_id",
    ),
    (
        "services are killed at random",
        "tests/pipeline/tests/kill.rs",
        "nothing_is_lost_or_doubled_by_kills_under_load",
    ),
    ("the broker is killed", BROKER.0, BROKER.1),
    ("a leader is lost", REPLICAS.0, REPLICAS.1),
    ("too few brokers are in step", REPLICAS.0, REPLICAS.1),
    ("the broker is down for long", BROKER.0, BROKER.1),
    (
        "a topic is deleted by hand",
        RESTORE,
        "a_topic_made_again_under_a_running_consumer_is_read_from_its_beginning",
    ),
    ("records have expired", RESTORE, "expired_records_are_counted_and_the_rest_is_read"),
    ("the broker's disk is full", BROKER.0, BROKER.1),
    ("the broker is frozen, or slow", BROKER.0, BROKER.1),
    ("a consumer stalls", TROUBLE, "a_consumer_that_has_stalled_is_made_anew"),
    (
        "members join and leave",
        "services/runtime/tests/suite/rebalance.rs",
        "members_join_and_leave_under_load",
    ),
    ("a handler is slow", PARKING, "at_the_bound_the_partition_waits_and_nothing_is_lost"),
    (
        "two owners of one partition",
        "services/runtime/tests/suite/rebalance.rs",
        "an_owner_that_was_replaced_changes_nothing",
    ),
    (
        "records that are no events",
        LETTERS,
        "what_cannot_be_understood_is_dead_at_once_with_its_reason",
    ),
    ("the database is down while events come", TROUBLE, "a_database_that_is_killed_parks_nothing"),
    (
        "a dead letter is replayed twice",
        LETTERS,
        "a_replay_is_handled_once_and_a_second_one_changes_nothing",
    ),
    ("order per key while events fail", PARKING, "many_failures_at_random_keep_every_keys_order"),
    ("two instances at one key while it fails", PARKING, "a_key_is_in_one_hand_at_a_time"),
    ("Stripe asks for patience", STRIPE.0, STRIPE.1),
    ("Stripe fails, or hangs", STRIPE.0, STRIPE.1),
    ("Stripe says everything twice, late or shuffled", STRIPE.0, STRIPE.1),
    ("webhooks are lost", PAYMENTS, "without_webhooks_the_sweeper_finds_every_payment"),
    ("the mail server asks for patience", MAIL.0, MAIL.1),
    (
        "the mail server refuses for good",
        "tests/pipeline/tests/broken/mail.rs",
        "what_the_mail_server_refuses_for_good_is_tried_once",
    ),
    ("the mail server is slow", MAIL.0, MAIL.1),
    ("the mail server is slow", ANSWERS, "a_silent_recipient_delays_nobody_else"),
    ("the database is killed", DATABASE.0, DATABASE.1),
    (
        "transactions lose against others",
        "services/runtime/tests/suite/database.rs",
        "writers_of_one_row_all_get_through",
    ),
    ("transactions lose against others", DATABASE.0, DATABASE.1),
    ("the database is full, or takes no connection", DATABASE.0, DATABASE.1),
    (
        "a commit is not answered",
        "services/runtime/tests/suite/commit.rs",
        "each_cut_loses_and_doubles_nothing",
    ),
];

#[test]
fn every_fault_of_the_data_path_has_its_test() -> Result<()> {
    each_is_held(HELD)
}
