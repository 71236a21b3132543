//! A fleet of slow devices: each downloads one image at its own pace, with the window of its small TCP
//! stack. Bounded in time: what is unfinished then is counted as that.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use super::answer::{Ask, Incoming};
use super::sys::{self, Window};
use super::{figure, source};
use crate::ui;

/// lwIP as the Arduino cores build it: four segments of 1460 bytes.
pub(crate) const LWIP: Window = Window { receive_buffer: Some(4 * 1460), segment: Some(1460) };

/// Bytes that a device at its pace reads at a time: less than its window, so that it is never the
/// window that sets the pace.
const BITE: u64 = 4000;
/// From how much on the load was late: a device's pace is then not its own any more.
const LATE: Duration = Duration::from_millis(200);
/// Parts of the fleet that take turns to read, so that reading is spread evenly.
const SLOTS: usize = 50;

/// The fleet.
pub(crate) struct Plan<'a> {
    pub(crate) to: SocketAddrV4,
    /// One for each device.
    pub(crate) asks: &'a [Ask],
    /// Bytes a second that each takes.
    pub(crate) rate: u64,
    /// Within this time, all have begun.
    pub(crate) ramp: Duration,
    /// After this, all is over.
    pub(crate) most: Duration,
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Devices that have their image, each byte as it must be.
    pub(crate) right: usize,
    pub(crate) wrong: usize,
    /// Connections that ended early.
    pub(crate) broken: usize,
    pub(crate) unfinished: usize,
    /// Bytes that arrived, heads included.
    pub(crate) bytes: u64,
    /// How often the load itself was late: then the pace was not kept.
    pub(crate) late: usize,
    /// The first thing that went wrong.
    pub(crate) problem: Option<anyhow::Error>,
}

impl Outcome {
    /// Devices that are done, one way or the other.
    fn ended(&self) -> usize {
        self.right + self.wrong + self.broken
    }

    /// Of all devices, those that have their image, as a share of 1.
    pub(crate) fn share_right(&self) -> f64 {
        let all = self.ended() + self.unfinished;
        figure(self.right as u64) / figure(all.max(1) as u64)
    }
}

/// Runs the fleet on this thread. `open` is kept at the number of devices that are downloading.
pub(crate) fn run(plan: &Plan<'_>, open: &AtomicUsize) -> Result<Outcome> {
    if !plan.to.ip().is_loopback() {
        bail!("{} is not this machine", plan.to);
    }
    let mut outcome = Outcome::default();
    let mut buffer = vec![0; 64 << 10];
    let mut devices: Vec<Device> = Vec::with_capacity(plan.asks.len());
    let tick = Duration::from_secs_f64(figure(BITE) / figure(plan.rate));
    let slot = tick / u32::try_from(SLOTS)?;
    let began = ui::now();
    let mut due = began;
    for turn in (0..SLOTS).cycle() {
        sys::check_interrupt()?;
        let now = ui::now();
        if now.duration_since(began) > plan.most {
            break;
        }
        while devices.len() < plan.asks.len() && now >= plan.start_of(devices.len(), began) {
            devices.push(Device::connect(plan, devices.len(), now, &mut outcome));
        }
        for (device, ask) in devices.iter_mut().zip(plan.asks).skip(turn).step_by(SLOTS) {
            device.read(ask, now, &mut buffer, &mut outcome);
        }
        let downloading = devices.len() - outcome.ended();
        open.store(downloading, Ordering::Relaxed);
        if downloading == 0 && devices.len() == plan.asks.len() {
            break;
        }
        due += slot;
        let now = ui::now();
        if now > due + LATE {
            outcome.late += 1;
            due = now;
        }
        thread::sleep(due.saturating_duration_since(now));
    }
    outcome.unfinished = plan.asks.len() - outcome.ended();
    Ok(outcome)
}

impl Plan<'_> {
    /// When a device begins.
    fn start_of(&self, device: usize, began: Instant) -> Instant {
        began + self.ramp.mul_f64(figure(device as u64) / figure(self.asks.len() as u64))
    }
}

/// One of them.
struct Device {
    /// Until it is done or has failed.
    stream: Option<TcpStream>,
    has_asked: bool,
    incoming: Incoming,
    bucket: Bucket,
}

