//! Debian's packages of suites that the system itself does not use.
//!
//! The mirror and its key are those of the system's own sources; lists and cache are apart, so that the system's stay
//! as they are.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::command;

const DEFAULT_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A mirror of Debian's main archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mirror {
    uri: String,
    /// The suite of this system.
    codename: String,
    /// Keyring file that signs it; `None`: the keys that apt trusts anyway.
    signed_by: Option<String>,
}

/// One `deb` source: a one-line entry or a stanza.
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    signed_by: Option<String>,
}

impl Mirror {
    /// The mirror that this system gets its own packages from.
    pub(super) fn of_this_system() -> Result<Self> {
        let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let field = |name: &str| {
            os.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(|v| v.trim_matches('"'))
        };
        if field("ID") != Some("debian") {
            bail!("this system is not Debian (ID={} in /etc/os-release)", field("ID").unwrap_or("?"));
        }
        let codename = field("VERSION_CODENAME").unwrap_or("sid");
        Self::pick(&system_sources()?, codename)
            .with_context(|| format!("no source in /etc/apt has the suite {codename}"))
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    pub(super) fn codename(&self) -> &str {
        &self.codename
    }

    fn pick(sources: &[Source], codename: &str) -> Option<Self> {
        let suites = [codename, "stable", "testing", "unstable", "sid"];
        let source =
            sources.iter().find(|source| source.suites.iter().any(|suite| suites.contains(&suite.as_str())))?;
        let default = || Path::new(DEFAULT_KEYRING).is_file().then(|| DEFAULT_KEYRING.to_owned());
        Some(Self {
            uri: source.uris.first()?.clone(),
            codename: codename.to_owned(),
            signed_by: source.signed_by.clone().or_else(default),
        })
    }
}

fn system_sources() -> Result<Vec<Source>> {
    let mut files: Vec<PathBuf> = vec!["/etc/apt/sources.list".into()];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.filter_map(Result::ok).map(|entry| entry.path()));
    }
    files.sort();
    let mut sources = Vec::new();
    for file in files.iter().filter(|file| file.is_file()) {
        let text = || fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
        match file.extension().and_then(|ext| ext.to_str()) {
            Some("list") => sources.extend(text()?.lines().filter_map(parse_line)),
            Some("sources") => sources.extend(text()?.split("\n\n").filter_map(parse_stanza)),
            _ => {}
        }
    }
    Ok(sources)
}

/// `deb [signed-by=FILE …] URI SUITE COMPONENT…` (sources.list(5), one-line style).
fn parse_line(line: &str) -> Option<Source> {
    let rest = line.split('#').next()?.trim().strip_prefix("deb")?;
    let rest = rest.starts_with(char::is_whitespace).then(|| rest.trim_start())?;
    let (options, rest) = rest.strip_prefix('[').map_or(Some(("", rest)), |rest| rest.split_once(']'))?;
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        signed_by: options.split_whitespace().find_map(|option| option.strip_prefix("signed-by=")).map(str::to_owned),
    })
}

