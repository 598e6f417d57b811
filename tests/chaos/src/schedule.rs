//! What is to happen when, drawn from a seed in advance. Pure.
//!
//! Faults run in lanes, one after the other in each, so that so much is never broken at once that nothing can go on: of every
//! service one instance is left alone by the first lane and the other by the second, and two of three brokers always stand.

use std::{fmt, time::Duration};

use serde_json::{Value, json};
use storefront_contract::ServiceId;

use crate::options::{Options, Stack};

/// An order that cannot be stored takes its time: a load that is over sooner is spared it.
const AILING_FROM: Duration = Duration::from_secs(50);

/// Faults that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The first instance of each service.
    First,
    /// The second ones.
    Second,
    Brokers,
    Database,
    /// An order that cannot be stored for a while.
    Orders,
    /// Stripe and the mail server, which are somebody else's.
    Outside,
}

impl Lane {
    pub const ALL: [Self; 6] =
        [Self::First, Self::Second, Self::Brokers, Self::Database, Self::Orders, Self::Outside];

    /// Between a fault's end and the next one, in ms.
    fn pause(self) -> std::ops::Range<u64> {
        match self {
            Self::First | Self::Second => 4_000..12_000,
            Self::Brokers | Self::Outside => 8_000..22_000,
            Self::Database => 15_000..40_000,
            Self::Orders => 15_000..45_000,
        }
    }
}

/// Something with an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`, and started again.
    Kill(Victim),
    /// `SIGTERM`, as in a rolling update, and started again.
    Stop(Victim),
    /// `SIGSTOP`, and `SIGCONT`.
    Freeze(Victim),
    /// Something becomes of the cable to a victim: of an instance, its own one to the database; of a broker, the one to all
    /// services.
    Cable(Victim, Trouble),
    /// An order of this regular customer's takes longer to store than a handler may: it is parked, and with it what comes after it.
    Ail { user: usize },
    /// Stripe or the mail server does not do what it should.
    Outside(Outside),
}

/// What those that are not the shop's do, as the stand-ins take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    WebhooksLost,
    StripeRefuses,
    /// And has done what it was asked.
    StripeHangs,
    MailRefused,
    /// And the mail is taken.
    MailCut,
}

impl Outside {
    pub const ALL: [Self; 5] = [
        Self::WebhooksLost,
        Self::StripeRefuses,
        Self::StripeHangs,
        Self::MailRefused,
        Self::MailCut,
    ];

    /// For `PUT /control/faults`, beside what always is.
    pub fn settings(self) -> (&'static str, Value) {
        match self {
            Self::WebhooksLost => ("webhooks", json!("drop")),
            Self::StripeRefuses => ("api", json!({"status": 503, "share": 0.5})),
            Self::StripeHangs => ("api", json!({"how": "hang", "applied": true, "share": 0.2})),
            Self::MailRefused => {
                ("smtp", json!({"reply": "421 4.3.2 later", "at": "mail", "share": 0.5}))
            }
            Self::MailCut => ("smtp", json!({"at": "end-of-data", "stored": true, "share": 0.2})),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Instance(ServiceId, usize),
    /// From 1.
    Broker(usize),
    /// PostgreSQL; its cable is that of all instances.
    Postgres,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Slow { by_ms: u64 },
    Reset,
    HalfOpen,
    Dead,
}

/// A fault and its time, from the load's begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    pub lane: Lane,
    pub at: Duration,
    pub lasts: Duration,
    pub fault: Fault,
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(service, number) => write!(f, "{service}-{number}"),
            Self::Broker(number) => write!(f, "broker-{number}"),
            Self::Postgres => f.write_str("postgres"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(victim) => write!(f, "{victim} killed"),
            Self::Stop(victim) => write!(f, "{victim} stopped"),
            Self::Freeze(victim) => write!(f, "{victim} frozen"),
            Self::Ail { user } => write!(f, "an order of user-{user} cannot be stored"),
            Self::Outside(outside) => f.write_str(match outside {
                Outside::WebhooksLost => "webhooks are lost",
                Outside::StripeRefuses => "Stripe answers half with 503",
                Outside::StripeHangs => "Stripe does what it is asked, and says nothing",
                Outside::MailRefused => "the mail server refuses half for now",
                Outside::MailCut => "the mail server takes mails, and does not say so",
            }),
            Self::Cable(victim, trouble) => {
                match victim {
                    Victim::Instance(..) => write!(f, "{victim} to postgres: ")?,
                    Victim::Broker(_) | Victim::Postgres => write!(f, "all to {victim}: ")?,
                }
                match trouble {
                    Trouble::Slow { by_ms } => write!(f, "{by_ms} ms slower"),
                    Trouble::Reset => f.write_str("connections reset"),
                    Trouble::HalfOpen => f.write_str("connections half open"),
                    Trouble::Dead => f.write_str("nothing comes through"),
                }
            }
        }
    }
}

