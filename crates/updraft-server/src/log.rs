//! The log: one line for each request, and how lines look. Secrets never get here: no query, no
//! credentials.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::Duration;

use tracing::field::display;
use tracing::level_filters::LevelFilter;

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::deliver::Outcome;
use crate::device::request::DeviceRequest;
use crate::device::respond::{Reply, Weight};
use crate::http::BadHead;
use crate::router::path_token;

/// Starts logging to standard error. Once in a process; later calls change nothing.
pub fn start(config: LogConfig) {
    let level = match config.level {
        LogLevel::Critical => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        // A log that nobody reads any more stops nobody: complaining about it there would panic.
        .log_internal_errors(false)
        .with_target(false)
        .with_ansi(terminal);
    let text = match config.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let started = if text { lines.try_init() } else { lines.json().flatten_event(true).try_init() };
    // A process that logs already has its own way of doing it.
    drop(started);
}

/// Writes the line of one device-plane request. What it `took` is asked only if there is a line.
pub(crate) fn request(
    request: &DeviceRequest,
    reply: &Reply,
    outcome: Outcome,
    took: impl FnOnce() -> Duration,
) {
    let failed = outcome.ended.words();
    let is_warning = failed.is_some() || reply.weight == Weight::Warning;
    if !is_warning && !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let check_in = request.client.check_in();
    let device = check_in.map(|check_in| display(check_in.device));
    let version = check_in.and_then(|check_in| check_in.version.as_deref());
    let runs = reply.runs.as_ref().map(|entry| display(&entry.path));
    let peer = device.is_none().then(|| display(request.peer));
    let status = reply.answer.status.code();
    let why = failed.unwrap_or(&reply.why);
    // A path's secret is no one's business.
    let path = &*request.path;
    let asked = shortened(path_token(path).map_or(path, |(_, rest)| rest));
    let milliseconds = u64::try_from(took().as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                device,
                peer,
                runs,
                version,
                asked,
                status,
                bytes_acknowledged = outcome.acknowledged,
                milliseconds,
                "{} {}: {status}, {why}",
                request.client.words(),
                asked.escape_debug(),
            )
        };
    }
    if is_warning {
        line!(tracing::Level::WARN);
    } else {
        line!(tracing::Level::INFO);
    }
}

/// A path, cut off where it is longer than any that a device is meant to ask for.
fn shortened(path: &str) -> &str {
    path.char_indices().nth(200).map_or(path, |(end, _)| &path[..end])
}

/// Writes the line of a request on the people plane.
pub(crate) fn people(peer: SocketAddr, method: &str, path: &str, status: u16, took: Duration) {
    tracing::info!(
        peer = %peer.ip(),
        asked = path,
        status,
        milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "browser {method} {}: {status}",
        path.escape_debug(),
    );
}

/// Writes the line of something that was no request.
pub(crate) fn refused(peer: SocketAddr, status: u16, error: BadHead) {
    tracing::warn!(peer = %peer.ip(), status, "refused: {error}");
}

/// With `debug`, writes the header fields of a request, credentials left out.
pub(crate) fn head<'b>(
    target: &str,
    fields: impl Iterator<Item = (&'b [u8], &'b [u8])>,
    peer: SocketAddr,
) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let fields: Vec<String> = fields
        .map(|(name, value)| {
            let name = String::from_utf8_lossy(name);
            // A referrer is a URL with its query.
            let secret = ["authorization", "cookie", "proxy-authorization", "referer", "x-api-key"]
                .iter()
                .any(|secret| name.eq_ignore_ascii_case(secret));
            let value = if secret { "[not logged]".into() } else { String::from_utf8_lossy(value) };
            format!("{name}: {}", value.escape_debug())
        })
        .collect();
    let path = target.split('?').next().unwrap_or_default();
    let path = path_token(path).map_or(path, |(_, rest)| rest);
    tracing::debug!(%peer, head = fields.join("; "), "request head of {}", path.escape_debug());
}
