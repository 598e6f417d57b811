//! Checkout beside `payment.js`: a cart becomes a session of the stand-in, which answers at once.

use anyhow::Result;
use storefront_contract::{Names, Topic};
use storefront_testkit::{Http, create_topics, free_ports, measure::machine, prefix};

use crate::{
    Options,
    load::{Busy, Measured, load, warm_up},
    node,
    process::{Core, Process, usage_of},
    programs,
    report::{median, table, thousands},
    servers::Servers,
};

/// A shop in a rush; enough that the service, and not its clients, is what waits.
const CONNECTIONS: u32 = 64;
const PARTITIONS: i32 = 3;
const CHECKOUT: &str = include_str!("../load/checkout.lua");
const STRIPE: &str = include_str!("../load/stripe.lua");

/// Of a user with a number; prices are the catalog's.
const CART: &str = r#"{"userId": "user-%d", "cart": [{"id": "phone", "quantity": 1}, {"id": "chai", "quantity": 2}]}"#;
/// The same for payment.js, which takes names and prices from the browser.
const CART_OF_TWIN: &str = r#"{"userId": "user-%d", "cart": [{"id": "phone", "name": "Nova 5G", "quantity": 1, "price": 18999}, {"id": "chai", "name": "Masala chai", "quantity": 2, "price": 249}]}"#;

struct Round {
    busy: Busy,
    /// One request at a time.
    quiet: Measured,
    /// Of one checkout.
    database_cpu_us: f64,
}

pub async fn measure(servers: &Servers, options: &Options) -> Result<String> {
    let mut rounds: [Vec<Round>; 4] = Default::default();
    let mut alone = Vec::new();
    let prefix = prefix();
    create_topics(
        servers.kafka.bootstrap(),
        &[&Names::new(&prefix).topic(Topic::PaymentSuccessful)],
        PARTITIONS,
    )
    .await?;
    for _ in 0..options.rounds {
        let mut environment = servers.places(&prefix).await?;
        environment.extend(servers.payment()?);
        let mut service = programs::start("payment", &environment)?;
        ready(&mut service).await?;
        let url = format!("http://127.0.0.1:{}/payment", service.http_port);
        let carts = self::carts(&url, CART).await?;
        rounds[0].push(round(&service.process, &url, &carts, options)?);
        drop(service);
        let [port] = free_ports()?;
        let mut twin = node::start(
            "payment",
            &[
                ("PAYMENT_PORT", port.to_string()),
                ("STRIPE_API_BASE", servers.stripe()),
                ("STRIPE_SECRET_KEY", "sk_test_bench".into()),
                ("KAFKA_BROKERS", servers.kafka.bootstrap().to_owned()),
            ],
        )?;
        twin.listening(port)?;
        let url = format!("http://127.0.0.1:{port}/");
        let carts = self::carts(&url, CART_OF_TWIN).await?;
        rounds[1].push(round(&twin, &url, &carts, options)?);
        drop(twin);
        let database = servers.postgres.database().await?;
        for (side, database) in [(2, None), (3, Some(&*database))] {
            let [port] = free_ports()?;
            let mut floor = floor(port, servers, database)?;
            floor.listening(port)?;
            let url = format!("http://127.0.0.1:{port}/");
            let carts = self::carts(&url, CART).await?;
            rounds[side].push(round(&floor, &url, &carts, options)?);
        }
        let sessions = format!("{}/v1/checkout/sessions", servers.stripe());
        alone.push(load(&sessions, STRIPE, 1, options.seconds)?);
    }
    Ok(section(&rounds, &alone, options))
}

/// The two exchanges by HTTP that a checkout is made of, alone, or with two statements.
fn floor(port: u16, servers: &Servers, database: Option<&str>) -> Result<Process> {
    let program = std::env::current_exe()?;
    let (program, port, stripe) = (program.to_string_lossy(), port.to_string(), servers.stripe());
    let mut words = vec![&*program, "floor", &port, &stripe];
    words.extend(database);
    Process::start(Core::Measured, &words, &[])
}

