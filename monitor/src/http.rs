//! The HTTP server: `/metrics`, `/healthz`, `/readyz`.
