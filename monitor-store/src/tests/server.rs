//! One PostgreSQL server for all tests of this process; a database for each test.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use super::Place;
use crate::{Location, NotificationPolicy, Store, postgres};

const SCRIPT: &str = include_str!("../../../tests/src/postgres.sh");

/// Copied for each test: a database whose schema is up to date.
const TEMPLATE: &str = "ringback_template";

static SERVER: LazyLock<Running> = LazyLock::new(Running::start);

struct Running {
    folder: String,
    /// The server ends when its standard input does: with this process.
    _server: Child,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("ringback-postgres").tempdir().unwrap().keep();
        // The folder goes with the server. What is committed need not outlive the machine here.
        let script = format!("({SCRIPT}); status=$?; rm -rf \"$1\"; exit $status");
        let mut server = Command::new("sh")
            .args(["-c", &script, "sh"])
            .arg(&folder)
            .args(["", "fsync=off", "deadlock_timeout=100ms"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n", "PostgreSQL does not start");
        let running = Self { folder: folder.display().to_string(), _server: server };
        running.run("postgres", &format!("CREATE DATABASE {TEMPLATE}"));
        drop(Store::at(&located(&running.folder, TEMPLATE), NotificationPolicy::default()).unwrap());
        running
    }

    /// As the server's own administrator.
    fn run(&self, database: &str, sql: &str) {
        let (folder, database, sql) = (self.folder.clone(), database.to_owned(), sql.to_owned());
        let work = async move {
            let config = format!("host={folder} user=ringback dbname={database}");
            let (client, connection) = tokio_postgres::connect(&config, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            // A connection that was closed may be there for a moment longer.
            let mut tries = 0;
            while let Err(error) = client.batch_execute(&sql).await {
                tries += 1;
                assert!(tries < 200, "{sql}: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Tests run on runtimes of their own.
        thread::spawn(move || runtime.block_on(work)).join().unwrap();
    }
}

fn located(folder: &str, database: &str) -> Location {
    let url = format!("postgres://ringback@{}/{database}", folder.replace('/', "%2F"));
    Location::Server(Box::new(postgres::Server::new(&url, None, postgres::no_authorities).unwrap()))
}

/// A database on the server.
pub(crate) struct Server {
    database: String,
}

impl Server {
    fn create(template: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let database = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        SERVER.run("postgres", &format!("CREATE DATABASE {database} TEMPLATE {template}"));
        Self { database }
    }
}

impl Place for Server {
    fn fresh() -> Self {
        Self::create(TEMPLATE)
    }

    fn of_version_before_one_outbox(rows: &str) -> Self {
        let server = Self::create("template1");
        let sql = [
            "CREATE SCHEMA ringback; SET search_path = ringback;",
            include_str!("../postgres/migrations/0001_first.sql"),
            include_str!("../postgres/migrations/0002_shared.sql"),
            include_str!("../postgres/migrations/0003_question.sql"),
            include_str!("../postgres/migrations/0004_references.sql"),
            "CREATE TABLE schema_version (one BIGINT PRIMARY KEY CHECK (one = 1), version BIGINT NOT NULL);
             INSERT INTO schema_version (one, version) VALUES (1, 4);",
            // Blobs as PostgreSQL writes them.
            &rows.replace("x'", "'\\x"),
            "ALTER TABLE letter ALTER COLUMN id RESTART WITH 21",
        ];
        SERVER.run(&server.database, &sql.join("\n"));
        server
    }

    fn name(&self) -> String {
        format!("{}\n{}", SERVER.folder, self.database)
    }

    fn located(name: &str) -> Location {
        let (folder, database) = name.split_once('\n').unwrap();
        located(folder, database)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        SERVER.run("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.database));
    }
}
