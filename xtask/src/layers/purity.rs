//! What a pure crate must not name: the clock, files, the environment, sockets.

use super::{crates::Sources, paths::Paths};
use crate::fault::Fault;

/// Every line that names one of these paths. `std::fs` stands for all that is in it; `Instant::now` is found behind any
/// path and any import.
pub(super) fn faults(this: &Sources, unnamed: &[String]) -> Vec<Fault> {
    let unnamed: Vec<(&String, Vec<&str>)> = unnamed.iter().map(|path| (path, path.split("::").collect())).collect();
    let mut faults = Vec::new();
    for module in this.trees.iter().flat_map(|tree| &tree.modules) {
        let paths = Paths::of(&module.items);
        for path in &paths.named {
            let full = paths.in_full(path);
            let found =
                unnamed.iter().find(|(_, wanted)| full.windows(wanted.len()).any(|part| part == wanted.as_slice()));
            if let Some((name, _)) = found {
                faults.push(Fault::at(
                    &module.file,
                    path.line,
                    format_args!("{} is pure and names `{name}`", this.package),
                ));
            }
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::faults;
    use crate::layers::fixture::Fixture;

    fn found(source: &str) -> Vec<usize> {
        let fixture = Fixture::new(&[("lib.rs", source)]);
        let unnamed = ["std::fs", "std::env", "SystemTime::now", "Instant::now", "std::net::UdpSocket"];
        let faults = faults(&fixture.sources("core", "lib.rs"), &unnamed.map(str::to_owned));
        faults.iter().map(|fault| fault.to_string().split(':').nth(1).unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn what_is_forbidden_is_found_in_every_form() {
        assert_eq!(found("use std::{fs::File, net::IpAddr};"), [1]);
        assert_eq!(found("fn f() {\n    std::env::var(\"X\");\n}"), [2]);
        assert_eq!(found("use std::time::Instant as Clock;\nfn f() { Clock::now(); }"), [2]);
        assert_eq!(found("fn f() { g(std::time::SystemTime::now) }"), [1]);
        assert_eq!(found("use std::net;\nfn f() { net::UdpSocket::bind(a) }"), [2]);
        assert_eq!(found("fn f() {\n println!(\"{}\", std::fs::read(a));\n}"), [2]);
    }

    #[test]
    fn the_rest_of_the_library_is_free() {
        let source = "use std::{net::SocketAddr, time::{Duration, Instant}};\n\
            fn f(now: Instant) -> &'static str { env!(\"CARGO_PKG_NAME\") }\n\
            #[cfg(test)] mod tests { use std::fs; }";
        assert_eq!(found(source), Vec::<usize>::new());
    }
}
