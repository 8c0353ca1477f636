//! TLS and passwords: nothing goes to a server that is not the one, and no password in the clear.

use std::io::Write as _;

use monitor_core::{config, mail::sample};

use super::{
    Post,
    scripted_server::{Encryption, ScriptedServer},
    settings,
};

/// Settings with a user and this password.
fn with_login(server: &ScriptedServer, password: &tempfile::NamedTempFile) -> config::Notify {
    config::Notify {
        smtp_user: Some("me".to_owned()),
        smtp_password_file: Some(password.path().to_owned()),
        ..settings(server.addr)
    }
}

fn password(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{text}").unwrap();
    file
}

#[tokio::test]
async fn starttls_is_used_when_offered_and_the_password_goes_over_it() {
    let server = ScriptedServer::start(Encryption::StartTls, []).await;
    let password = password("right");
    let settings = config::Notify {
        smtp: Some(format!("smtp://localhost:{}", server.addr.port())),
        smtp_ca_file: Some("tests/smtp/ca.pem".into()),
        ..with_login(&server, &password)
    };
    let post = Post::start(&settings, [sample::letter(1)]);
    post.finished().await;
    let taken = &server.taken()[0];
    assert!(taken.encrypted && taken.login.is_some(), "{taken:?}");
    post.stop().await;
}

#[tokio::test]
async fn without_a_login_any_certificate_is_better_than_none() {
    let server = ScriptedServer::start(Encryption::StartTls, []).await;
    let post = Post::start(&settings(server.addr), [sample::letter(1)]);
    post.finished().await;
    assert!(server.taken()[0].encrypted);
    post.stop().await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_gets_neither_password_nor_mail() {
    for url in ["smtp+starttls", "smtp"] {
        let server = ScriptedServer::start(Encryption::StartTls, []).await;
        let password = password("right");
        let settings = config::Notify {
            smtp: Some(format!("{url}://localhost:{}", server.addr.port())),
            ..with_login(&server, &password)
        };
        let post = Post::start(&settings, [sample::letter(1)]);
        let row = post.put_off().await;
        assert!(row.put_off()[0].contains("TLS"), "{row:?}");
        assert!(server.taken().is_empty());
        post.stop().await;
    }
}

/// A program of its own, because the system's authorities are found by its environment.
#[test]
fn an_authority_of_the_system_is_trusted_without_further_configuration() {
    let inner = "encryption::mail_goes_out_over_tls_by_the_systems_authorities_alone";
    let with_ours = |file: &str| {
        let mut program = std::process::Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", "--ignored", inner]).env_remove("SSL_CERT_DIR").env("SSL_CERT_FILE", file);
        program.output().unwrap()
    };
    let trusted = with_ours("tests/smtp/ca.pem");
    assert!(trusted.status.success(), "{}", String::from_utf8_lossy(&trusted.stdout));
    assert!(String::from_utf8_lossy(&trusted.stdout).contains("1 passed"), "the program has another name");
    assert!(!with_ours("tests/smtp/server.pem").status.success(), "the server's own certificate is no authority");
}

#[tokio::test]
#[ignore = "run by the test above"]
async fn mail_goes_out_over_tls_by_the_systems_authorities_alone() {
    for (url, encryption) in [("smtps", Encryption::FromTheStart), ("smtp+starttls", Encryption::StartTls)] {
        let server = ScriptedServer::start(encryption, []).await;
        let smtp = Some(format!("{url}://localhost:{}", server.addr.port()));
        let post = Post::start(&config::Notify { smtp, ..settings(server.addr) }, [sample::letter(1)]);
        post.finished().await;
        assert!(server.taken()[0].encrypted);
        post.stop().await;
    }
}

#[tokio::test]
async fn required_encryption_that_is_not_offered_sends_nothing() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let settings = config::Notify { smtp: Some(format!("smtp+starttls://{}", server.addr)), ..settings(server.addr) };
    let post = Post::start(&settings, [sample::letter(1)]);
    assert!(post.put_off().await.put_off()[0].contains("no STARTTLS offered"));
    assert!(server.taken().is_empty());
    post.stop().await;
}

#[tokio::test]
async fn tls_from_the_start_carries_many_mails_quickly() {
    let server = ScriptedServer::start(Encryption::FromTheStart, []).await;
    let settings = config::Notify {
        smtp: Some(format!("smtps://localhost:{}", server.addr.port())),
        smtp_ca_file: Some("tests/smtp/ca.pem".into()),
        ..settings(server.addr)
    };
    let post = Post::start(&settings, (1..=20).map(sample::letter));
    post.finished().await;
    assert!(server.taken().iter().all(|taken| taken.encrypted));
    assert_eq!(server.taken().len(), 20);
    post.stop().await;
}

#[tokio::test]
async fn a_wrong_password_keeps_the_letters_and_says_so() {
    let server = ScriptedServer::start(Encryption::Never, []).await;
    let password = password("wrong");
    let post = Post::start(&with_login(&server, &password), [sample::letter(1)]);
    let row = post.put_off().await;
    assert!(row.put_off()[0].contains("login refused") && row.dead().is_none(), "{row:?}");
    assert!(!row.put_off()[0].contains("wrong"), "{row:?}");
    post.stop().await;
}
