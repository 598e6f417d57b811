//! How each fault is done to the shop, and undone.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use storefront_contract::ServiceId;
use storefront_testkit::Wire;

use crate::{
    load,
    schedule::{Fault, Planned, Trouble, Victim},
    world::World,
};

/// More than a clean stop may take (25 s), on a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// Until a broker that was away has everything again.
const IN_SYNC_LIMIT: Duration = Duration::from_secs(180);
/// How long an order that cannot be stored is waited for: one has to come, and the handler's limit passes twice, in its batch and
/// alone.
const PARKED_LIMIT: Duration = Duration::from_secs(45);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The first order of an ailing user that comes takes longer than the runtime lets a handler work (10 s), and less than the
/// database lets a statement (30 s): a failure of one event, which is not the database's, and passes. Those behind it could be
/// stored at once, and have to wait for it. Which order it is must outlive the transaction that fails: a sequence does.
pub const AILING: &str = "
CREATE TABLE public.ailing (user_id TEXT PRIMARY KEY);
CREATE SEQUENCE public.ailing_order;
CREATE FUNCTION public.ail() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE number BIGINT := (hashtext(NEW.session_id) & 2147483647)::BIGINT + 1;
BEGIN
    IF EXISTS (SELECT 1 FROM public.ailing WHERE user_id = NEW.user_id) THEN
        IF NOT (SELECT is_called FROM public.ailing_order) THEN
            PERFORM setval('public.ailing_order', number);
        END IF;
        IF number = (SELECT last_value FROM public.ailing_order) THEN
            PERFORM pg_sleep(10.5);
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ail BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION public.ail()";

impl World {
    /// Does it, lets it last, and undoes it.
    pub async fn suffer(&self, planned: &Planned) -> Result<()> {
        let lasts = planned.lasts;
        match planned.fault {
            Fault::Kill(victim) => {
                self.kill(victim)?;
                tokio::time::sleep(lasts).await;
                self.start_again(victim).await
            }
            Fault::Stop(Victim::Instance(service, number)) => {
                self.member(service, number)?.stop(STOP_LIMIT).await?;
                tokio::time::sleep(lasts).await;
                self.member(service, number)?.start()
            }
            // Brokers and the database are never asked to end: a kill is the harder test.
            Fault::Stop(victim @ (Victim::Broker(_) | Victim::Postgres))
            | Fault::Freeze(victim) => {
                self.freeze(victim)?;
                tokio::time::sleep(lasts).await;
                self.thaw(victim).await
            }
            Fault::Cable(victim, trouble) => {
                let cables = self.cables(victim)?;
                for cable in &cables {
                    begin(cable, trouble);
                }
                tokio::time::sleep(lasts).await;
                for cable in &cables {
                    cable.mend();
                }
                Ok(())
            }
            Fault::Outside(outside) => {
                let (name, how) = outside.settings();
                self.set_outside(Some((name, how))).await?;
                tokio::time::sleep(lasts).await;
                self.set_outside(None).await
            }
            Fault::Ail { user } => self.ail(&load::user(user), lasts).await,
        }
    }

    fn kill(&self, victim: Victim) -> Result<()> {
        match victim {
            Victim::Instance(service, number) => self.member(service, number)?.kill(),
            Victim::Broker(number) => self.kafka.broker(number).kill(),
            Victim::Postgres => self.postgres.kill(),
        }
    }

    async fn start_again(&self, victim: Victim) -> Result<()> {
        match victim {
            // Not waited for: it may be killed again while it starts.
            Victim::Instance(service, number) => self.member(service, number)?.start(),
            Victim::Broker(number) => {
                self.kafka.broker(number).start().await?;
                self.in_sync().await
            }
            Victim::Postgres => self.postgres.start().await,
        }
    }

    fn freeze(&self, victim: Victim) -> Result<()> {
        match victim {
            Victim::Instance(service, number) => self.member(service, number)?.instance.pause(),
            Victim::Broker(number) => self.kafka.broker(number).pause(),
            Victim::Postgres => self.postgres.pause(),
        }
    }

    async fn thaw(&self, victim: Victim) -> Result<()> {
        match victim {
            Victim::Instance(service, number) => self.member(service, number)?.instance.resume(),
            Victim::Broker(number) => {
                self.kafka.broker(number).resume()?;
                self.in_sync().await
            }
            Victim::Postgres => self.postgres.resume(),
        }
    }

    /// Before the next broker may go: with two of them away nothing could be written.
    async fn in_sync(&self) -> Result<()> {
        let deadline = Instant::now() + IN_SYNC_LIMIT;
        while !self.is_replicated().await {
            anyhow::ensure!(Instant::now() < deadline, "brokers are not in sync in time");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn cables(&self, victim: Victim) -> Result<Vec<&Wire>> {
        Ok(match victim {
            Victim::Instance(service, number) => {
                let member = self.member(service, number)?;
                vec![&member.database.as_ref().context("it has no database")?.wire]
            }
            Victim::Broker(number) => vec![&self.kafka_wires[number - 1]],
            Victim::Postgres => {
                let cables = self.members.iter().filter_map(|it| it.database.as_ref());
                cables.map(|cable| &cable.wire).collect()
            }
        })
    }

    /// Lasts until an order of theirs was parked, and a moment longer.
    async fn ail(&self, user: &str, lasts: Duration) -> Result<()> {
        let begin = format!(
            "SELECT setval('public.ailing_order', 1, false); INSERT INTO public.ailing VALUES ('{user}')"
        );
        self.tell_until_heard(&begin).await?;
        let deadline = Instant::now() + PARKED_LIMIT;
        let is_parked = async || {
            let parked = self.ask(ServiceId::Order, "SELECT count(*) FROM parked").await;
            parked.is_ok_and(|count| count != "0")
        };
        while Instant::now() < deadline && !is_parked().await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tokio::time::sleep(lasts).await;
        self.tell_until_heard("DELETE FROM public.ailing").await
    }

    /// The database may be away just now.
    async fn tell_until_heard(&self, statement: &str) -> Result<()> {
        let deadline = Instant::now() + IN_SYNC_LIMIT;
        loop {
            match self.ask(ServiceId::Order, statement).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }
}

fn begin(cable: &Wire, trouble: Trouble) {
    match trouble {
        Trouble::Slow { by_ms } => cable.slow(Duration::from_millis(by_ms)),
        Trouble::Reset => cable.reset(),
        Trouble::HalfOpen => cable.half_open(),
        Trouble::Dead => cable.deaden(),
    }
}
