//! The device plane: connections of update clients, read by our own small HTTP reader. What no device
//! asks is handed to the people plane at a request boundary.

pub(crate) mod alarm;
pub(crate) mod connection;
pub(crate) mod fresh;
pub(crate) mod managed;
pub(crate) mod request;
pub(crate) mod respond;
pub(crate) mod stream;
