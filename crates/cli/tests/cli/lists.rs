//! A study whose list of sites is published by its sponsor, with the root alone on the chain.

use crate::machines::{SITES, World, base, safetensors};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::tempdir;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Serves a file by https, or 404 while there is none. Returns the place; whoever is to trust it finds `roots.pem` in the folder.
fn publish(folder: &Path, file: PathBuf) -> String {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("roots.pem"), cert.pem()).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let place = format!("https://localhost:{}/sites", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (config, file) = (Arc::clone(&config), file.clone());
            // One that breaks off is no business of the others.
            std::thread::spawn(move || drop(answer(config, stream, &file)));
        }
    });
    place
}

fn answer(config: Arc<ServerConfig>, stream: TcpStream, file: &Path) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let _request = stream.read(&mut [0; 1024])?;
    let (status, body) = std::fs::read(file).map_or_else(|_| ("404 Not Found", Vec::new()), |list| ("200 OK", list));
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    stream.write_all(&body)?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// What the first node says to somebody who uploads to a round.
fn told(world: &World) -> String {
    let mut stream = TcpStream::connect(world.places[0].1.trim_start_matches("http://")).unwrap();
    write!(stream, "POST /v1/studies/1/rounds/1/contributions HTTP/1.0\r\ncontent-length: 4\r\n\r\nnone").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_round_whose_sites_are_on_a_list_that_the_sponsor_publishes() {
    let folder = tempdir().unwrap();
    let published = folder.path().join("published.txt");
    let place = publish(folder.path(), published.clone());
    let world = World::in_folder(folder);
    let pin = world.create_study();
    (1..=SITES).for_each(|i| world.configure_site(i, "site.toml", &pin));
    let sites = format!("study sites --key key.json --sites sites.txt --sites-at {place} --sites-out list.txt");
    world.about("sponsor", &sites).exits(0);
    std::fs::write(world.at("sponsor/model.safetensors"), safetensors(&base())).unwrap();
    world.sponsor(&["chain", "mint", "--json", "--key", "key.json", "--amount", "1000", "--rpc", &world.rpc]).exits(0);
    world.about("sponsor", "study fund --key key.json --amount 1000").exits(0);
    let open = "round open --key key.json --model model.safetensors --certify-within 300 --settle-within 600";
    world.about("sponsor", open).exits(0);

    // Nothing is there yet: who cannot read the list takes no part, and says so.
    world.contribute(1, "site.toml").exits(3).says(&[&place, "404"]);
    assert!(world.about("sponsor", "study show").exits(0).json()["sites"].is_null());
    crate::support::until("the node's reason", Duration::from_secs(20), || {
        let told = told(&world);
        (told.contains("not-taking-part") && told.contains(&place)).then_some(())
    });
    // Another list than the one of the root is as good as none.
    std::fs::write(&published, "consilium sites 1\n0x00000000000000000000000000000000000000aa\n").unwrap();
    world.contribute(1, "site.toml").exits(1).says(&[&place, "root"]);

    std::fs::copy(world.at("sponsor/list.txt"), &published).unwrap();
    assert_eq!(world.about("sponsor", "study show").exits(0).json()["sites"], SITES);
    let taking_part = || (!told(&world).contains("not-taking-part")).then_some(());
    crate::support::until("the node's seat", Duration::from_secs(60), taking_part);
    (1..=SITES).for_each(|i| drop(world.contribute(i, "site.toml").exits(0)));
    let settled = || (world.round()["state"] == "Settled").then_some(());
    crate::support::until("the settlement", Duration::from_secs(60), settled);
    assert_eq!(world.round()["size"], SITES);
    let report = world.audit().exits(0).json();
    assert_eq!(report["verdict"].as_str().map(str::to_lowercase).as_deref(), Some("pass"), "{report}");
}
