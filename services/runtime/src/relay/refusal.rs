//! What a failed delivery means for its message. Pure.

use rdkafka::error::RDKafkaErrorCode as Code;

/// What to do about a message that was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It will never be accepted as it is.
    Permanent,
    /// It, or the batch it was in: alone it may be accepted.
    PerhapsTheBatch,
    /// Its topic is not there: others go on.
    Topic,
    /// It was given up with others because of what happened to another one.
    Bystander,
    /// The brokers could not take anything.
    Temporary,
}

/// `placed`: whether the message names its partition, as dead letters do.
pub(super) fn refusal(code: Code, placed: bool) -> Refusal {
    match code {
        // A whole batch is measured, and one bad record refuses its batch.
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidRecord => {
            Refusal::PerhapsTheBatch
        }
        // Its topic has fewer partitions than the one it came from.
        Code::UnknownPartition if placed => Refusal::Permanent,
        Code::TopicAuthorizationFailed
        | Code::InvalidMessageSize
        | Code::InvalidTimestamp
        | Code::InvalidTopic
        | Code::PolicyViolation
        | Code::UnsupportedForMessageFormat
        | Code::InvalidArgument => Refusal::Permanent,
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            Refusal::Topic
        }
        Code::PurgeQueue
        | Code::PurgeInflight
        | Code::GaplessGuarantee
        | Code::Fatal
        | Code::InvalidDifferentRecord => Refusal::Bystander,
        _ => Refusal::Temporary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_of_one_kind() {
        for (code, kind) in [
            (Code::MessageSizeTooLarge, Refusal::PerhapsTheBatch),
            (Code::TopicAuthorizationFailed, Refusal::Permanent),
            (Code::UnknownTopic, Refusal::Topic),
            (Code::UnknownPartition, Refusal::Topic),
            (Code::PurgeInflight, Refusal::Bystander),
            (Code::BrokerTransportFailure, Refusal::Temporary),
            (Code::NotEnoughReplicas, Refusal::Temporary),
        ] {
            assert_eq!(refusal(code, false), kind, "{code}");
        }
        assert_eq!(refusal(Code::UnknownPartition, true), Refusal::Permanent);
    }
}
