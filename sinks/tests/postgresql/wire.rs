//! What happens on the wire: an answer to COMMIT that is lost, and encryption.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tickline_config::model::SinkKind;
use tickline_sinks::sink::{FaultKind, Outcome};

use super::server::{self, PORT, Server};
use super::{admin, not_sent, request, settings, sink, trade, trades, with_trades};

/// Makes a server listen on a port of 127.0.0.1, too, with these further settings; returns the port.
fn listen(server: &Server, settings: &str) -> u16 {
    let conf = server.dir.path().join("data/postgresql.conf");
    let before = std::fs::read_to_string(&conf).expect("settings");
    // The server takes no port of the system's choice: one that is free now is taken, and must still be free then.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let listen = format!("{before}{settings}listen_addresses='127.0.0.1'\nport={port}\n");
    std::fs::write(&conf, listen).expect("settings");
    server.control("restart");
    // The socket is named after the port.
    let socket = |port| server.dir.path().join(format!(".s.PGSQL.{port}"));
    std::os::unix::fs::symlink(socket(port), socket(PORT)).expect("its old name");
    port
}

/// Passes one connection on to the server until the client says COMMIT, whose answer it waits for and keeps to itself.
fn keep_the_answer_to_commit(listener: &TcpListener, server: &Server) {
    let (mut client, _) = listener.accept().expect("a client");
    let socket = server.socket().join(format!(".s.PGSQL.{PORT}"));
    let mut server = UnixStream::connect(socket).expect("the server");
    let (mut answers, mut to_client) =
        (server.try_clone().expect("again"), client.try_clone().expect("again"));
    let (committed, ended) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = [0; 65_536];
            let mut silent = false;
            loop {
                let read = answers.read(&mut bytes).expect("the server's words");
                silent = silent || ended.try_recv().is_ok();
                if silent {
                    // It has committed: the rest is for nobody.
                    to_client.shutdown(Shutdown::Both).expect("closed");
                    return;
                }
                to_client.write_all(&bytes[..read]).expect("passed on");
            }
        });
        let mut bytes = [0; 65_536];
        loop {
            let read = client.read(&mut bytes).expect("the client's words");
            if bytes[..read].windows(6).any(|six| six == b"COMMIT") {
                committed.send(()).expect("told");
                server.write_all(&bytes[..read]).expect("passed on");
                return;
            }
            server.write_all(&bytes[..read]).expect("passed on");
        }
    });
}

#[test]
fn a_commit_without_an_answer_is_in_doubt_and_sent_again_it_is_stored_once() {
    let Some((server, settings, mut direct)) = with_trades("") else { return };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut by_way = settings.clone();
    let SinkKind::Postgres(postgres) = &mut by_way.kind else { panic!("{by_way:?}") };
    postgres.servers = vec![("127.0.0.1".to_owned(), listener.local_addr().expect("it").port())];
    let lines: String = (0..1_000).map(trade).collect();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| keep_the_answer_to_commit(&listener, &server));
        sink(&by_way).write(&request(&lines))
    });
    assert!(matches!(&outcome, Outcome::InDoubt(fault) if fault.kind == FaultKind::Transient), "{outcome:?}");
    let count = || server.sql("tick", "SELECT count(*) FROM trades");
    assert_eq!(count(), "1000");
    assert_eq!(direct.write(&request(&lines)), Outcome::accepted());
    assert_eq!(count(), "1000");
}

#[test]
fn an_encrypted_session_is_had_only_with_a_server_whose_certificate_is_right() {
    let Some(server) = server::start(&[]) else { return };
    let path = |name: &str| server.dir.path().join(name);
    let key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(path("ca.pem"), authority.self_signed(&key).expect("signed").pem()).expect("written");
    let issuer = Issuer::new(authority, key);
    let own = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let certificate = certificate.signed_by(&own, &issuer).expect("signed");
    std::fs::write(path("server.pem"), certificate.pem()).expect("written");
    std::fs::write(path("server.key"), own.serialize_pem()).expect("written");
    std::fs::set_permissions(path("server.key"), PermissionsExt::from_mode(0o600)).expect("permissions");
    let owner = std::fs::metadata(path("data")).expect("the server's");
    let (user, group) =
        (std::os::unix::fs::MetadataExt::uid(&owner), std::os::unix::fs::MetadataExt::gid(&owner));
    chown(path("server.key"), Some(user), Some(group)).expect("given away");
    let pem = |name: &str| path(name).display().to_string();
    let port = listen(
        &server,
        &format!("ssl=on\nssl_cert_file='{}'\nssl_key_file='{}'\n", pem("server.pem"), pem("server.key")),
    );

    let with =
        |host: &str, more: &str| settings(&server, &format!("servers=[\"{host}:{port}\"] tls=true {more}"));
    let right = with("localhost", &format!("tls_ca=\"{}\"", pem("ca.pem")));
    admin(&right).apply(&[trades()]).expect("tables");
    assert_eq!(sink(&right).write(&request(&trade(1))), Outcome::accepted());
    // Another name than the certificate's, and an authority that nobody knows.
    for wrong in [with("127.0.0.1", &format!("tls_ca=\"{}\"", pem("ca.pem"))), with("localhost", "")] {
        let fault = not_sent(sink(&wrong).write(&request(&trade(2))));
        assert!(fault.detail.contains("certificate"), "{fault:?}");
    }
    assert_eq!(server.sql("tick", "SELECT count(*) FROM trades"), "1");
}
