//! Lists of sites that are published at a place and not on the chain: fetched once for each root, held against it, and kept.
//!
//! A sponsor chooses the place, and a reader may be inside a hospital's network. So a reader follows https only and no
//! redirect, reads no more bytes than a list can have, and shows nobody what it read: only a list that leads to the root on
//! the chain is used.

use crate::event::MAX_SITES;
use crate::sites_list::{self, MAX_PUBLISHED, NotAList};
use alloy_primitives::{Address, B256};
use consilium_core::certify::sites_root;
use reqwest::{Certificate, Client, Response, redirect};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

/// Sites that are kept in all lists together; the list that was used longest ago goes first.
const KEPT: usize = 64 * MAX_SITES;
/// Downloads at the same time.
const DOWNLOADS: usize = 4;
/// After a failure, the first wait before a list is asked for again; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for the next bytes.
const STALL: Duration = Duration::from_secs(20);
/// Longest time for a whole list.
const DOWNLOAD: Duration = Duration::from_secs(600);

/// Why a list that is published at a place cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ListFlaw {
    /// This reader fetches nothing: whoever asked may be a stranger.
    #[error("it was not fetched yet")]
    NotFetched,
    /// The download goes on.
    #[error("it is still on its way: try again in a moment")]
    OnItsWay,
    /// No connection, or one that broke.
    #[error("it cannot be fetched: {0}")]
    Unreachable(String),
    /// Another answer than 200. Redirects are not followed.
    #[error("the server answered with status {0}: the sponsor has to publish the list at this very place")]
    Status(u16),
    /// More bytes than a list of [`MAX_SITES`] sites has.
    #[error("what is there is longer than a list of {MAX_SITES} sites")]
    TooLong,
    /// Not the canonical text.
    #[error("what is there is no list of sites: {0}")]
    Form(#[from] NotAList),
    /// A list of other sites.
    #[error(
        "the list there has the root {found}, and the chain names {expected}: the sponsor has to publish the list of this root"
    )]
    OtherRoot {
        /// What the list leads to.
        found: B256,
        /// What the sponsor committed to.
        expected: B256,
    },
}

impl ListFlaw {
    /// Whether a later try may succeed without the sponsor's help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::NotFetched | Self::OnItsWay | Self::Unreachable(_) | Self::Status(_) => true,
            Self::TooLong | Self::Form(_) | Self::OtherRoot { .. } => false,
        }
    }
}

/// What is known of a list.
#[derive(Clone)]
enum Entry {
    Kept { list: Arc<[Address]>, used: Instant },
    Asked { done: watch::Receiver<()> },
    Failed { flaw: ListFlaw, again: Instant, wait: Duration },
}

/// The lists that a process has fetched, by their roots.
#[derive(Default)]
pub(crate) struct Lists {
    entries: Mutex<BTreeMap<B256, Entry>>,
    downloads: Downloads,
    /// Certificates that are trusted beside those of the system.
    trusted: Vec<Certificate>,
}

struct Downloads(Semaphore);

impl Default for Downloads {
    fn default() -> Self {
        Self(Semaphore::new(DOWNLOADS))
    }
}

impl Lists {
    /// The list under a root. Fetches it from the place if it is not here, and waits so long at most; a download that takes
    /// longer goes on. With no patience at all nothing is fetched.
    pub(crate) async fn get(self: &Arc<Self>, root: B256, uri: &str, patience: Duration) -> Result<Arc<[Address]>, ListFlaw> {
        let mut done = match self.known(root) {
            Some(Entry::Kept { list, .. }) => return Ok(list),
            Some(Entry::Failed { flaw, again, .. }) if again > Instant::now() => return Err(flaw),
            _ if patience.is_zero() => return Err(ListFlaw::NotFetched),
            Some(Entry::Asked { done }) => done,
            Some(Entry::Failed { wait, .. }) => self.ask(root, uri, (wait * 2).min(LONGEST_WAIT)),
            None => self.ask(root, uri, FIRST_WAIT),
        };
        // An error says that the sender is gone, which it is when the download has ended.
        let _ = tokio::time::timeout(patience, done.changed()).await;
        match self.known(root) {
            Some(Entry::Kept { list, .. }) => Ok(list),
            Some(Entry::Failed { flaw, .. }) => Err(flaw),
            Some(Entry::Asked { .. }) | None => Err(ListFlaw::OnItsWay),
        }
    }

