//! Dialects: the languages of update clients. A dialect only translates, request to [`CheckIn`] and
//! decision to answer; it never decides and never touches the disk.
//!
//! [`CheckIn`]: crate::check_in::CheckIn

pub(crate) mod arduino;
pub(crate) mod autoconnect;
