//! Short writes in several pieces, joined: the kernel takes one piece by `send` for less than some by
//! `writev`. Long ones pass as they are, without a copy.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes that are copied: the head of an answer and the body of a usual one.
const JOINED_MAX_BYTES: usize = 1536;

/// A socket whose short writes are joined.
#[derive(Debug)]
pub struct Joined<S>(pub S);

impl<S: AsyncRead + Unpin> AsyncRead for Joined<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Joined<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = Pin::new(&mut self.0);
        if let [only] = bufs {
            return socket.poll_write(cx, only);
        }
        let mut space = [0; JOINED_MAX_BYTES];
        let mut length = 0;
        for piece in bufs {
            let Some(room) = space.get_mut(length..length + piece.len()) else {
                return socket.poll_write_vectored(cx, bufs);
            };
            room.copy_from_slice(piece);
            length += piece.len();
        }
        socket.poll_write(cx, &space[..length])
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What a reader sees of two pieces, and how much of them was taken at once.
    async fn written(head: &[u8], body: &[u8]) -> (usize, Vec<u8>) {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let mut joined = Joined(ours);
        let pieces = [IoSlice::new(head), IoSlice::new(body)];
        let taken = joined.write_vectored(&pieces).await.unwrap();
        drop(joined);
        let mut seen = Vec::new();
        theirs.read_to_end(&mut seen).await.unwrap();
        (taken, seen)
    }

    #[tokio::test]
    async fn pieces_come_in_their_order_joined_or_not() {
        for length in [0, 1, JOINED_MAX_BYTES - 4, JOINED_MAX_BYTES - 3, 9000] {
            let body: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let (taken, seen) = written(b"head", &body).await;
            assert_eq!(taken, seen.len());
            assert_eq!(seen, [b"head", &*body].concat(), "{length}");
        }
    }
}
