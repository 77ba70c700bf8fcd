//! Running the binary, for a moment or for as long as a test lasts.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The binary with a clean environment, working in `dir`. If there is a `roots.pem` beside `dir`, it trusts these certificates.
pub fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consilium"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CONSILIUM_")) {
        command.env_remove(name);
    }
    let roots = dir.with_file_name("roots.pem");
    if roots.exists() {
        command.env("SSL_CERT_FILE", roots);
    }
    command.current_dir(dir).stdin(Stdio::null());
    command
}

/// What a command that ended left behind.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    pub fn new(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("a command prints UTF-8");
        Self { code: output.status.code().expect("an exit code"), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Insists on an exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in:\n{}", self.out))
    }

    /// Insists that the error message has all of these in it.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing in:\n{}", self.err);
        }
        self
    }
}

/// Runs the binary to its end.
pub fn run<S: AsRef<std::ffi::OsStr>>(dir: &Path, arguments: &[S]) -> Done {
    Done::new(command(dir).args(arguments).output().expect("the binary starts"))
}

/// A process that serves until the test is over; killed on drop.
pub struct Service {
    child: Child,
    /// What it printed when it was ready.
    pub ready: String,
}

impl Service {
    /// Starts the binary and waits for the line by which it says that it serves. Its log goes to `log`.
    #[track_caller]
    pub fn start(dir: &Path, arguments: &[&str], log: &Path) -> Self {
        let file = std::fs::File::create(log).expect("a log file");
        let mut child = command(dir).args(arguments).stdout(Stdio::piped()).stderr(file).spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("a pipe");
        let mut service = Self { child, ready: String::new() };
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                drop(sender.send(line));
            }
        });
        service.ready = receiver.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|error| {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            panic!("{arguments:?} does not say that it serves ({error}): {text}")
        });
        service
    }

    /// Ends it as a service manager does, and returns whether it ended well.
    pub fn terminate(mut self) -> bool {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success(), "the process was gone before it was asked to end");
        until("the service ends", Duration::from_secs(30), || self.child.try_wait().expect("a status")).success()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Polls until there is something, or the deadline passes.
#[track_caller]
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Ports that were free a moment ago, all different.
pub fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    held.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}

/// Whether anything listens there.
pub fn answers(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(1)).is_ok()
}
