//! What all ways to the service have in common: bytes in both directions.

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream to the service, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + std::fmt::Debug + Send + Sync + Unpin> Stream for S {}
