//! A whole firmware of an ESP32-C3 that updates itself. What is of the board (its flash, its network,
//! its restart) is behind [`Board`], so this builds for any computer, where it does nothing.

use core::fmt;

use embedded_storage::nor_flash::NorFlash;
use updraft_agent::pull::{self, Cause, Evidence, Mode, Network, Offers, Options, Outcome, Url};
use updraft_agent::{
    Boot as _, BootError, Esp32, Install, OtaBoot, Request, Rollback, Running, Size, Trial,
    UpdateError, Updater,
};
use updraft_core::{AppKind, Chip, Family, OtaTarget, PartitionTable};

const VERSION: &str = "1.2.0";
const SERVER: &str = "http://192.168.4.10:8000/update/door";

/// What a firmware brings along.
trait Board {
    /// The flash, whole.
    type Flash: NorFlash;
    /// The network: its reads fail with `TimedOut` every 0.1 to 1 s, and it never falls back to plain
    /// TCP.
    type Network: Network;

    fn parts(&mut self) -> (&mut Self::Flash, &mut Self::Network);
    /// From where the boot loader started this.
    fn running(&self) -> AppKind;
    fn mac(&self) -> [u8; 6];
    /// Until it is time to ask.
    fn wait(&mut self);
    fn log(&mut self, line: fmt::Arguments<'_>);
    fn restart(&mut self);
}

/// Why there was no update.
enum Fault {
    /// The pull or the updater; its number is told to the server with the next question.
    Pull(i32),
    /// The way to the boot loader.
    Boot(BootError),
    /// What runs could not be read.
    Flash(updraft_agent::Cause),
    /// The URL is none.
    Url(pull::UrlFault),
}

#[expect(dead_code, reason = "only a board can call it")]
fn firmware(board: &mut impl Board, table: &PartitionTable) {
    let mut last_error = None;
    loop {
        board.wait();
        match update(board, table, last_error) {
            Ok(Next::Restart) => return board.restart(),
            Ok(Next::Wait) => last_error = None,
            Err(Fault::Pull(number)) => last_error = Some(number),
            Err(Fault::Boot(error)) => board.log(format_args!("boot loader: {error}")),
            Err(Fault::Flash(cause)) => board.log(format_args!("flash: {cause:?}")),
            Err(Fault::Url(fault)) => board.log(format_args!("{SERVER}: {fault}")),
        }
    }
}

/// What is to be done then.
enum Next {
    Wait,
    Restart,
}

fn update(
    board: &mut impl Board,
    table: &PartitionTable,
    last_error: Option<i32>,
) -> Result<Next, Fault> {
    let (running, mac) = (board.running(), board.mac());
    let (flash, network) = board.parts();
    let mut scratch = [0; 4096];
    // Once after a start is enough; here for short.
    let sketch = Running::on_esp32(flash, table, running, &mut scratch).map_err(Fault::Flash)?;
    let esp32 = Esp32 {
        chip: Chip::Esp32C3,
        table,
        running,
        rollback: Rollback::Enabled,
        secure_version: 0,
        filesystem: None,
    };
    let trial = OtaBoot::new(flash, esp32).trial().map_err(Fault::Boot)?;

    let device = pull::Device {
        family: Family::Esp32,
        base_mac: Some(mac),
        sta_mac: Some(mac),
        ap_mac: None,
        free_space: table.next_update(running).map_or(0, |next| next.size),
        filesystem_size: None,
        sketch_size: sketch.size,
        sketch_md5: Some(sketch.md5),
        sketch_sha256: sketch.sha256,
        chip_size: 4 << 20,
        sdk_version: "v5.4.2",
    };
    let question = pull::Request {
        mode: Mode::Update(OtaTarget::Sketch),
        version: Some(VERSION),
        evidence: Evidence {
            last_error,
            // While on trial, the updater would refuse an update.
            offers: if trial == Trial::Pending { Offers::Unwanted } else { Offers::Wanted },
            ..Evidence::default()
        },
        ..pull::Request::new(device, Url::parse(SERVER).map_err(Fault::Url)?, OtaTarget::Sketch)
    };

    let (mut buffer, mut block) = ([0; 512], [0; 1460]);
    let mut updater = Updater::new(flash, esp32, &mut scratch);
    let request = Request::new(OtaTarget::Sketch, Size::Unknown);
    let mut install = Install::new(&mut updater, request);
    let options = Options::of(Family::Esp32);
    let outcome = pull::run(network, &question, options, &mut buffer, &mut block, &mut install);
    let staged = install.into_staged();

    let mut boot = OtaBoot::new(flash, esp32);
    match outcome {
        Outcome::Updated => {
            if let Some(staged) = staged {
                boot.activate(staged).map_err(Fault::Boot)?;
            }
            Ok(Next::Restart)
        }
        // The server was reached: that is the test of this firmware that it works.
        Outcome::UpToDate | Outcome::Version { .. } => {
            boot.confirm().map_err(Fault::Boot)?;
            Ok(Next::Wait)
        }
        Outcome::Failed(error) => {
            if is_pending(&error.cause) {
                boot.confirm().map_err(Fault::Boot)?;
            }
            Err(Fault::Pull(error.number()))
        }
    }
}

/// Whether the server offered an image that has to wait for the running one to be confirmed.
fn is_pending(cause: &Cause<UpdateError>) -> bool {
    matches!(cause, Cause::Update(error) if error.cause == updraft_agent::Cause::Pending)
}

fn main() {
    // On a board: `firmware(&mut board, &table)`.
}
