//! What a program shows to use the API. Only the hash of a token is ever kept.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::digest::Sha256;

use super::named::named;

/// Number of a token's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TokenKey(pub(crate) i64);

/// An API token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Its row.
    pub key: TokenKey,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// SHA-256 of the token: it is long and random, so no slow hash is needed.
    pub hash: Sha256,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last shown, to a minute or so.
    pub last_used_at: Option<Timestamp>,
    /// When it was withdrawn.
    pub revoked_at: Option<Timestamp>,
}

named! {
    /// What a token may do.
    pub(crate) enum Scope: "scope" {
        /// Look at everything that is no secret.
        Read = "read",
        /// Change devices.
        Devices = "devices",
        /// Publish releases and move channels.
        Publish = "publish",
        /// Run rollouts.
        Rollout = "rollout",
        /// Everything, tokens included.
        Admin = "admin",
    }
}
