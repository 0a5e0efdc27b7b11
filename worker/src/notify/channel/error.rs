//! Why a channel cannot be made.

/// A channel cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    /// The certificates to trust cannot be used.
    #[error("connection.ca_file cannot be used for mail")]
    Trust(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file with them cannot be read.
    #[error("connection.ca_file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// There is no identity to ask for tokens by.
    #[error("the channel {0} needs [notify.identity]")]
    NoIdentity(Box<str>),
}
