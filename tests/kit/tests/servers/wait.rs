//! Conditions with a limit.

use std::time::Duration;

use storefront_testkit::{eventually, eventually_some};

#[tokio::test]
async fn a_condition_is_tried_until_it_holds() {
    let mut tries = 0;
    let limit = Duration::from_secs(5);
    let third = eventually_some(limit, "the third try", async || {
        tries += 1;
        (tries == 3).then_some(tries)
    });
    assert_eq!(third.await, 3);
}

#[test]
fn what_did_not_come_is_named_also_when_an_attempt_hangs() {
    let limit = Duration::from_millis(50);
    let ended = |hangs: bool| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            runtime.unwrap().block_on(eventually(limit, "the order", async || {
                if hangs { std::future::pending().await } else { false }
            }));
        })
        .join()
    };
    for hangs in [false, true] {
        let panic = ended(hangs).unwrap_err();
        let message: &String = panic.downcast_ref().unwrap();
        assert_eq!(message, "not within 50ms: the order");
    }
}
