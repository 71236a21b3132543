//! The closed loop: so many clients, each of which asks again as soon as it has its answer. Bounded in
//! time, and ends early when too much goes wrong.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::answer::{Ask, Incoming};
use super::request::Protocol;
use super::sys::{self, Epoll, Interest, Window};
use super::{figure, percentile, source};
use crate::bench::meter::{Meter, Usage};
use crate::ui;

/// What is done with the bodies that arrive. Length and `x-MD5` are checked in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// Compared with the file, byte for byte.
    Compare,
    /// Thrown away by the kernel without a copy, so that the client is not what bounds the server.
    Discard,
}

/// What to do for how long.
pub(crate) struct Plan<'a> {
    pub(crate) to: SocketAddrV4,
    pub(crate) protocol: Protocol,
    pub(crate) bodies: Bodies,
    /// Asked in turn, from the start again after the last.
    pub(crate) asks: &'a [Ask],
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    /// Not counted.
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) usage: Usage,
    /// CPUs used by the busiest thread of the load.
    pub(crate) busiest: f64,
    /// Microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// More connections than this that end early end the run.
const MAX_BROKEN: u64 = 1000;

/// Runs the load against a server of these processes. A wrong answer is an error; so are more than
/// one connection of a thousand that end early.
pub(crate) fn run(plan: &Plan<'_>, server: &[u32]) -> Result<Outcome> {
    if !plan.to.ip().is_loopback() {
        bail!("{} is not this machine", plan.to);
    }
    sys::check_interrupt()?;
    let phase = AtomicU8::new(WARM_UP);
    let (usage, tallies) = thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.threads)
            .map(|number| {
                let phase = &phase;
                scope.spawn(move || Clients::new(plan, number, phase)?.run())
            })
            .collect();
        thread::sleep(plan.warm_up);
        let meter = Meter::start(server);
        phase.store(COUNT, Ordering::Relaxed);
        thread::sleep(plan.time);
        phase.store(STOP, Ordering::Relaxed);
        let usage = meter.and_then(Meter::stop);
        let failed = |_| Err(anyhow!("a thread of the load failed"));
        let tallies: Result<Vec<Tally>> =
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(failed)).collect();
        (usage, tallies)
    });
    sum(usage?, tallies?)
}

/// Phases of a run.
const WARM_UP: u8 = 0;
const COUNT: u8 = 1;
const STOP: u8 = 2;

fn sum(usage: Usage, tallies: Vec<Tally>) -> Result<Outcome> {
    let mut all = Tally::default();
    let mut busiest: f64 = 0.0;
    for mut tally in tallies {
        busiest = busiest.max(tally.cpu.as_secs_f64() / usage.time.as_secs_f64());
        all.wrong += tally.wrong;
        all.broken += tally.broken;
        all.microseconds.append(&mut tally.microseconds);
        all.problem = all.problem.or(tally.problem);
    }
    let requests = all.microseconds.len() as u64;
    if let Some(problem) = all.problem
        && (all.wrong > 0 || all.broken * 1000 > requests)
    {
        let counts = format!("{} wrong answers, {} broken connections", all.wrong, all.broken);
        return Err(problem.context(format!("{counts} beside {requests} right ones")));
    }
    all.microseconds.sort_unstable();
    let at = |percent| percentile(&all.microseconds, percent).context("no answer at all");
    Ok(Outcome { requests, usage, busiest, p50: at(50)?, p99: at(99)? })
}

impl Outcome {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        figure(self.requests) / self.usage.time.as_secs_f64()
    }
}

/// What one thread saw.
#[derive(Debug, Default)]
struct Tally {
    /// What each answer took, connection included.
    microseconds: Vec<u32>,
    wrong: u64,
    broken: u64,
    /// The first one.
    problem: Option<anyhow::Error>,
    /// CPU time used while it counted.
    cpu: Duration,
}

/// The clients of one thread.
struct Clients<'a> {
    plan: &'a Plan<'a>,
    phase: &'a AtomicU8,
    epoll: Epoll,
    all: Vec<Client>,
    buffer: Vec<u8>,
    /// Of the next request; connections take their source address from it, too.
    next: usize,
    counting: bool,
    tally: Tally,
}

struct Client {
    stream: Option<TcpStream>,
    state: State,
    ask: usize,
    incoming: Incoming,
    began: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The request waits for the connection.
    Connecting,
    Answer,
    /// Everything is there; the server closes.
    End,
}