impl Fault {
    /// What ends or freezes its services and brokers. It has no database, its analytics keeps nothing, and of cables it knows nothing.
    fn is_for_node(&self) -> bool {
        match self {
            Self::Kill(victim) | Self::Stop(victim) | Self::Freeze(victim) => {
                !matches!(victim, Victim::Postgres | Victim::Instance(ServiceId::Analytics, _))
            }
            Self::Cable(..) | Self::Ail { .. } | Self::Outside(_) => false,
        }
    }

    /// Whether it ends a process at once.
    pub fn is_kill(&self) -> bool {
        matches!(self, Self::Kill(_))
    }
}

/// Everything that is to happen while the load lasts, by lane and time. To Node's shop happens of it what it knows how to suffer.
pub fn draw(options: &Options) -> Vec<Planned> {
    let all = Lane::ALL.into_iter().flat_map(|lane| draw_lane(lane, options));
    let is_meant = |planned: &Planned| match options.shop {
        Stack::Storefront => true,
        Stack::Node => planned.fault.is_for_node(),
    };
    all.filter(is_meant).collect()
}

fn draw_lane(lane: Lane, options: &Options) -> Vec<Planned> {
    // Each has its own dice: what one draws does not move the others.
    let mut random = fastrand::Rng::with_seed(options.seed.wrapping_add(lane as u64 + 1));
    let end = options.length();
    if lane == Lane::Orders && end < AILING_FROM {
        return Vec::new();
    }
    let mut planned = Vec::new();
    let pause = lane.pause();
    let mut at = Duration::from_millis(random.u64(..pause.end / 2));
    while at < end {
        let (fault, lasts) = draw_fault(lane, &mut random, options.regulars());
        planned.push(Planned { lane, at, lasts, fault });
        at += lasts + Duration::from_millis(random.u64(pause.clone()));
    }
    planned
}

fn draw_fault(lane: Lane, random: &mut fastrand::Rng, regulars: usize) -> (Fault, Duration) {
    let mut ms = |range| Duration::from_millis(random.u64(range));
    let (short, long, outage) = (ms(200..2_500), ms(1_000..6_000), ms(2_000..7_000));
    // Longer than a lease, so that the other instance takes over, and this one comes back and does not know.
    let very_long = ms(11_000..15_000);
    let dice = random.u8(..100);
    match lane {
        Lane::First | Lane::Second => {
            let service = ServiceId::ALL[random.usize(..ServiceId::ALL.len())];
            let victim = Victim::Instance(service, if lane == Lane::First { 1 } else { 2 });
            match dice {
                0..50 => (Fault::Kill(victim), short),
                50..60 => (Fault::Stop(victim), short),
                60..70 => (Fault::Freeze(victim), long),
                70..75 => (Fault::Freeze(victim), very_long),
                // The gateway has no cable to the database.
                _ if service == ServiceId::Gateway => (Fault::Kill(victim), short),
                75..80 => (Fault::Cable(victim, Trouble::Dead), very_long),
                _ => cable(victim, random, long),
            }
        }
        Lane::Brokers => {
            let victim = Victim::Broker(random.usize(1..=3));
            match dice {
                0..50 => (Fault::Kill(victim), outage),
                50..65 => (Fault::Freeze(victim), outage),
                _ => cable(victim, random, outage),
            }
        }
        Lane::Database => match dice {
            0..60 => (Fault::Kill(Victim::Postgres), short),
            60..75 => (Fault::Freeze(Victim::Postgres), long),
            _ => cable(Victim::Postgres, random, long),
        },
        Lane::Orders => (Fault::Ail { user: random.usize(..regulars) }, short),
        Lane::Outside => (Fault::Outside(Outside::ALL[random.usize(..Outside::ALL.len())]), outage),
    }
}

