//! Two shops in one namespace know nothing of each other.

use anyhow::{Result, ensure};
use storefront_e2e_tests::{Load, Operator, Place, Shop};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn two_shops_side_by_side() -> Result<()> {
    let operator = Operator::installed().await?;
    let place = Place::new("neighbours").await?;
    let north = Shop::apply(&place.name, "north").await?;
    let south = Shop::apply(&place.name, "south").await?;
    north.ready().await?;
    south.ready().await?;
    let load = Load::start(&operator, &north).await?;
    load.goes_on(20).await;
    load.all_served().await?;
    ensure!(south.settled().await?.paid == 0, "a shop got the other's customers");

    let south_pods = south.pods().await?;
    north.kubectl("delete storefront/north --timeout=60s").await?;
    let load = Load::start(&operator, &south).await?;
    load.goes_on(5).await;
    load.all_served().await?;
    ensure!(south.pods().await? == south_pods, "{south_pods:?}");
    place.leave()
}
