//! `/api/v1`: what programs and the command line change and ask, as JSON. It reads requests, calls the
//! store and says what came of it; rules of the fleet are elsewhere.

pub mod wire;