/// Waits until it says that it is.
pub async fn ready(service: &mut programs::Service) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/readyz", service.admin_port);
    let http = storefront_testkit::Http::default();
    loop {
        service.process.running()?;
        if http.get(&url).await.is_ok_and(|reply| reply.status == 200) {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// Carts for wrk, once the service was seen to take one.
async fn carts(url: &str, cart: &str) -> Result<String> {
    let one = serde_json::from_str(&cart.replace("%d", "0"))?;
    let reply = Http::default().post_json(url, &one).await?;
    anyhow::ensure!(reply.status == 200, "{url} answered {}: {}", reply.status, reply.text());
    Ok(CHECKOUT.replace("{cart}", cart))
}

fn round(process: &Process, url: &str, carts: &str, options: &Options) -> Result<Round> {
    warm_up(url, carts, CONNECTIONS)?;
    let quiet = load(url, carts, 1, options.seconds)?;
    let before = usage_of("postgres")?;
    let busy = Busy::measure(process, url, carts, CONNECTIONS, options.seconds)?;
    let database_cpu_s = usage_of("postgres")?.cpu_s - before.cpu_s;
    Ok(Round { database_cpu_us: busy.each(database_cpu_s) * 1e6, busy, quiet })
}

fn section(rounds: &[Vec<Round>; 4], alone: &[Measured], options: &Options) -> String {
    let of = |side: usize, value: fn(&Round) -> f64| median(rounds[side].iter().map(value));
    let alone = |value: fn(&Measured) -> f64| median(alone.iter().map(value));
    let stripe = alone(|load| load.p99_ms);
    let cpu_us = |side: usize| 1e6 / of(side, |round| round.busy.per_cpu_second());
    let row = |side: usize, name: &str| {
        vec![
            name.to_owned(),
            thousands(of(side, |round| round.busy.per_cpu_second())),
            format!(
                "{:.1}",
                of(0, |round| round.busy.per_cpu_second())
                    / of(side, |round| round.busy.per_cpu_second())
            ),
            thousands(of(side, |round| round.busy.per_second())),
            format!("{:.2} ms", of(side, |round| round.quiet.p50_ms)),
            format!("{:.2} ms", of(side, |round| round.quiet.p99_ms)),
            format!("{:.2} ms", of(side, |round| round.quiet.p99_ms) - stripe),
            format!("{:.1} MB", of(side, |round| round.busy.end.peak_mb)),
        ]
    };
    let head = [
        "",
        "checkouts per CPU-second",
        "payment's ratio",
        "checkouts a second",
        "p50, one at a time",
        "p99, one at a time",
        "of that its own",
        "memory, peak",
    ];
    format!(
        "## Checkout\n\n`make bench-pipeline ONLY=checkout`: a cart of two products on {CONNECTIONS} connections (and on one, for the times), \
         {} rounds of {} s, medians, on {}. payment writes each session into PostgreSQL (synchronously: {:.0} µs of the \
         database's CPU a checkout) before and after it asks Stripe; `payment.js` keeps nothing, and believes the browser's \
         prices. The stand-in for Stripe alone takes {:.2} ms (p50) and {stripe:.2} ms (p99). The two exchanges alone are \
         hyper's server and client with nothing between them: {:.0} µs of CPU, and {:.0} µs with two statements, which \
         those who come at once share; payment takes {:.0} µs, and ten times `payment.js` would be {:.0} µs.\n\n{}",
        options.rounds,
        options.seconds,
        machine(),
        of(0, |round| round.database_cpu_us),
        alone(|load| load.p50_ms),
        cpu_us(2),
        cpu_us(3),
        cpu_us(0),
        cpu_us(1) / 10.0,
        table(
            &head,
            &[
                row(0, "payment"),
                row(1, "payment.js"),
                row(2, "the two exchanges alone"),
                row(3, "the two exchanges, and two statements"),
            ]
        )
    )
}
