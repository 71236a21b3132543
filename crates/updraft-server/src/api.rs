//! `/api/v1`: what programs and the command line change and ask, as JSON. It reads requests, calls the
//! store and says what came of it; rules of the fleet are elsewhere.

pub(crate) mod caller;
pub(crate) mod channels;
pub(crate) mod devices;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod images;
pub(crate) mod import;
pub(crate) mod key;
pub(crate) mod problem;
pub(crate) mod products;
pub(crate) mod releases;
pub(crate) mod request;
pub(crate) mod show;
pub(crate) mod signer;
pub(crate) mod tokens;
pub mod wire;

pub use tokens::{CreateTokenError, create_token};

/// Where the API is.
pub(crate) const ROOT: &str = "/api/v1/";
