//! Asking a server for an image, as `ESP8266httpUpdate` and the ESP32's `HTTPUpdate` do it: the same
//! request, and of every answer the same result and error number. `AutoConnect` downloads what was
//! chosen from its list with the same clients.
//!
//! [`Pull`] does no I/O and reads no clock: it says what it waits for and until when, and is told what
//! happened. [`run()`] drives one over a network that blocks. The image goes to a [`Sink`]; nothing here
//! knows a flash.
//!
//! Stricter than the stock clients, always before anything is written:
//!
//! - an `x-MD5` of 32 characters that are no hexadecimal digits is error -105, not a download and then
//!   error 7;
//! - a chunked filesystem image is error -9; they write the chunks' sizes, too (a chunked sketch is -101
//!   or -106, as with them);
//! - a sketch for a flash of 2 or 4 MiB in two halves (`-c1`) is error -107 on a smaller chip; they do not
//!   know these sizes;
//! - a head that does not go on for 8 s is error -11, also within a line;
//! - credentials do not follow a redirect to another server;
//! - a URL with a blank or a control character is refused ([`UrlFault`]).
//!
//! Quicker: a body that ends early is error 6 (or -106) at once, not when its time is up.
//!
//! ```
//! use updraft_agent::pull::{Device, Evidence, Request, Url, UrlFault};
//! use updraft_core::OtaTarget;
//!
//! /// What a device of version 1.2.0 asks, whose signal is so strong.
//! fn question<'a>(device: Device<'a>, rssi: i32) -> Result<Request<'a>, UrlFault> {
//!     let url = Url::parse("http://192.168.4.10:8000/update/door")?;
//!     Ok(Request {
//!         version: Some("1.2.0"),
//!         evidence: Evidence { rssi: Some(rssi), ..Evidence::default() },
//!         ..Request::new(device, url, OtaTarget::Sketch)
//!     })
//! }
//! ```

mod credentials;
mod error;
mod head;
mod machine;
mod options;
mod redirect;
mod request;
mod run;
mod sink;
mod url;

pub use credentials::Credentials;
pub use error::{Cause, PullError, UpdateError};
pub use machine::{Outcome, Pull, Step};
pub use options::{Options, Redirects, Timeouts};
pub use request::{Device, Evidence, Mode, Offers, Request};
pub use run::{Network, run};
pub use sink::{Incoming, Sink};
pub use url::{Scheme, Url, UrlFault};
