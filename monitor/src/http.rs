//! The HTTP server: `/metrics`, `/healthz`, `/readyz`.
//!
//! It asks for a snapshot through a [`Board`] and prints it on another thread: however many ask, and however slowly they
//! read, the judging thread gives at most one snapshot every 250 ms and waits for nobody.

mod board;
mod limit;

pub use board::Board;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use limit::Limited;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for metrics")]
pub struct Error {
    address: SocketAddr,
    source: std::io::Error,
}

/// Listens on `address`.
///
/// # Errors
/// The address is taken, not ours, or not allowed.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error { address, source })
}

/// Serves what `board` knows, until it is dropped.
pub async fn serve(listener: TcpListener, board: Arc<Board>) {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(board);
    // Of failing to accept, axum logs and tries again; it never returns.
    let _ = axum::serve(Limited::new(listener), routes).await;
}

async fn metrics(State(board): State<Arc<Board>>) -> Response {
    match board.text().await {
        Some(text) => reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
        None => status(false, "the judging thread does not answer\n"),
    }
}

async fn healthz(State(board): State<Arc<Board>>) -> Response {
    if board.is_moving() { status(true, "moving\n") } else { status(false, "the judging thread stands still\n") }
}

async fn readyz(State(board): State<Arc<Board>>) -> Response {
    if board.is_ready() {
        status(true, "counting\n")
    } else {
        status(false, "not counting: blind, or the first window is not full\n")
    }
}

fn status(well: bool, words: &'static str) -> Response {
    let code = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply(code, "text/plain; charset=utf-8", Bytes::from_static(words.as_bytes()))
}

/// A connection serves one request: none is kept idle.
fn reply(code: StatusCode, kind: &'static str, body: Bytes) -> Response {
    (code, [(header::CONTENT_TYPE, kind), (header::CONNECTION, "close")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn metrics_have_the_content_type_of_their_format() {
        let (address, board) = served().await;
        let judging = judging(&board);
        let response = get(address, "/metrics").await;
        judging.abort();
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(response.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{response}");
        assert!(response.contains("\noopsd_queries_total{zone=\"nl.\"} 100\n"), "{response}");
    }

    #[tokio::test]
    async fn health_and_readiness_are_statuses() {
        let (address, board) = served().await;
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 503"));
        board.offer(true, || unreachable!("nobody asked"));
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
    }

    #[tokio::test]
    async fn slow_peers_keep_nobody_from_reading() {
        let (address, board) = served().await;
        let judging = judging(&board);
        let mut slow = Vec::new();
        for _ in 0..50 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /metrics HT").await.unwrap();
            slow.push(stream);
        }
        assert!(get(address, "/metrics").await.starts_with("HTTP/1.1 200"));
        judging.abort();
    }

    #[tokio::test]
    async fn a_taken_address_is_an_error_that_names_it() {
        let (address, _) = served().await;
        let error = bind(address).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on {address} for metrics"));
    }

    async fn served() -> (SocketAddr, Arc<Board>) {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let board = Arc::new(Board::new(Duration::from_millis(100)));
        tokio::spawn(serve(listener, Arc::clone(&board)));
        (address, board)
    }

    /// Offers as a judging thread would.
    fn judging(board: &Arc<Board>) -> tokio::task::JoinHandle<()> {
        let board = Arc::clone(board);
        tokio::spawn(async move {
            loop {
                board.offer(true, metrics::tests::snapshot);
                // Its tick.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }
}