/// A stanza of `Field: value` lines (sources.list(5), deb822 style).
fn parse_stanza(stanza: &str) -> Option<Source> {
    let field = |name: &str| {
        stanza.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let words = |name: &str| field(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let enabled = field("Enabled").is_none_or(|value| !matches!(value, "no" | "false" | "off" | "0"));
    (enabled && words("Types").iter().any(|kind| kind == "deb")).then(|| Source {
        uris: words("URIs"),
        suites: words("Suites"),
        // A key written into the stanza itself is no file; Debian's keyring takes its place.
        signed_by: field("Signed-By").filter(|value| value.starts_with('/')).map(str::to_owned),
    })
}

/// apt with suites of our choice, and lists and cache of its own.
pub(super) struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    /// Fetches the suites' package lists into `folder`.
    pub(super) fn new(mirror: &Mirror, suites: &[&str], folder: PathBuf) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).with_context(|| format!("cannot create {}", part.display()))?;
        }
        let options = mirror.signed_by.as_ref().map(|file| format!("[signed-by={file}] ")).unwrap_or_default();
        let list = folder.join("sources.list");
        let lines: String = suites.iter().map(|suite| format!("deb {options}{} {suite} main\n", mirror.uri)).collect();
        fs::write(&list, lines).with_context(|| format!("cannot write {}", list.display()))?;
        let apt = Self { folder };
        command::output(&mut apt.command("apt-get", &["update"]))?;
        Ok(apt)
    }

    /// The packages whose names begin so.
    pub(super) fn packages(&self, begin: &str) -> Result<Vec<String>> {
        let names = command::output(&mut self.command("apt-cache", &["pkgnames", begin]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// The versions of a package in this suite.
    pub(super) fn versions(&self, package: &str) -> Result<Vec<String>> {
        let table = command::output(&mut self.command("apt-cache", &["madison", package]))?;
        Ok(table.lines().filter_map(|line| line.split('|').nth(1)).map(|version| version.trim().to_owned()).collect())
    }

    /// Downloads the package (apt checks its signature chain) and unpacks it; returns the folder of its files.
    pub(super) fn unpack(&self, package: &str, version: &str) -> Result<PathBuf> {
        command::output(&mut self.command("apt-get", &["download", &format!("{package}={version}")]))?;
        let files = self.folder.join("files");
        unpack_all(&self.folder, &files)?;
        Ok(files)
    }

    /// Downloads the package of one of the suites, with what it needs that the system lacks, into `folder`.
    pub(super) fn download_with_dependencies(&self, package: &str, suite: &str, folder: &Path) -> Result<()> {
        let ask = ["-qq", "-y", "-o", "Debug::NoLocking=1", "--no-install-recommends", "--print-uris"];
        let ask = [&ask[..], &["--target-release", suite, "install", package]].concat();
        let wanted = packages_in_uris(&command::output(&mut self.command("apt-get", &ask))?);
        eprintln!("setup: downloading {}", wanted.join(" "));
        let mut apt = self.command("apt-get", &["-qq", "--target-release", suite, "download"]);
        command::output(apt.args(wanted).current_dir(folder)).map(drop)
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let at = |part: &str| self.folder.join(part).display().to_string();
        let mut command = Command::new(program);
        command.current_dir(&self.folder);
        for option in [
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::lists={}", at("lists")),
            format!("Dir::Cache={}", at("cache")),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            // The download user may have no access to this folder; whoever calls this writes here as himself.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        command.args(args);
        command
    }
}

/// The packages in what `apt-get --print-uris` prints: lines `'URI' NAME_VERSION_ARCHITECTURE.deb SIZE HASH`.
pub(super) fn packages_in_uris(lines: &str) -> Vec<String> {
    let files = lines.lines().filter_map(|line| line.split_whitespace().nth(1));
    files.filter_map(|file| file.split_once('_')).map(|(name, _)| name.to_owned()).collect()
}

/// Unpacks every package file of a folder; nothing of it is run.
pub(super) fn unpack_all(folder: &Path, files: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let package = entry?.path();
        if package.extension().is_some_and(|ext| ext == "deb") {
            command::run(Command::new("dpkg").arg("-x").arg(&package).arg(files))?;
            fs::remove_file(&package).with_context(|| format!("cannot remove {}", package.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Mirror, parse_line, parse_stanza};

    fn mirror(uri: &str, key: &str) -> Option<Mirror> {
        Some(Mirror { uri: uri.to_owned(), codename: "bookworm".to_owned(), signed_by: Some(key.to_owned()) })
    }

    #[test]
    fn the_mirror_is_read_from_stanzas() {
        let text = "Types: deb\nURIs: http://sec.example/debian-security\nSuites: bookworm-security\nComponents: main\n\
                    \n# mirror\nTypes: deb deb-src\n# note\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\n\
                    Components: main\nSigned-By: /k.gpg\n";
        let sources: Vec<_> = text.split("\n\n").filter_map(parse_stanza).collect();
        assert_eq!(Mirror::pick(&sources, "bookworm"), mirror("http://m.example/debian", "/k.gpg"));
    }

    #[test]
    fn the_mirror_is_read_from_lines() {
        let text = "# deb http://old.example bookworm main\ndeb-src http://src.example bookworm main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian bookworm main # mine\n";
        let sources: Vec<_> = text.lines().filter_map(parse_line).collect();
        assert_eq!(Mirror::pick(&sources, "bookworm"), mirror("http://m.example/debian", "/k.gpg"));
    }

    #[test]
    fn disabled_and_foreign_sources_are_no_mirror() {
        let off = "Types: deb\nEnabled: no\nURIs: http://m.example\nSuites: bookworm\n";
        let foreign = "Types: deb\nURIs: http://node.example\nSuites: nodistro\n";
        let sources: Vec<_> = [off, foreign].into_iter().filter_map(parse_stanza).collect();
        assert_eq!(Mirror::pick(&sources, "bookworm"), None);
    }
}
