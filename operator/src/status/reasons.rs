//! The fixed words of conditions: types and reasons. Tools match on them; they only ever grow.

/// The shop serves: every part that was asked for runs. An attempt that fails says nothing about that.
pub const READY: &str = "Ready";
/// Something is on its way to what the manifest asks for, or is tried again.
pub const PROGRESSING: &str = "Progressing";
/// Something is wrong that does not go away by waiting, or that should not be.
pub const DEGRADED: &str = "Degraded";
/// Secrets and ConfigMaps of others are there, with what is needed in them.
pub const SECRETS_READY: &str = "SecretsReady";
/// The brokers answer.
pub const KAFKA_READY: &str = "KafkaReady";
/// The topics are as planned.
pub const TOPICS_READY: &str = "TopicsReady";
/// The database is there.
pub const DATABASE_READY: &str = "DatabaseReady";

// Reasons.
pub const RUNNING: &str = "Running";
/// What was applied before runs; the newest edit is not applied.
pub const RUNS_AS_BEFORE: &str = "RunsAsBefore";
pub const STARTING: &str = "Starting";
pub const NOT_CREATED: &str = "NotCreated";
pub const SCALED_TO_ZERO: &str = "ScaledToZero";
pub const COMPLETE: &str = "Complete";
pub const ROLLING_OUT: &str = "RollingOut";
pub const PAUSED: &str = "Paused";
pub const RETRYING: &str = "Retrying";
pub const AS_EXPECTED: &str = "AsExpected";
pub const FOUND: &str = "Found";
pub const MISSING: &str = "Missing";
pub const REACHABLE: &str = "Reachable";
pub const UNREACHABLE: &str = "Unreachable";
pub const NOT_ASKED: &str = "NotAsked";
pub const EXTERNAL: &str = "External";
pub const AS_PLANNED: &str = "AsPlanned";
pub const UNDER_REPLICATED: &str = "UnderReplicated";
pub const LEADERLESS: &str = "Leaderless";
/// It would be somebody else's, too.
pub const CONFLICT: &str = "Conflict";
/// Somebody else changes it each time it is put back.
pub const CONTESTED: &str = "Contested";
pub const API_MISSING: &str = "ApiMissing";

/// The condition of one service, such as `PaymentReady`.
pub fn service_ready(component: &str) -> String {
    let mut letters = component.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain("Ready".chars()).collect()
}