/// Why an exchange failed.
enum Trouble {
    Wrong(anyhow::Error),
    Broken(anyhow::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl<'a> Clients<'a> {
    fn new(plan: &'a Plan<'a>, thread: usize, phase: &'a AtomicU8) -> Result<Self> {
        let client = || Client {
            stream: None,
            state: State::Connecting,
            ask: 0,
            incoming: Incoming::default(),
            began: ui::now(),
        };
        let count = plan.connections / plan.threads;
        Ok(Self {
            plan,
            phase,
            epoll: Epoll::new().context("epoll")?,
            all: std::iter::repeat_with(client).take(count).collect(),
            buffer: vec![0; 256 << 10],
            next: thread * plan.asks.len() / plan.threads,
            counting: false,
            tally: Tally::default(),
        })
    }

    fn run(mut self) -> Result<Tally> {
        let mut ready = Vec::new();
        let mut cpu = Duration::ZERO;
        loop {
            match self.phase.load(Ordering::Relaxed) {
                COUNT if !self.counting => {
                    self.counting = true;
                    cpu = sys::thread_cpu()?;
                }
                STOP => break,
                _ => {}
            }
            for number in 0..self.all.len() {
                if self.all[number].stream.is_none() {
                    self.attempt(number, Self::open);
                }
            }
            self.epoll.wait(50, &mut ready)?;
            for &number in &ready {
                self.attempt(number, Self::go_on);
            }
            if self.tally.wrong + self.tally.broken > MAX_BROKEN {
                break;
            }
        }
        if self.counting {
            self.tally.cpu = sys::thread_cpu()?.saturating_sub(cpu);
        }
        Ok(self.tally)
    }

    /// Does this for a client; if it fails, the client starts anew.
    fn attempt(&mut self, number: usize, work: fn(&mut Self, usize) -> Result<(), Trouble>) {
        let Err(trouble) = work(self, number) else { return };
        self.all[number].stream = None;
        let (count, problem) = match trouble {
            Trouble::Wrong(problem) => (&mut self.tally.wrong, problem),
            Trouble::Broken(problem) => (&mut self.tally.broken, problem),
        };
        *count += 1;
        self.tally.problem.get_or_insert(problem);
    }

    /// Connects for the next request.
    fn open(&mut self, number: usize) -> Result<(), Trouble> {
        let from = source(self.next);
        let stream = sys::connect(self.plan.to, from, Window::default())?;
        self.begin(number);
        // On loopback it is mostly connected by now.
        let sent = send(&stream, self.request(number))?;
        let (state, interest) = if sent {
            (State::Answer, Interest::Readable)
        } else {
            (State::Connecting, Interest::Writable)
        };
        self.epoll.add(&stream, number, interest)?;
        let client = &mut self.all[number];
        (client.stream, client.state) = (Some(stream), state);
        Ok(())
    }

    fn begin(&mut self, number: usize) {
        let client = &mut self.all[number];
        client.ask = self.next % self.plan.asks.len();
        client.incoming = Incoming::default();
        client.began = ui::now();
        self.next += 1;
    }

    fn request(&self, number: usize) -> &'a [u8] {
        &self.plan.asks[self.all[number].ask].request
    }

    /// Something can be done for this client.
    fn go_on(&mut self, number: usize) -> Result<(), Trouble> {
        if self.all[number].state != State::Connecting {
            return self.receive(number);
        }
        let request = self.request(number);
        let client = &mut self.all[number];
        let Some(stream) = &client.stream else { return Ok(()) };
        if let Some(error) = stream.take_error()? {
            return Err(error.into());
        }
        if send(stream, request)? {
            client.state = State::Answer;
            self.epoll.change(stream, number, Interest::Readable)?;
        }
        Ok(())
    }

    /// Takes what has arrived.
    fn receive(&mut self, number: usize) -> Result<(), Trouble> {
        loop {
            let client = &mut self.all[number];
            let Some(mut stream) = client.stream.as_ref() else { return Ok(()) };
            let right = &self.plan.asks[client.ask].right;
            let left = client.incoming.left();
            let discarded = left.filter(|_| self.plan.bodies == Bodies::Discard);
            let got = match discarded {
                Some(left) if left > 0 => sys::discard(stream, left.min(MOST_DISCARDED)),
                _ => stream.read(&mut self.buffer),
            };
            let length = match got {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) | Ok(0) if client.state == State::End => return self.again(number),
                Ok(0) => {
                    let early = anyhow!("the connection ended before the answer did");
                    return Err(Trouble::Broken(early));
                }
                length => length?,
            };
            let taken = match discarded {
                Some(left) if left > 0 => client.incoming.skip(length),
                _ => client.incoming.take(right, &self.buffer[..length]),
            };
            taken.map_err(Trouble::Wrong)?;
            if client.incoming.left() == Some(0) {
                if self.plan.protocol == Protocol::KeepAlive {
                    return self.again(number);
                }
                client.state = State::End;
            }
        }
    }

    /// Counts an answer, and asks again.
    fn again(&mut self, number: usize) -> Result<(), Trouble> {
        if self.counting {
            let took = self.all[number].began.elapsed().as_micros();
            self.tally.microseconds.push(u32::try_from(took).unwrap_or(u32::MAX));
        }
        if self.plan.protocol == Protocol::Http10 {
            self.all[number].stream = None;
            return self.open(number);
        }
        self.begin(number);
        let request = self.request(number);
        let client = &mut self.all[number];
        client.state = State::Answer;
        match &client.stream {
            Some(stream) if !send(stream, request)? => {
                Err(Trouble::Broken(anyhow!("a request did not fit into the socket")))
            }
            _ => Ok(()),
        }
    }
}

/// Bytes thrown away at a time.
const MOST_DISCARDED: usize = 1 << 20;

/// Sends a request; `false` while the connection is not there yet.
fn send(mut stream: &TcpStream, request: &[u8]) -> io::Result<bool> {
    match stream.write(request) {
        Ok(length) if length == request.len() => Ok(true),
        Ok(_) => Err(io::ErrorKind::WriteZero.into()),
        Err(error) if is_not_yet(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected)
}
