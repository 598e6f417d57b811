//! What stops the start.

use storefront_runtime::{Secret, Shutdown};
use storefront_sandbox::{SandboxSettings, run};
use tokio::net::TcpListener;

async fn refused(change: impl FnOnce(&mut SandboxSettings)) -> String {
    let free = || TcpListener::bind(("127.0.0.1", 0));
    let (stripe, inbox, smtp) =
        (free().await.unwrap(), free().await.unwrap(), free().await.unwrap());
    let mut settings = SandboxSettings::new(stripe, inbox, smtp, "http://shop.example");
    change(&mut settings);
    run(settings, Shutdown::new()).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_live_key_is_refused() {
    for key in ["sk_live_1", "rk_live_1"] {
        let told = refused(|settings| settings.api_keys.push(Secret::from(key))).await;
        assert!(told.starts_with("a live Stripe key"), "{told}");
        assert!(!told.contains(key), "the key is not to be shown");
    }
}

#[tokio::test]
async fn what_could_not_work_is_refused() {
    let url = Some("http://127.0.0.1:1/".to_owned());
    let told = refused(|settings| settings.webhook_url = url.clone()).await;
    assert!(told.contains("needs a secret"), "{told}");
    let told = refused(|settings| {
        settings.webhook_url.clone_from(&url);
        settings.webhook_secret = Some(Secret::from("whsec_xxx"));
    });
    assert!(told.await.contains("needs a secret"));
    let told = refused(|settings| {
        settings.webhook_url = Some("https://shop.example".into());
        settings.webhook_secret = Some(Secret::from("whsec_8f3a"));
    });
    assert!(told.await.contains("address cannot be used"));
    let told = refused(|settings| settings.public_url = "shop".into()).await;
    assert!(told.contains("no http://HOST"), "{told}");
}
