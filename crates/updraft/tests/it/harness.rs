//! The real binary on a free port, a folder of its own to serve, and plain TCP to talk to it with.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// How long a test waits for what must come. Reached only when a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a server is to be started with.
#[derive(Clone)]
pub(crate) struct Setup {
    /// Removed with the last setup or server that uses it.
    dir: Arc<tempfile::TempDir>,
    args: Vec<String>,
    config: String,
    env: Vec<(String, String)>,
    settle: &'static str,
    bare: bool,
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    setup: Setup,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<Value>>,
    more: Condvar,
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and header block as sent.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// What the first read brought.
    pub(crate) first_read: Vec<u8>,
}

/// A server on an empty catalog with its defaults, but that files count as complete at once.
pub(crate) fn setup() -> Setup {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    fs::create_dir(dir.path().join("fw")).unwrap();
    Setup {
        dir,
        args: Vec::new(),
        config: String::new(),
        env: Vec::new(),
        settle: "0s",
        bare: false,
    }
}

impl Setup {
    /// Puts a file into the catalog; folders in its name are made.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.catalog().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// The folder that will be served.
    pub(crate) fn catalog(&self) -> PathBuf {
        self.dir.path().join("fw")
    }

    /// A folder for the test's own use, beside the catalog.
    pub(crate) fn beside(&self) -> &Path {
        self.dir.path()
    }

    /// Adds command-line arguments; a later one goes before an earlier.
    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// Sets the content of `updraft.toml`.
    pub(crate) fn config(mut self, toml: &str) -> Self {
        toml.clone_into(&mut self.config);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How long a file must be unchanged to count as complete.
    pub(crate) fn settle(mut self, settle: &'static str) -> Self {
        self.settle = settle;
        self
    }

    /// Starts it as a person would: in the catalog, which holds its `updraft.toml` (if one was given),
    /// with no options but those of [`Setup::args`].
    pub(crate) fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    fn command(&self) -> Command {
        if self.bare {
            if !self.config.is_empty() {
                fs::write(self.catalog().join("updraft.toml"), &self.config).unwrap();
            }
            let mut command = updraft();
            command.arg("serve").args(&self.args).current_dir(self.catalog());
            command.envs(self.env.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
            return command;
        }
        let config = self.dir.path().join("updraft.toml");
        fs::write(&config, &self.config).unwrap();
        let mut command = updraft();
        command.arg("serve").arg("--config").arg(config);
        command.args(["-b", "127.0.0.1", "-l", "debug", "--log-format", "json"]);
        if !self.args.iter().any(|arg| arg == "-p") {
            command.args(["-p", "0"]);
        }
        if !self.args.iter().any(|arg| arg == "-d") {
            command.arg("-d").arg(self.catalog());
        }
        if !self.args.iter().any(|arg| arg == "--data") {
            command.arg("--data").arg(self.dir.path().join("data"));
        }
        command.env("UPDRAFT_CATALOG_SETTLE", self.settle);
        command.env("UPDRAFT_CATALOG_RECHECK", "0s");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.args(&self.args).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Starts a server that must not start, and waits for its end.
    pub(crate) fn refused(self) -> Output {
        self.command().output().unwrap()
    }

    /// Starts the server and waits until it listens.
    pub(crate) fn start(self) -> Server {
        let mut child = self.command().stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let (stderr, keep) = (child.stderr.take().unwrap(), Arc::clone(&log));
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                keep.lines.lock().unwrap().push(value);
                keep.more.notify_all();
            }
        });
        let mut server = Server { child, address: ([127, 0, 0, 1], 0).into(), setup: self, log };
        let line = server.logged(|line| listening(line).is_some());
        server.address = listening(&line).unwrap();
        server
    }
}

impl Server {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder it serves.
    pub(crate) fn catalog(&self) -> PathBuf {
        self.setup.catalog()
    }

    /// What it was started with, to start another with.
    pub(crate) fn again(&self) -> Setup {
        self.setup.clone()
    }