fn cable(victim: Victim, random: &mut fastrand::Rng, lasts: Duration) -> (Fault, Duration) {
    let trouble = match (victim, random.u8(..8)) {
        (_, 0..2) => Trouble::Slow { by_ms: random.u64(20..150) },
        (_, 2..4) => Trouble::Reset,
        // Before PostgreSQL these are all connections of the shop at once: rarer, as nobody is served for a while.
        (Victim::Postgres, 4) | (Victim::Instance(..) | Victim::Broker(_), 4..6) => {
            Trouble::HalfOpen
        }
        _ => Trouble::Dead,
    };
    // What is cut is cut at once.
    let lasts = match trouble {
        Trouble::Reset | Trouble::HalfOpen => Duration::ZERO,
        Trouble::Slow { .. } | Trouble::Dead => lasts,
    };
    (Fault::Cable(victim, trouble), lasts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(seed: u64) -> Options {
        Options::random(seed, 12_000, 20)
    }

    #[test]
    fn a_seed_draws_the_same_each_time_and_another_one_something_else() {
        assert_eq!(draw(&options(7)), draw(&options(7)));
        assert_ne!(draw(&options(7)), draw(&options(8)));
    }

    #[test]
    fn the_first_minute_of_a_long_load_is_that_of_a_short_one() {
        let options = options(7);
        let long = draw(&Options { orders: 24_000, ..options.clone() });
        let first = |planned: &Planned| planned.at < options.length();
        assert_eq!(draw(&options), long.into_iter().filter(first).collect::<Vec<_>>());
    }

    #[test]
    fn faults_of_a_lane_follow_each_other_and_no_two_lanes_share_a_victim() {
        for seed in 0..20 {
            let all = draw(&options(seed));
            for lane in Lane::ALL {
                let planned: Vec<_> = all.iter().filter(|it| it.lane == lane).collect();
                assert!(!planned.is_empty(), "{lane:?} of seed {seed}");
                assert!(planned.windows(2).all(|two| two[0].at + two[0].lasts < two[1].at));
            }
            for planned in all {
                let lane = match planned.fault {
                    Fault::Ail { .. } => Lane::Orders,
                    Fault::Outside(_) => Lane::Outside,
                    Fault::Kill(victim)
                    | Fault::Stop(victim)
                    | Fault::Freeze(victim)
                    | Fault::Cable(victim, _) => match victim {
                        Victim::Instance(_, 1) => Lane::First,
                        Victim::Instance(..) => Lane::Second,
                        Victim::Broker(_) => Lane::Brokers,
                        Victim::Postgres => Lane::Database,
                    },
                };
                assert_eq!(lane, planned.lane);
            }
        }
    }

    #[test]
    fn to_node_happens_a_part_of_it_at_the_same_times() {
        let options = options(7);
        let all = draw(&options);
        let part = draw(&Options { shop: Stack::Node, ..options });
        assert!(!part.is_empty() && part.len() < all.len());
        assert!(part.iter().all(|planned| all.contains(planned)));
    }

    #[test]
    fn every_kind_of_fault_is_drawn() {
        let all = draw(&options(1));
        let is = |kind: fn(&Fault) -> bool| all.iter().any(|planned| kind(&planned.fault));
        assert!(is(|fault| matches!(fault, Fault::Kill(Victim::Instance(..)))));
        assert!(is(|fault| matches!(fault, Fault::Kill(Victim::Broker(_)))));
        assert!(is(|fault| matches!(fault, Fault::Kill(Victim::Postgres))));
        assert!(is(|fault| matches!(fault, Fault::Stop(_))));
        assert!(is(|fault| matches!(fault, Fault::Freeze(_))));
        assert!(is(|fault| matches!(fault, Fault::Cable(_, Trouble::Slow { .. }))));
        assert!(is(|fault| matches!(fault, Fault::Cable(_, Trouble::Reset))));
        assert!(is(|fault| matches!(fault, Fault::Cable(_, Trouble::HalfOpen))));
        assert!(is(|fault| matches!(fault, Fault::Cable(_, Trouble::Dead))));
    }
}
