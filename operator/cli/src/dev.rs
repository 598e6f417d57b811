//! `storefront dev`: a whole shop in one process. Every service is started as in a pod, by `run_on`
//! with settings that were written to variables and read back; only addresses differ.

mod broker;
mod console;
mod data;
mod database;
mod error;
mod listen;
mod ready;
mod report;
mod running;
mod secrets;
mod services;
mod topics;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use storefront_operator::{
    manifest::Manifest,
    plan::{CatalogSource, Local, Placement, Plan, demo_products, plan},
};

use crate::{args::DevArguments, manifest};
use broker::Broker;
use data::Data;
pub use error::DevError;
use listen::Bound;
use report::Report;
use running::Running;

/// How long brokers may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a shop until Ctrl-C or SIGTERM, or until one of its parts fails.
pub async fn run(arguments: DevArguments) -> Result<(), DevError> {
    let started = Instant::now();
    let stop = running::stop_signal();
    let manifest = manifest::load(&arguments.file)?;
    let spec = &manifest.storefront.spec;
    let name = manifest.storefront.metadata.name.as_deref().unwrap_or("shop");
    let data = Data::open(&arguments, name)?;
    let without: BTreeSet<_> = arguments.without.iter().copied().collect();
    if let Some(url) = &arguments.database {
        database::check_reachable(url).await?;
    }
    let mut bound = Bound::bind(&arguments, &without).await?;
    let (broker, admin) = Broker::start(&arguments, &data).await?;
    let local = local(&arguments, &manifest, &data, &bound, &broker);
    let placement = Placement::local(&manifest.storefront, &local).map_err(DevError::Place)?;
    let plan = plan(&manifest.storefront, &placement)?;
    for difference in local.differences(spec) {
        tracing::info!("done otherwise here: {difference}");
    }
    for note in &plan.notes {
        tracing::warn!("{note}");
    }
    let keys = secrets::prepare(&local, spec)?;
    data.write_catalog(&catalog(&plan, &manifest)?)?;
    topics::prepare(&broker, &admin, &plan).await?;
    admin.close();
    let report = Report::new(&bound, &broker, &data, &plan);
    let mut running = Running::default();
    if let Some(listener) = bound.console.take() {
        let settings = console::settings(name, spec, &bound, &broker, &report);
        running.start("console", running::Stage::FrontDoor, |shutdown| {
            Box::pin(async { Ok(storefront_console::run(listener, settings, shutdown).await?) })
        });
    }
    let outcome = async {
        services::start(bound, &plan, &placement, &keys, &data, &mut running)?;
        ready::wait(&mut running, &report, &stop).await?;
        if !stop.is_cancelled() {
            report.print(arguments.output, started.elapsed())?;
        }
        running.wait(&stop).await
    }
    .await;
    running.stop().await;
    // Last: consumers have left their groups, relays have sent what they could.
    broker.stop().await;
    data.close();
    outcome
}

/// What this machine offers to the plan.
fn local(
    arguments: &DevArguments,
    manifest: &Manifest,
    data: &Data,
    bound: &Bound,
    broker: &Broker,
) -> Local {
    Local {
        data: data.folder().to_owned(),
        services: bound.addresses(),
        sandbox: bound.sandbox_address,
        smtp: bound.smtp_address,
        brokers: broker.brokers().to_vec(),
        broker_count: broker.count(),
        own_brokers: !arguments.kafka.is_empty(),
        database: arguments.database.clone(),
        stripe_api_base: arguments.stripe_api_base.clone(),
        sweep_interval_ms: arguments.sweep_interval_ms,
        smtp_server: arguments.smtp.clone(),
        secrets: arguments.secrets.clone(),
        without: arguments.without.iter().copied().collect(),
        config_maps: manifest.config_maps.keys().cloned().collect(),
    }
}

/// The catalog's file: from the manifest, from a ConfigMap in the same file, or the demo one.
fn catalog(plan: &Plan, manifest: &Manifest) -> Result<String, DevError> {
    let products = match &plan.catalog {
        CatalogSource::Products(products) => products.clone(),
        CatalogSource::ConfigMap { name, key } => match manifest.config_maps.get(name) {
            Some(entries) => {
                let missing = || DevError::CatalogKey { name: name.clone(), key: key.clone() };
                return entries.get(key).cloned().ok_or_else(missing);
            }
            None => demo_products(plan.currency),
        },
    };
    serde_json::to_string_pretty(&BTreeMap::from([("products", products)]))
        .map_err(DevError::Catalog)
}
