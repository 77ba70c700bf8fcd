//! The committee as child processes: `consilium node run`, each with its own key, folder, port and log file.

use crate::failure::Failure;
use alloy_primitives::Address;
use consilium_ledger::Addresses;
use consilium_node::{Config, NodeKeys};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// One node, running or not.
pub(crate) struct NodeProcess {
    /// 1..=n.
    pub(super) number: usize,
    pub(super) address: Address,
    pub(super) url: String,
    folder: PathBuf,
    port: u16,
    lying: bool,
    child: Option<Child>,
}

impl NodeProcess {
    /// Makes a node's folder and keys and finds it a free port.
    pub(super) fn prepare(number: usize, folder: PathBuf) -> Result<(Self, NodeKeys), Failure> {
        std::fs::create_dir_all(&folder)?;
        let keys = NodeKeys::generate().map_err(Failure::failed)?;
        keys.create(&folder.join("key.json")).map_err(Failure::failed)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let url = format!("http://127.0.0.1:{port}");
        Ok((Self { number, address: keys.address(), url, folder, port, lying: false, child: None }, keys))
    }

    /// Whether this node, from its next start on, serves wrong shares, as a drill.
    pub(super) fn set_lying(&mut self, lying: bool) {
        self.lying = lying;
    }

    /// Writes the configuration.
    pub(super) fn configure(&self, rpc: &str, contracts: &Addresses, peers: &BTreeMap<Address, String>) -> Result<(), Failure> {
        let (data, key) = (self.folder.join("data"), self.folder.join("key.json"));
        let listen = SocketAddr::from(([127, 0, 0, 1], self.port));
        let mut config = Config::new(listen, data, key, vec![rpc.to_owned()], *contracts);
        config.peers = peers.iter().filter(|(address, _)| **address != self.address).map(|(a, url)| (*a, url.clone())).collect();
        Ok(std::fs::write(self.config_file(), config.to_toml())?)
    }

    fn config_file(&self) -> PathBuf {
        self.folder.join("node.toml")
    }

    /// Where the node's log goes.
    pub(super) fn log_file(&self) -> PathBuf {
        self.folder.join("node.log")
    }

    /// Starts the process.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file())?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--log", "info", "node", "run", "--config"]).arg(self.config_file());
        if self.lying {
            command.arg("--drill-wrong-share");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        self.child =
            Some(command.spawn().map_err(|error| Failure::failed(format!("cannot start node {}: {error}", self.number)))?);
        Ok(())
    }

    /// Ends the process as a power cut would: SIGKILL.
    pub(super) async fn kill(&mut self) -> Result<(), Failure> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Waits until the node answers.
    pub(super) async fn ready(&mut self, client: &reqwest::Client) -> Result<(), Failure> {
        for _ in 0..600 {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                return Err(Failure::failed(format!("node {} ended ({status}): {}", self.number, tail(&self.log_file()))));
            }
            let answer = client.get(format!("{}/v1/status", self.url)).timeout(Duration::from_secs(1)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Failure::failed(format!("node {} does not answer: {}", self.number, tail(&self.log_file()))))
    }
}

/// The last lines of a log.
fn tail(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(8).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
