//! A PostgreSQL of the tests' own: the first test that needs it starts it, all share it, and it goes when
//! the last one has ended. It listens on a socket in a temporary folder only, and keeps nothing.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A database of one test; dropped with it.
pub(super) struct Database {
    server: &'static Server,
    name: String,
}

impl Database {
    /// Makes an empty one. `None`, said aloud, if there is no PostgreSQL.
    pub(super) fn create() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = Server::shared()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        server.sql(&format!("CREATE DATABASE {name} TEMPLATE template0"));
        Some(Self { server, name })
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        format!("postgres://updraft@localhost/{}?host={}", self.name, self.server.folder.display())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.server.sql(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

struct Server {
    folder: PathBuf,
    bin: PathBuf,
    /// Held while this process uses the server, which ends when nobody does.
    _use: File,
}

impl Server {
    /// The server of all tests.
    fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        SERVER.get_or_init(Self::find).as_ref()
    }

    fn find() -> Option<Self> {
        let Some(bin) = programs() else {
            #[expect(clippy::disallowed_methods, reason = "whether a skip is a failure")]
            let on_ci = std::env::var_os("CI").is_some();
            assert!(!on_ci, "no PostgreSQL in /usr/lib/postgresql, which CI must have");
            eprintln!(
                "skipped: no PostgreSQL in /usr/lib/postgresql (cargo xtask test installs it)"
            );
            return None;
        };
        let uid = fs::metadata("/proc/self").unwrap().uid();
        let folder = std::env::temp_dir().join(format!("updraft-test-postgres-{uid}"));
        fs::create_dir_all(&folder).unwrap();
        let starting = File::create(folder.join("start.lock")).unwrap();
        starting.lock().unwrap();
        let in_use = File::create(folder.join("use.lock")).unwrap();
        in_use.lock_shared().unwrap();
        let server = Self { folder, bin, _use: in_use };
        if UnixStream::connect(server.folder.join(".s.PGSQL.5432")).is_err() {
            server.start(uid);
        }
        Some(server)
    }

    fn start(&self, uid: u32) {
        let data = self.folder.join("data");
        if data.exists() {
            fs::remove_dir_all(&data).unwrap();
        }
        if uid == 0 {
            run(Command::new("chown").arg("postgres").arg(&self.folder));
        }
        let init = ["-D", "data", "-U", "updraft", "-A", "trust", "-E", "UTF8", "--no-sync"];
        // An order of words that is not that of their bytes: no query may rely on either.
        let order = ["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"];
        run(self.command("initdb").args(init).args(order));
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{}' -c fsync=off \
             -c full_page_writes=off -c max_connections=300",
            self.folder.display()
        );
        let start = ["-D", "data", "-l", "data/log", "-w", "-o", &options, "start"];
        run(self.command("pg_ctl").args(start));
        let stop = format!(
            "while sleep 2; do \
                flock start.lock sh -c 'flock -n use.lock true && {} -D data -m immediate stop && \
                rm -rf data' && exit; \
             done",
            words(&self.command("pg_ctl"))
        );
        let mut watch = Command::new("setsid");
        watch.args(["--fork", "sh", "-c", &stop]).current_dir(&self.folder);
        watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(watch.status().unwrap().success());
    }

    /// A program of PostgreSQL's, which refuses to run as root.
    fn command(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if fs::metadata("/proc/self").unwrap().uid() == 0 {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(&self.folder);
        command
    }

    fn sql(&self, sql: &str) {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-X", "-q", "-U", "updraft", "-d", "postgres", "-c", sql]);
        run(psql.arg("-h").arg(&self.folder));
    }
}

/// Where the newest PostgreSQL of Debian has its programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| {
        let version = entry.ok()?.file_name().to_str()?.parse::<u32>().ok()?;
        let bin = Path::new("/usr/lib/postgresql").join(version.to_string()).join("bin");
        bin.join("initdb").exists().then_some((version, bin))
    });
    versions.max().map(|(_, bin)| bin)
}

fn words(command: &Command) -> String {
    let mut words = vec![command.get_program().to_str().unwrap()];
    words.extend(command.get_args().map(|word| word.to_str().unwrap()));
    words.join(" ")
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
