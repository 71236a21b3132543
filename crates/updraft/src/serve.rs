//! `updraft serve`: the options of the server, and its start.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use updraft_server::clock::SystemClock;
use updraft_server::config::{ByteSize, Config, Env, LogFormat, LogLevel, Overrides};

use crate::ui;

/// Serve a folder of firmware files to ESP8266 and ESP32 devices.
///
/// Every option can also be set in `updraft.toml` or by an `UPDRAFT_*` variable; see
/// docs/updraft.example.toml.
#[derive(Debug, clap::Args)]
#[command(
    args_override_self = true,
    after_help = "Example:\n  updraft serve -p 80 -p 8000 -d firmware"
)]
pub(crate) struct ServeArgs {
    /// Port to listen on; may be repeated [default: 8000].
    #[arg(short, long, value_name = "PORT")]
    port: Vec<u16>,
    /// Address to listen on [default: 0.0.0.0, every interface].
    #[arg(short, long, value_name = "ADDR")]
    bind: Option<String>,
    /// Folder of firmware files [default: the current folder].
    #[arg(short = 'd', long, value_name = "DIR")]
    catalog: Option<PathBuf>,
    /// What to log: critical, error, warning, info, debug, trace [default: info].
    #[arg(short, long, value_name = "LEVEL")]
    log: Option<LogLevel>,
    /// How log lines look: auto, text, json [default: auto, text on a terminal].
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// The server's own folder, never served [default: ./updraft-data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Configuration file [default: updraft.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Memory for images, as 64MiB [default: 64MiB].
    #[arg(long, value_name = "SIZE")]
    cache_size: Option<ByteSize>,
    /// Send a file to a device that runs it already, instead of "no update".
    #[arg(long)]
    resend: bool,
    /// Send files even to devices that they would break.
    #[arg(long)]
    no_gate: bool,
}

/// Serves until the process is told to stop. Exit code 2: it cannot start like that.
pub(crate) fn run(args: ServeArgs) -> ExitCode {
    let overrides = Overrides {
        ports: args.port,
        bind: args.bind,
        catalog: args.catalog,
        data: args.data,
        log: args.log,
        log_format: args.log_format,
        config: args.config,
        cache_size: args.cache_size,
        resend: args.resend,
        no_gate: args.no_gate,
    };
    let config = match Config::load(overrides, &ProcessEnv) {
        Ok(config) => config,
        Err(error) => return ui::wrong_usage(&error),
    };
    updraft_server::log::start(config.log);
    match updraft_server::run(&config, Arc::new(SystemClock)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ui::wrong_usage(&error),
    }
}

/// The environment of this process.
pub(crate) struct ProcessEnv;

impl Env for ProcessEnv {
    #[expect(clippy::disallowed_methods, reason = "the one door to the environment")]
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