impl Device {
    fn connect(plan: &Plan<'_>, number: usize, now: Instant, outcome: &mut Outcome) -> Self {
        let stream = match sys::connect(plan.to, source(number), LWIP) {
            Ok(stream) => Some(stream),
            Err(error) => {
                outcome.broken += 1;
                outcome.problem.get_or_insert(error.into());
                None
            }
        };
        let bucket = Bucket::new(plan.rate, now);
        Self { stream, has_asked: false, incoming: Incoming::default(), bucket }
    }

    /// Reads as much as its pace allows.
    fn read(&mut self, ask: &Ask, now: Instant, buffer: &mut [u8], outcome: &mut Outcome) {
        match self.go_on(ask, now, buffer) {
            Ok(bytes) => {
                outcome.bytes += bytes as u64;
                if self.stream.is_some() && self.incoming.left() == Some(0) {
                    outcome.right += 1;
                    self.stream = None;
                }
            }
            Err(Trouble::Wrong(problem)) => {
                outcome.wrong += 1;
                outcome.problem.get_or_insert(problem);
                self.stream = None;
            }
            Err(Trouble::Broken(problem)) => {
                outcome.broken += 1;
                outcome.problem.get_or_insert(problem);
                self.stream = None;
            }
        }
    }

    /// The bytes it read.
    fn go_on(&mut self, ask: &Ask, now: Instant, buffer: &mut [u8]) -> Result<usize, Trouble> {
        let Some(stream) = &mut self.stream else { return Ok(0) };
        if !self.has_asked {
            return match stream.write(&ask.request) {
                Ok(length) if length == ask.request.len() => {
                    self.has_asked = true;
                    self.bucket.filled = now;
                    Ok(0)
                }
                Ok(_) => Err(Trouble::Broken(anyhow!("a request did not fit into the socket"))),
                Err(error) if is_not_yet(&error) => Ok(0),
                Err(error) => Err(Trouble::Broken(error.into())),
            };
        }
        let most = self.bucket.level(now).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let length = match stream.read(&mut buffer[..most]) {
            Ok(0) => Err(Trouble::Broken(anyhow!("the connection ended before the image did"))),
            Err(error) if is_not_yet(&error) => return Ok(0),
            Err(error) => Err(Trouble::Broken(error.into())),
            Ok(length) => Ok(length),
        }?;
        self.bucket.take(length);
        self.incoming.take(&ask.right, &buffer[..length]).map_err(Trouble::Wrong)?;
        Ok(length)
    }
}

/// Why a download failed.
enum Trouble {
    Wrong(anyhow::Error),
    Broken(anyhow::Error),
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}

/// Bytes that may be read: `rate` more each second, half a second's at most.
struct Bucket {
    rate: u64,
    filled: Instant,
    bytes: u64,
}

impl Bucket {
    fn new(rate: u64, now: Instant) -> Self {
        Self { rate, filled: now, bytes: 0 }
    }

    /// How many may be read now.
    fn level(&mut self, now: Instant) -> usize {
        let passed = now.duration_since(self.filled).as_micros();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let gained = passed.saturating_mul(self.rate) / 1_000_000;
        self.filled = now;
        self.bytes = self.bytes.saturating_add(gained).min(self.rate / 2);
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }

    fn take(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_fills_at_its_rate_up_to_half_a_second() {
        let start = ui::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut bucket = Bucket::new(20_000, start);
        assert_eq!(bucket.level(start), 0);
        assert_eq!(bucket.level(after(200)), 4_000);
        bucket.take(1_460);
        assert_eq!(bucket.level(after(200)), 2_540);
        assert_eq!(bucket.level(after(300)), 4_540);
        assert_eq!(bucket.level(after(60_000)), 10_000);
    }

    #[test]
    fn devices_begin_evenly_within_the_ramp() {
        let ask = || Ask { request: Vec::new(), right: super::super::answer::Right::Anything };
        let asks = [ask(), ask(), ask(), ask()];
        let plan = Plan {
            to: SocketAddrV4::new([127, 0, 0, 1].into(), 1),
            asks: &asks,
            rate: 1,
            ramp: Duration::from_secs(4),
            most: Duration::ZERO,
        };
        let began = ui::now();
        assert_eq!(plan.start_of(3, began), began + Duration::from_secs(3));
    }
}