    fn known(&self, root: B256) -> Option<Entry> {
        let mut entries = self.entries();
        let found = entries.get_mut(&root)?;
        if let Entry::Kept { used, .. } = found {
            *used = Instant::now();
        }
        Some(found.clone())
    }

    /// Starts a download; should it fail, the next one may start after `wait`.
    fn ask(self: &Arc<Self>, root: B256, uri: &str, wait: Duration) -> watch::Receiver<()> {
        let (ended, done) = watch::channel(());
        self.entries().insert(root, Entry::Asked { done: done.clone() });
        let (lists, uri) = (Arc::clone(self), uri.to_owned());
        tokio::spawn(async move {
            let entry = match lists.download(root, &uri).await {
                Ok(list) => Entry::Kept { list, used: Instant::now() },
                Err(flaw) => Entry::Failed { flaw, again: Instant::now() + wait, wait },
            };
            lists.keep(root, entry);
            drop(ended);
        });
        done
    }

    fn keep(&self, root: B256, entry: Entry) {
        let mut entries = self.entries();
        entries.insert(root, entry);
        while entries.values().map(Entry::sites).sum::<usize>() > KEPT {
            let Some(oldest) = oldest(&entries) else { return };
            entries.remove(&oldest);
        }
    }

    async fn download(&self, root: B256, uri: &str) -> Result<Arc<[Address]>, ListFlaw> {
        let _turn = self.downloads.0.acquire().await;
        let fetched = tokio::time::timeout(DOWNLOAD, fetch(uri, &self.trusted)).await;
        let bytes = fetched.map_err(|_| ListFlaw::Unreachable(format!("it took longer than {} s", DOWNLOAD.as_secs())))??;
        let read = tokio::task::spawn_blocking(move || read(&bytes, root)).await;
        read.map_err(|stopped| ListFlaw::Unreachable(stopped.to_string()))?
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<B256, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn sites(&self) -> usize {
        if let Self::Kept { list, .. } = self { list.len() } else { 0 }
    }
}

fn oldest(entries: &BTreeMap<B256, Entry>) -> Option<B256> {
    let kept = entries.iter().filter_map(|(root, entry)| match entry {
        Entry::Kept { used, .. } => Some((*used, *root)),
        _ => None,
    });
    kept.min().map(|(_, root)| root)
}

/// A list as its bytes have it, if it is that of the root.
fn read(bytes: &[u8], expected: B256) -> Result<Arc<[Address]>, ListFlaw> {
    let sites = sites_list::parse(bytes)?;
    // A list that was parsed is in order, so that it has a root.
    let found = sites_root(&sites).unwrap_or_default();
    if found == expected { Ok(sites.into()) } else { Err(ListFlaw::OtherRoot { found, expected }) }
}

async fn fetch(uri: &str, trusted: &[Certificate]) -> Result<Vec<u8>, ListFlaw> {
    let client = Client::builder()
        .https_only(true)
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT)
        .read_timeout(STALL)
        .tls_certs_merge(trusted.iter().cloned())
        .build()
        .map_err(unreachable)?;
    let answer = client.get(uri).send().await.map_err(unreachable)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(ListFlaw::Status(answer.status().as_u16()));
    }
    body(answer).await
}

