//! When a mail is tried again and when it is given up. Pure: time and chance come in.

use std::time::Duration;

use crate::smtp::Outcome;

/// Times and limits of the sender. Everything here is bounded; a mail's age bounds the rest.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Wait after the first deferral; each further one waits three times as long.
    pub retry_first: Duration,
    /// Longest wait between two attempts: servers that greylist expect to be asked again within hours.
    pub retry_most: Duration,
    /// Wait for the address of a session whose payment was not seen yet; doubles each time.
    pub address_first: Duration,
    /// Unclear ends after which a mail is given up. Each may have delivered it once more.
    pub unclear_most: u32,
    /// First pause of the whole sender when the server cannot be reached; doubles each time.
    pub hold_first: Duration,
    pub hold_most: Duration,
    /// How long a claim lasts without being renewed.
    pub lease: Duration,
    /// Longest time between two looks for work.
    pub poll_most: Duration,
    /// How long mails under way may take at a stop, before they are abandoned.
    pub stop_patience: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retry_first: Duration::from_secs(5),
            retry_most: Duration::from_secs(15 * 60),
            address_first: Duration::from_millis(500),
            unclear_most: 5,
            hold_first: Duration::from_secs(1),
            hold_most: Duration::from_secs(60),
            lease: Duration::from_secs(10),
            poll_most: Duration::from_secs(1),
            stop_patience: Duration::from_secs(10),
        }
    }
}

/// What is known of a mail when it is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Attempts, with the one under way.
    pub attempts: u32,
    /// How many of them may have delivered the mail.
    pub unclear: u32,
    /// Unix milliseconds after which it is not sent any more.
    pub expires_at: i64,
}

/// What becomes of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Sent,
    /// Tried again at `due_at` (Unix milliseconds).
    Again {
        due_at: i64,
        unclear: u32,
    },
    /// Back to where it was, as if it had not been claimed: the server was not there.
    Back,
    /// Given up, with a fixed word; its event becomes a dead letter.
    Failed(&'static str),
}

/// The server refused the mail for good.
pub const REJECTED: &str = "mail-rejected";
/// It was wanted in time, but could not be sent in time.
pub const EXPIRED: &str = "mail-expired";
/// Too many attempts ended without a clear answer.
pub const UNCLEAR: &str = "mail-unclear";

impl Policy {
    /// Whether a claimed mail is given up without an attempt.
    pub fn before(&self, mail: Standing, now: i64) -> Option<&'static str> {
        if mail.unclear > self.unclear_most {
            Some(UNCLEAR)
        } else if now >= mail.expires_at {
            Some(if mail.unclear > 0 { UNCLEAR } else { EXPIRED })
        } else {
            None
        }
    }

    /// What an attempt's outcome means. `chance` is from 0 to 1, and spreads what failed together.
    pub fn after(&self, outcome: &Outcome, mail: Standing, now: i64, chance: f64) -> Verdict {
        let unclear = mail.unclear;
        match outcome {
            Outcome::Accepted => Verdict::Sent,
            Outcome::Rejected(_) => Verdict::Failed(REJECTED),
            Outcome::Unreachable(_) => Verdict::Back,
            Outcome::Deferred(_) => self.again(mail, unclear, now, chance),
            Outcome::Unclear(_) if unclear >= self.unclear_most => Verdict::Failed(UNCLEAR),
            Outcome::Unclear(_) => self.again(mail, unclear + 1, now, chance),
        }
    }

    /// The address is not known yet.
    pub fn without_address(&self, mail: Standing, now: i64, chance: f64) -> Verdict {
        let wait = grown(self.address_first, 2, mail.attempts, self.retry_most);
        self.at(mail, mail.unclear, now, spread(wait, chance))
    }

    /// How long the sender pauses after `failures` times without a server in a row.
    pub fn hold(&self, failures: u32, chance: f64) -> Duration {
        spread(grown(self.hold_first, 2, failures, self.hold_most), chance)
    }

    fn again(&self, mail: Standing, unclear: u32, now: i64, chance: f64) -> Verdict {
        let wait = grown(self.retry_first, 3, mail.attempts, self.retry_most);
        self.at(mail, unclear, now, spread(wait, chance))
    }

    /// Not later than its age allows: then it is given up.
    #[expect(clippy::unused_self, reason = "reads as one of the policy's rules")]
    fn at(&self, mail: Standing, unclear: u32, now: i64, wait: Duration) -> Verdict {
        let due_at = now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
        Verdict::Again { due_at: due_at.min(mail.expires_at), unclear }
    }
}

