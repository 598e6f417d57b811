//! `storefront-order ready`: asks the service that runs beside it, for the health checks of container
//! engines. The images hold no other program that could.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(2);
/// Enough for `HTTP/1.1 200`.
const STATUS_LINE_BYTES: usize = 12;

/// Why a service is not ready.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    #[error("{address} cannot be asked")]
    Unreachable {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("{address}{path} answers {status:?}")]
    Answer { address: SocketAddr, path: String, status: String },
}

impl NotReady {
    /// A fixed word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "Unreachable",
            Self::Answer { .. } => "NotReady",
        }
    }
}

/// Whether the program was called to ask, and not to serve.
pub fn is_asked_for() -> bool {
    std::env::args_os().nth(1).is_some_and(|word| word == "ready")
}

/// Asks for a path; anything but a 200 is not ready. An address that listens everywhere is asked at the
/// loopback.
pub fn ask(address: SocketAddr, path: &str) -> Result<(), NotReady> {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let answer =
        status(address, path).map_err(|source| NotReady::Unreachable { address, source })?;
    if answer.ends_with(" 200") {
        return Ok(());
    }
    Err(NotReady::Answer { address, path: path.into(), status: answer })
}

fn status(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut start = [0; STATUS_LINE_BYTES];
    stream.read_exact(&mut start)?;
    Ok(String::from_utf8_lossy(&start).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_a_200_is_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = ["200 OK", "503 Service Unavailable"];
        let server = std::thread::spawn(move || {
            for answer in answers {
                let (mut client, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    client.read_exact(&mut byte).unwrap();
                    request.extend(byte);
                }
                assert!(request.starts_with(b"GET /readyz HTTP/1.1\r\n"));
                // In one piece: `ask` closes as soon as it has read what it needs.
                client.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).unwrap();
            }
        });
        assert!(ask(address, "/readyz").is_ok());
        let error = ask(address, "/readyz").unwrap_err();
        assert_eq!(error.reason(), "NotReady");
        assert!(error.to_string().ends_with(r#"/readyz answers "HTTP/1.1 503""#), "{error}");
        server.join().unwrap();
        assert_eq!(ask(address, "/readyz").unwrap_err().reason(), "Unreachable");
    }
}
