//! One request over a connection of its own, waited for.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::answer::{Ask, Incoming};
use crate::ui;

/// Sends it, and judges the whole answer; how long that took.
pub(crate) fn ask(to: SocketAddrV4, ask: &Ask, patience: Duration) -> Result<Duration> {
    let mut buffer = vec![0; 64 << 10];
    let began = ui::now();
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::V4(to), patience).context("no connection")?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(&ask.request)?;
    let mut incoming = Incoming::default();
    while incoming.left() != Some(0) {
        match stream.read(&mut buffer).context("no answer")? {
            0 => bail!("the connection ended before the answer did"),
            length => incoming.take(&ask.right, &buffer[..length])?,
        }
    }
    Ok(began.elapsed())
}
