//! The cable that can be broken.

use std::{io::ErrorKind, time::Duration};

use storefront_testkit::Wire;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

const LIMIT: Duration = Duration::from_secs(20);
/// Nothing comes within it: longer than a machine of two cores needs for an echo.
const SILENCE: Duration = Duration::from_millis(300);

/// Says what it hears.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                tokio::io::copy(&mut from, &mut to).await.ok();
            });
        }
    });
    address
}

async fn client(wire: &Wire) -> TcpStream {
    TcpStream::connect(wire.address()).await.unwrap()
}

async fn asked(client: &mut TcpStream) -> std::io::Result<u8> {
    client.write_u8(7).await?;
    client.read_u8().await
}

#[tokio::test]
async fn a_wire_carries_and_passes_by_a_server_that_is_gone() {
    let gone = "127.0.0.1:1";
    let wire = Wire::start(vec![gone.to_owned(), echo().await]).await.unwrap();
    for _ in 0..4 {
        let mut client = client(&wire).await;
        assert_eq!(timeout(LIMIT, asked(&mut client)).await.unwrap().unwrap(), 7);
        // Whoever has said everything still hears the answer's end.
        client.shutdown().await.unwrap();
        assert_eq!(timeout(LIMIT, client.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
    }
}

#[tokio::test]
async fn what_a_dead_wire_holds_back_comes_once_it_is_mended() {
    let wire = Wire::start(vec![echo().await]).await.unwrap();
    let mut old = client(&wire).await;
    asked(&mut old).await.unwrap();
    wire.deaden();
    let mut new = client(&wire).await;
    old.write_u8(8).await.unwrap();
    new.write_u8(9).await.unwrap();
    assert!(timeout(SILENCE, old.read_u8()).await.is_err());
    assert!(timeout(SILENCE, new.read_u8()).await.is_err());
    wire.mend();
    assert_eq!(timeout(LIMIT, old.read_u8()).await.unwrap().unwrap(), 8);
    assert_eq!(timeout(LIMIT, new.read_u8()).await.unwrap().unwrap(), 9);
}

#[tokio::test]
async fn a_slow_wire_takes_its_time_in_both_directions() {
    let wire = Wire::start(vec![echo().await]).await.unwrap();
    let mut client = client(&wire).await;
    asked(&mut client).await.unwrap();
    wire.slow(SILENCE);
    let began = Instant::now();
    asked(&mut client).await.unwrap();
    assert!(began.elapsed() >= 2 * SILENCE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_cut_is_heard_at_both_ends_or_at_one() {
    let wire = Wire::start(vec![echo().await]).await.unwrap();
    let mut reset = client(&wire).await;
    asked(&mut reset).await.unwrap();
    wire.reset();
    let heard = timeout(LIMIT, reset.read_u8()).await.unwrap().unwrap_err();
    assert_eq!(heard.kind(), ErrorKind::ConnectionReset);

    let mut half = client(&wire).await;
    asked(&mut half).await.unwrap();
    wire.half_open();
    half.write_u8(1).await.unwrap();
    assert!(timeout(SILENCE, half.read_u8()).await.is_err(), "nobody may answer");
    // Whoever comes anew is served.
    assert_eq!(timeout(LIMIT, asked(&mut client(&wire).await)).await.unwrap().unwrap(), 7);
}
