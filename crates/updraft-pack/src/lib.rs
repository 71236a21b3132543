//! Makes firmware images.