async fn body(mut answer: Response) -> Result<Vec<u8>, ListFlaw> {
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
        if bytes.len() + piece.len() > MAX_PUBLISHED {
            return Err(ListFlaw::TooLong);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The innermost cause: the outer ones say no more than that a request failed.
fn unreachable(error: reqwest::Error) -> ListFlaw {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    ListFlaw::Unreachable(cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A server that gives every request the same answer, and what trusts it.
    struct Server {
        uri: String,
        requests: Arc<AtomicUsize>,
        lists: Arc<Lists>,
    }

    impl Server {
        /// Answers with these bytes, each time after a pause.
        async fn start(answer: Vec<u8>, pause: Duration) -> Self {
            let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
            let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let uri = format!("https://localhost:{}/sites", listener.local_addr().unwrap().port());
            let requests = Arc::new(AtomicUsize::new(0));
            tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), answer, pause, Arc::clone(&requests)));
            let trusted = vec![Certificate::from_der(cert.der()).unwrap()];
            Self { uri, requests, lists: Arc::new(Lists { trusted, ..Lists::default() }) }
        }

        async fn with_body(body: &[u8]) -> Self {
            Self::start([b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", body].concat(), Duration::ZERO).await
        }

        async fn get(&self, root: B256, patience: Duration) -> Result<Arc<[Address]>, ListFlaw> {
            self.lists.get(root, &self.uri, patience).await
        }

        fn requests(&self) -> usize {
            self.requests.load(Ordering::SeqCst)
        }
    }

    async fn serve(listener: TcpListener, tls: TlsAcceptor, answer: Vec<u8>, pause: Duration, requests: Arc<AtomicUsize>) {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate ends the handshake.
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap_or(0);
            requests.fetch_add(usize::from(read > 0), Ordering::SeqCst);
            tokio::time::sleep(pause).await;
            // A client that has read enough closes the connection.
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    }

    fn sites() -> Vec<Address> {
        (1..=9).map(Address::with_last_byte).collect()
    }

    fn root() -> B256 {
        sites_root(&sites()).unwrap()
    }

    #[tokio::test]
    async fn a_list_is_fetched_once_and_held_against_its_root() {
        let server = Server::with_body(sites_list::publish(&sites()).as_bytes()).await;
        assert_eq!(server.get(root(), Duration::ZERO).await, Err(ListFlaw::NotFetched));
        for _ in 0..3 {
            assert_eq!(server.get(root(), PATIENCE).await.as_deref(), Ok(&sites()[..]));
        }
        assert_eq!(server.get(root(), Duration::ZERO).await.as_deref(), Ok(&sites()[..]), "it is here by now");
        assert_eq!(server.requests(), 1);
        let expected = B256::repeat_byte(1);
        assert_eq!(server.get(expected, PATIENCE).await, Err(ListFlaw::OtherRoot { found: root(), expected }));
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_named_and_not_asked_for_again_at_once() {
        let endless = vec![b'0'; MAX_PUBLISHED + 1];
        let redirect = b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_vec();
        let cases = [
            (Server::with_body(&endless).await, ListFlaw::TooLong),
            (Server::with_body(b"no list").await, ListFlaw::Form(NotAList::Header)),
            (Server::start(redirect, Duration::ZERO).await, ListFlaw::Status(302)),
        ];
        for (server, flaw) in cases {
            for _ in 0..2 {
                assert_eq!(server.get(root(), PATIENCE).await, Err(flaw.clone()));
            }
            assert_eq!(server.requests(), 1, "{flaw}");
        }
    }

    #[tokio::test]
    async fn a_slow_list_keeps_nobody_waiting_and_arrives() {
        let answer = [b"HTTP/1.1 200 OK\r\n\r\n", sites_list::publish(&sites()).as_bytes()].concat();
        let server = Server::start(answer, Duration::from_millis(300)).await;
        assert_eq!(server.get(root(), Duration::from_millis(20)).await, Err(ListFlaw::OnItsWay));
        assert_eq!(server.get(root(), PATIENCE).await.as_deref(), Ok(&sites()[..]));
        assert_eq!(server.requests(), 1);
    }

    #[tokio::test]
    async fn nothing_is_asked_in_clear_text_or_of_a_server_that_nobody_vouches_for() {
        let server = Server::with_body(b"").await;
        let refused = |result| matches!(result, Err(ListFlaw::Unreachable(_)));
        assert!(refused(server.lists.get(root(), &server.uri.replace("https", "http"), PATIENCE).await));
        assert!(refused(Arc::new(Lists::default()).get(root(), &server.uri, PATIENCE).await));
        assert_eq!(server.requests(), 0);
    }

    #[test]
    fn the_list_that_was_used_longest_ago_makes_room() {
        let lists = Lists::default();
        let kept = || Entry::Kept { list: vec![Address::ZERO; KEPT / 2].into(), used: Instant::now() };
        let [first, second, third] = [1, 2, 3].map(B256::with_last_byte);
        lists.keep(first, kept());
        lists.keep(second, kept());
        assert!(lists.known(first).is_some());
        lists.keep(third, kept());
        assert_eq!([first, second, third].map(|root| lists.known(root).is_some()), [true, false, true]);
    }
}
