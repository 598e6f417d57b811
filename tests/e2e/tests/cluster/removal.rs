//! The operator goes and comes back; shops go on.

use anyhow::{Result, ensure};
use storefront_e2e_tests::{Load, demo};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn shops_outlive_their_operator() -> Result<()> {
    let (operator, place, shop) = demo("removal").await?;
    let load = Load::start(&operator, &shop).await?;
    let (pods, versions) = (shop.pods().await?, shop.versions().await?);

    operator.uninstall().await?;
    load.goes_on(20).await;
    ensure!(shop.pods().await? == pods, "pods went with the operator");

    operator.install(&operator.tags[0]).await?;
    load.goes_on(20).await;
    shop.ready().await?;
    ensure!(shop.pods().await? == pods, "{pods:?} became {:?}", shop.pods().await?);
    let now = shop.versions().await?;
    ensure!(now == versions, "{versions:?} became {now:?}");
    load.all_served().await?;
    place.leave()
}
