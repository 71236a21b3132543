//! `cargo xtask count`: the instructions that the server spends on one check, counted by callgrind. The
//! same on any machine however busy, so it can guard the hot path where a timed test could not. It
//! does not see the kernel, and says nothing of how fast anything is: that is the bench.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::bench;
use crate::bench::load::answer::md5_hex;
use crate::shell::{self, command};
use crate::{debian, ui};

/// A check and how many instructions it may take: half as many again as when the number was set, so
/// that only a change of design reaches it.
struct Budget {
    name: &'static str,
    kept: Kept,
    instructions: u64,
}

/// What connections a device makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// One for each check, over HTTP/1.0.
    No,
    /// One for all, over HTTP/1.1.
    Yes,
}

const BUDGETS: [Budget; 2] = [
    Budget { name: "a check on a connection of its own", kept: Kept::No, instructions: 20_000 },
    Budget { name: "a check on a kept connection", kept: Kept::Yes, instructions: 13_500 },
];

/// Checks of the shorter and of the longer run: the difference leaves out start and end.
const FEW: u64 = 100;
const MANY: u64 = 1100;

/// How long the server may take to listen; under callgrind everything takes fifty times as long.
const PATIENCE: Duration = Duration::from_mins(1);

/// The command.
pub(crate) fn run() -> Result<()> {
    debian::need(&["valgrind"])?;
    let program = bench::build()?;
    let mut over = Vec::new();
    for Budget { name, kept, instructions } in BUDGETS {
        let counted = instructions_each(&program, kept)?;
        ui::say(format_args!("  {name}: {counted} instructions, {instructions} at most"));
        if counted > instructions {
            over.push(name);
        }
    }
    ensure!(over.is_empty(), "too many instructions for {}", over.join(" and "));
    Ok(())
}

fn instructions_each(program: &Path, kept: Kept) -> Result<u64> {
    let few = count(program, kept, FEW)?;
    let many = count(program, kept, MANY)?;
    let spent = many.checked_sub(few).context("more checks took fewer instructions")?;
    Ok(spent / (MANY - FEW))
}

/// Counts the instructions of a server that answers so many checks, from its start to its end.
fn count(program: &Path, kept: Kept, checks: u64) -> Result<u64> {
    let folder = tempfile::tempdir()?;
    let (catalog, log) = (folder.path().join("fw"), folder.path().join("callgrind.log"));
    let (_, image) = updraft_pack::example_firmware().into_iter().next().context("an image")?;
    fs::create_dir(&catalog)?;
    fs::write(catalog.join("door.bin"), &image)?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;

    let mut serve = Command::new("valgrind");
    serve.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    serve.arg(format!("--log-file={}", log.display())).arg(program).arg("serve");
    serve.arg("-d").arg(&catalog).arg("--data").arg(folder.path().join("data"));
    serve.args(["-b", "127.0.0.1", "-p", &address.port().to_string(), "-l", "warning"]);
    serve.env("UPDRAFT_CATALOG_SETTLE", "0s").current_dir(folder.path());
    let mut server = Killed(serve.spawn().context("cannot start valgrind")?);

    let mut connection = connect(address)?;
    // What the first one costs, none of the others does.
    let request = request(kept, &image);
    check(&mut connection, &request)?;
    for _ in 0..checks {
        if kept == Kept::No {
            connection = connect(address)?;
        }
        check(&mut connection, &request)?;
    }
    drop(connection);
    shell::run(&mut command("kill", &[&server.0.id().to_string()]))?;
    ensure!(server.0.wait()?.success(), "the server did not end well");
    collected(&fs::read_to_string(&log)?).context("callgrind counted nothing")
}

/// A server that does not outlive us.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let started = ui::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) if started.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// What a device sends that runs the image already.
fn request(kept: Kept, image: &[u8]) -> String {
    let version = if kept == Kept::Yes { "1.1" } else { "1.0" };
    let md5 = md5_hex(image);
    format!(
        "GET /door.bin HTTP/{version}\r\nHost: 127.0.0.1\r\nUser-Agent: ESP8266-http-Update\r\n\
         x-ESP8266-Chip-ID: 11657282\r\nx-ESP8266-STA-MAC: 5C:CF:7F:B1:E0:42\r\n\
         x-ESP8266-AP-MAC: 5E:CF:7F:B1:E0:42\r\nx-ESP8266-free-space: 1695744\r\n\
         x-ESP8266-sketch-size: {}\r\nx-ESP8266-sketch-md5: {md5}\r\n\
         x-ESP8266-chip-size: 4194304\r\nx-ESP8266-sdk-version: 2.2.2-dev(38a443e)\r\n\
         x-ESP8266-mode: sketch\r\nx-ESP8266-version: 1.0.0\r\nContent-Length: 0\r\n\r\n",
        image.len(),
    )
}

/// Asks once, and takes nothing but "not modified".
fn check(connection: &mut TcpStream, request: &str) -> Result<()> {
    connection.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut part = [0; 1024];
        let length = connection.read(&mut part)?;
        if length == 0 {
            break;
        }
        answer.extend_from_slice(&part[..length]);
    }
    if !answer.starts_with(b"HTTP/1.1 304 ") {
        bail!("the server did not answer 304 but {}", String::from_utf8_lossy(&answer));
    }
    Ok(())
}

/// The number in callgrind's `Collected : 12345`.
fn collected(log: &str) -> Option<u64> {
    let (_, rest) = log.split_once("Collected :")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrind_s_number_is_found() {
        let log = "==7== Events    : Ir\n==7== Collected : 3821904\n==7==\n==7== I   refs:\n";
        assert_eq!(collected(log), Some(3_821_904));
        assert_eq!(collected("==7== Events    : Ir\n"), None);
    }
}
