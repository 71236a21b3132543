//! Why a pull failed: the numbers and texts of the stock clients (`getLastError` and
//! `getLastErrorString`), which users and servers know.

use core::fmt;

use updraft_core::Family;

/// The updater's own error number for a stream that does not go on (`UPDATE_ERROR_STREAM`).
const STREAM: i32 = 6;

/// A pull that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullError<E> {
    /// Whose words are used.
    pub family: Family,
    /// Why.
    pub cause: Cause<E>,
}

/// Why a pull failed.
///
/// Numbers from -1 to -11 are those of `HTTPClient`. -3, -4, -6 and -10 are not among them: there is no
/// payload to send, and the body goes to the updater.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause<E> {
    /// -1: nobody answers there, or not in time.
    ConnectionFailed,
    /// -2: the request could not be sent.
    SendHeaderFailed,
    /// -5: the connection ended before the head of the answer did.
    ConnectionLost,
    /// -7: what came has no status.
    NoHttpServer,
    /// -8: a header field that matters is longer than the buffer.
    NotEnoughRam,
    /// -9: the body comes in a form that no client takes.
    Encoding,
    /// -11: nothing came for too long, before the head was complete.
    ReadTimeout,
    /// -100: the image is longer than the space for it.
    NotEnoughSpace,
    /// -101: the answer does not say how long the image is.
    NoSize,
    /// -102: status 404.
    NotFound,
    /// -103: status 403.
    Forbidden,
    /// -104: any other status that is no yes.
    WrongStatus(u16),
    /// -105: `x-MD5` is no MD5.
    WrongMd5,
    /// -106: what comes is no image of a sketch.
    VerifyHeader,
    /// -107: the image is for a larger flash chip. ESP8266 only.
    FlashSize,
    /// -108, ESP8266: status 401.
    Unauthorized,
    /// -108, ESP32: there is no partition for it.
    NoPartition,
    /// -109: asked for a version, the server names none. The stock client has no text for it.
    NoVersion,
    /// 6: the body ended early, or nothing of it came for too long.
    StreamTimeout,
    /// What the updater says.
    Update(E),
}

/// An error of an updater: its text is its `Display`, without number and line end.
pub trait UpdateError: fmt::Display {
    /// Its number, from 1 upwards (`Updater::getError`).
    fn number(&self) -> u8;
}

impl<E: UpdateError> PullError<E> {
    /// The number: negative for the transfer, positive for the updater (`getLastError`).
    pub fn number(&self) -> i32 {
        match &self.cause {
            Cause::ConnectionFailed => -1,
            Cause::SendHeaderFailed => -2,
            Cause::ConnectionLost => -5,
            Cause::NoHttpServer => -7,
            Cause::NotEnoughRam => -8,
            Cause::Encoding => -9,
            Cause::ReadTimeout => -11,
            Cause::NotEnoughSpace => -100,
            Cause::NoSize => -101,
            Cause::NotFound => -102,
            Cause::Forbidden => -103,
            Cause::WrongStatus(_) => -104,
            Cause::WrongMd5 => -105,
            Cause::VerifyHeader => -106,
            Cause::FlashSize => -107,
            Cause::Unauthorized | Cause::NoPartition => -108,
            Cause::NoVersion => -109,
            Cause::StreamTimeout => STREAM,
            Cause::Update(error) => error.number().into(),
        }
    }
}

/// The text of the stock client (`getLastErrorString`), capitals and all.
impl<E: UpdateError> fmt::Display for PullError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let esp8266 = self.family == Family::Esp8266;
        let http = |f: &mut fmt::Formatter<'_>, text| write!(f, "HTTP error: {text}");
        match &self.cause {
            Cause::ConnectionFailed if esp8266 => http(f, "connection failed"),
            Cause::ConnectionFailed => http(f, "connection refused"),
            Cause::SendHeaderFailed => http(f, "send header failed"),
            Cause::ConnectionLost => http(f, "connection lost"),
            Cause::NoHttpServer => http(f, "no HTTP server"),
            Cause::NotEnoughRam if esp8266 => http(f, "not enough ram"),
            Cause::NotEnoughRam => http(f, "too less ram"),
            Cause::Encoding => http(f, "Transfer-Encoding not supported"),
            Cause::ReadTimeout => http(f, "read Timeout"),
            Cause::NotEnoughSpace => f.write_str("Not Enough space"),
            Cause::NoSize => f.write_str("Server Did Not Report Size"),
            Cause::NotFound => f.write_str("File Not Found (404)"),
            Cause::Forbidden => f.write_str("Forbidden (403)"),
            Cause::WrongStatus(_) => f.write_str("Wrong HTTP Code"),
            Cause::WrongMd5 => f.write_str("Wrong MD5"),
            Cause::VerifyHeader => f.write_str("Verify Bin Header Failed"),
            Cause::FlashSize => f.write_str("New Binary Does Not Fit Flash Size"),
            Cause::Unauthorized => f.write_str("Unauthorized (401)"),
            Cause::NoPartition => f.write_str("Partition Could Not be Found"),
            Cause::NoVersion => Ok(()),
            Cause::StreamTimeout => self.update(f, STREAM, &"Stream Read Timeout"),
            Cause::Update(error) => self.update(f, self.number(), error),
        }
    }
}

impl<E> PullError<E> {
    /// What `printError` of the updater makes of it: the ESP8266's names the number, too.
    fn update(
        &self,
        f: &mut fmt::Formatter<'_>,
        number: i32,
        text: &dyn fmt::Display,
    ) -> fmt::Result {
        match self.family {
            Family::Esp8266 => write!(f, "Update error: ERROR[{number}]: {text}"),
            Family::Esp32 => write!(f, "Update error: {text}"),
        }
    }
}

impl<E: UpdateError + fmt::Debug> core::error::Error for PullError<E> {}