/// `first` for the first time, `factor` times as long each further time, `most` at most.
fn grown(first: Duration, factor: u32, times: u32, most: Duration) -> Duration {
    let factor = factor.saturating_pow(times.saturating_sub(1).min(20));
    first.checked_mul(factor).unwrap_or(most).min(most)
}

/// From 80 % to 120 % of a wait.
fn spread(wait: Duration, chance: f64) -> Duration {
    wait.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::Answer;

    const FRESH: Standing = Standing { attempts: 1, unclear: 0, expires_at: 72 * 3_600_000 };
    const MIDDLE: f64 = 0.5;

    fn answer() -> Answer {
        Answer { code: None, text: String::new() }
    }

    #[test]
    fn deferrals_wait_longer_each_time_until_the_mail_is_too_old() {
        let policy = Policy::default();
        let (mut now, mut mail, mut waits) = (0, FRESH, Vec::new());
        let reason = loop {
            if let Some(reason) = policy.before(mail, now) {
                break reason;
            }
            let verdict = policy.after(&Outcome::Deferred(answer()), mail, now, MIDDLE);
            let Verdict::Again { due_at, unclear: 0 } = verdict else { panic!("{verdict:?}") };
            waits.push((due_at - now) / 1_000);
            (now, mail.attempts) = (due_at, mail.attempts + 1);
        };
        assert_eq!(reason, EXPIRED);
        assert_eq!(waits[..7], [5, 15, 45, 135, 405, 900, 900]);
        assert!(waits.len() < 300, "{} attempts", waits.len());
    }

    #[test]
    fn unclear_ends_are_few_because_each_may_be_one_mail_more() {
        let policy = Policy::default();
        let mut mail = FRESH;
        for expected in 1..=policy.unclear_most {
            let verdict = policy.after(&Outcome::Unclear(answer()), mail, 0, MIDDLE);
            assert!(matches!(verdict, Verdict::Again { unclear, .. } if unclear == expected));
            mail.unclear = expected;
        }
        let verdict = policy.after(&Outcome::Unclear(answer()), mail, 0, MIDDLE);
        assert_eq!(verdict, Verdict::Failed(UNCLEAR));
        // Leases that ended while sending count the same.
        mail.unclear += 1;
        assert_eq!(policy.before(mail, 0), Some(UNCLEAR));
    }

    #[test]
    fn a_refusal_is_final_and_an_absent_server_costs_nothing() {
        let policy = Policy::default();
        let after = |outcome| policy.after(&outcome, FRESH, 0, MIDDLE);
        assert_eq!(after(Outcome::Accepted), Verdict::Sent);
        assert_eq!(after(Outcome::Rejected(answer())), Verdict::Failed(REJECTED));
        assert_eq!(after(Outcome::Unreachable(answer())), Verdict::Back);
        assert_eq!(policy.hold(1, MIDDLE), Duration::from_secs(1));
        assert_eq!(policy.hold(4, MIDDLE), Duration::from_secs(8));
        assert_eq!(policy.hold(u32::MAX, MIDDLE), Duration::from_secs(60));
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let policy = Policy::default();
        let due = |chance| policy.after(&Outcome::Deferred(answer()), FRESH, 0, chance);
        assert_eq!(due(0.0), Verdict::Again { due_at: 4_000, unclear: 0 });
        assert_eq!(due(1.0), Verdict::Again { due_at: 6_000, unclear: 0 });
    }
}