    /// Every address it listens on, in the order given.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.log().iter().filter_map(listening).collect()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection to it that gives up after [`PATIENCE`].
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends a request over a connection of its own and reads until the server closes.
    pub(crate) fn send(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request.as_ref()).unwrap();
        read_answer(&mut stream)
    }

    /// A GET of HTTP/1.0 with these header lines, each ended by CR LF.
    pub(crate) fn get(&self, target: &str, fields: &str) -> Answer {
        self.send(format!("GET {target} HTTP/1.0\r\n{fields}\r\n"))
    }

    /// Waits for a log line, past or to come.
    pub(crate) fn logged(&self, matches: impl Fn(&Value) -> bool) -> Value {
        self.logged_times(1, matches).remove(0)
    }

    /// Waits for so many log lines, past or to come.
    pub(crate) fn logged_times(
        &self,
        count: usize,
        matches: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let lines = self.log.lines.lock().unwrap();
        let find = |lines: &[Value]| -> Vec<_> {
            lines.iter().filter(|line| matches(line)).take(count).cloned().collect()
        };
        let (lines, timeout) = self
            .log
            .more
            .wait_timeout_while(lines, PATIENCE, |lines| find(lines).len() < count)
            .unwrap();
        assert!(!timeout.timed_out(), "not {count} such lines among {lines:#?}");
        find(&lines)
    }

    /// Waits for the log line of a request for that path.
    pub(crate) fn logged_request(&self, asked: &str) -> Value {
        self.logged(|line| line["asked"] == asked)
    }

    /// Waits until it has looked at every file there was at its start. From then on it watches.
    pub(crate) fn scanned(&self) {
        self.logged(|line| line["message"].as_str().is_some_and(|m| m.starts_with("catalog ")));
    }

    /// Every log line so far: JSON objects, or texts.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lines.lock().unwrap().clone()
    }

    /// Tells it to stop, as a service manager does.
    pub(crate) fn terminate(&self) {
        let killed = Command::new("kill").arg(self.pid().to_string()).status().unwrap();
        assert!(killed.success());
    }

    /// Ends it without a word, as a power cut does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end, and says with which exit code it came.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    /// The value of a header field, which must be there once.
    pub(crate) fn field(&self, name: &str) -> &str {
        let values = self.fields(name);
        assert_eq!(values.len(), 1, "{name} in {}", self.head);
        values[0]
    }

    /// All values of a header field.
    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// Checks that status and header fields are these and no others, each sent once, in any order.
    /// `Date` goes without saying.
    pub(crate) fn check_head(&self, status: u16, fields: &[(&str, &str)]) {
        let mut actual: Vec<_> = self.fields_but_date();
        let mut expected: Vec<_> = fields
            .iter()
            .map(|&(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        actual.sort();
        expected.sort();
        assert_eq!((self.status, actual), (status, expected), "{}", self.head);
    }

    /// The header fields with their names in lower case, `Date` left out, which must be there once.
    pub(crate) fn fields_but_date(&self) -> Vec<(String, String)> {
        self.field("date");
        self.head
            .lines()
            .skip(1)
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .filter(|(name, _)| name != "date")
            .collect()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Where a log line, JSON or text, says that the server listens.
fn listening(line: &Value) -> Option<SocketAddr> {
    let text = line["message"].as_str().or(line.as_str())?;
    let (_, address) = text.split_once("listening on http://")?;
    address.split_once('/')?.0.parse().ok()
}

/// Reads an answer until the server closes the connection.
pub(crate) fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = vec![0; 64 * 1024];
    let length = stream.read(&mut bytes).expect("an answer");
    bytes.truncate(length);
    let first_read = bytes.clone();
    stream.read_to_end(&mut bytes).expect("the whole answer");
    // Closing our side tells the server that everything arrived.
    let _ = stream.shutdown(Shutdown::Both);
    parse_answer(&bytes, first_read)
}

/// Reads the answer to one GET from a connection that stays open.
pub(crate) fn read_next(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut first_read = Vec::new();
    loop {
        let mut block = vec![0; 64 * 1024];
        let length = stream.read(&mut block).expect("an answer");
        assert!(length > 0, "closed in the middle of an answer");
        bytes.extend_from_slice(&block[..length]);
        if first_read.is_empty() {
            first_read.clone_from(&bytes);
        }
        if bytes.windows(4).any(|four| four == b"\r\n\r\n") {
            break;
        }
    }
    let mut answer = parse_answer(&bytes, first_read);
    let length = match answer.status {
        304 => 0,
        _ => answer.field("content-length").parse().unwrap(),
    };
    let received = answer.body.len();
    assert!(received <= length, "more than one answer");
    answer.body.resize(length, 0);
    stream.read_exact(&mut answer.body[received..]).expect("the whole body");
    answer
}

/// Takes an answer apart.
pub(crate) fn parse_answer(bytes: &[u8], first_read: Vec<u8>) -> Answer {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("the end of a head");
    let head = String::from_utf8(bytes[..end + 2].to_vec()).unwrap();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    Answer { status, head, body: bytes[end + 4..].to_vec(), first_read }
}

/// The command under test.
pub(crate) fn updraft() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_updraft"));
    command.env_remove("UPDRAFT_CONFIG");
    command
}

/// A captured or written request of `testdata/wire`, asking for `target` instead of what it asked.
pub(crate) fn wire(name: &str, target: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/wire").join(name);
    let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
    let (line, rest) = text.split_once("\r\n").unwrap();
    let mut words = line.split(' ');
    let (method, _, version) = (words.next().unwrap(), words.next(), words.next().unwrap());
    format!("{method} {target} {version}\r\n{rest}").into_bytes()
}

/// The header lines by which an ESP8266 updater is heard.
pub(crate) const ESP8266: &str = "User-Agent: ESP8266-http-Update\r\n\
     x-ESP8266-STA-MAC: 5C:CF:7F:B1:E0:42\r\n\
     x-ESP8266-free-space: 1695744\r\n\
     x-ESP8266-sketch-size: 400000\r\n\
     x-ESP8266-sketch-md5: d41d8cd98f00b204e9800998ecf8427e\r\n\
     x-ESP8266-chip-size: 4194304\r\n\
     x-ESP8266-mode: sketch\r\n";

/// The header lines by which an ESP32 updater is heard.
pub(crate) const ESP32: &str = "User-Agent: ESP32-http-Update\r\n\
     x-ESP32-STA-MAC: 24:0A:C4:00:00:01\r\n\
     x-ESP32-free-space: 1310720\r\n\
     x-ESP32-sketch-size: 900000\r\n\
     x-ESP32-chip-size: 4194304\r\n\
     x-ESP32-mode: sketch\r\n";
