//! Keys and passwords are changed under load: each time the new one is good before it is used, and the old one ends. No request may
//! fail for it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Outcome, Stage, goes_on};
use crate::{
    secrets::{self, Generation},
    world::World,
};

const TIMES: u32 = 20;
const WARM_UP_S: u64 = 10;
/// Between two generations.
const PAUSE_S: u64 = 3;
/// Until a new secret is seen in use.
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub async fn play(stage: &Stage<'_>) -> Result<Outcome> {
    let Stage { world, crowd, options, .. } = stage;
    goes_on(WARM_UP_S).await;
    let (sold, asked_again) = (crowd.checkouts(), crowd.asked_again());
    let times = options.times.unwrap_or(TIMES);
    for number in 1..=times {
        let (before, now) = (Generation(number - 1), Generation(number));
        let stripe = async {
            world.secrets.write_stripe(&now, &before)?;
            until("Stripe's new key", async || uses_key(world, &now).await).await
        };
        stage.act(&format!("Stripe's key and secret {number}"), false, stripe).await?;
        let mail = async {
            world.secrets.write_mail(&now)?;
            until("the new login at the mail server", async || uses_login(world, &now).await).await
        };
        stage.act(&format!("the mail server's password {number}"), false, mail).await?;
        let database = change_database(world, &before, &now);
        stage.act(&format!("PostgreSQL's password {number}"), false, database).await?;
        goes_on(PAUSE_S).await;
    }
    let (sold, asked_again) = (crowd.checkouts() - sold, crowd.asked_again() - asked_again);
    let mut outcome = Outcome::default();
    outcome.count("rotations of each secret", times);
    outcome.count("checkouts meanwhile", sold);
    outcome.count("requests that failed meanwhile", asked_again);
    if sold == 0 || asked_again > 0 {
        let words = format!("{sold} checkouts were sold, and {asked_again} requests failed");
        outcome.findings.push(words);
    }
    Ok(outcome)
}

/// The next user is let in, the services are told, and the one before is sent away.
async fn change_database(world: &World, before: &Generation, now: &Generation) -> Result<()> {
    let postgres = &world.postgres;
    secrets::admit(postgres, now).await?;
    world.write_logins(now)?;
    let old = before.database_user();
    postgres.run(postgres.url(), &format!("ALTER ROLE {old} NOLOGIN")).await?;
    // What is under way ends by itself.
    let end = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{old}' AND state = 'idle'"
    );
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{old}'");
    until("an end of the old user's connections", async || {
        postgres.ask(postgres.url(), &end).await?;
        Ok(postgres.ask(postgres.url(), &count).await? == "0")
    })
    .await?;
    let new = now.database_user();
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{new}'");
    until("a connection of the new user", async || {
        Ok(postgres.ask(postgres.url(), &count).await? != "0")
    })
    .await
}

/// Stripe shows the ends of the keys that were used.
async fn uses_key(world: &World, now: &Generation) -> Result<bool> {
    let url = format!("{}/control/keys", world.stripe);
    let told = world.http.get(url).await?.expect_status(200)?.json()?;
    let mut keys = told["keys"].as_array().into_iter().flatten();
    Ok(keys.any(|key| key["key"].as_str().is_some_and(|key| key.ends_with(&now.ending()))))
}

async fn uses_login(world: &World, now: &Generation) -> Result<bool> {
    let url = format!("{}/api/v1/messages?limit=1", world.inbox);
    let told = world.http.get(url).await?.expect_status(200)?.json()?;
    Ok(told["messages"][0]["Username"].as_str() == Some(&now.mail_user()))
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !is_so().await? {
        ensure!(began.elapsed() < LIMIT, "{what} is not seen within {LIMIT:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
