//! `ringback address`: list, add, remove, import, export.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use monitor_core::domain::{ClientNet, Language, wall_clock::utc_short};

use super::{
    Context, Failure, address_file,
    book::Book,
    table::{self, Width, table},
};
use crate::control::AddressLine;

/// `ringback address`
#[derive(Debug, Subcommand)]
pub(super) enum AddressArgs {
    /// Print the address book
    List(List),
    /// Add an entry, or replace the one for the same client
    Add(Add),
    /// Remove an entry
    Remove(Remove),
    /// Add all entries of a CSV file with lines CLIENT,MAIL[,en|ja]; none if one of them is wrong
    Import(Import),
    /// Print the address book in the form that import reads
    Export,
}

/// `ringback address list`
#[derive(Debug, Args)]
pub(super) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `ringback address add`
#[derive(Debug, Args)]
pub(super) struct Add {
    /// An address or a network of clients
    client: ClientNet,
    /// Who is told
    mail: String,
    /// In which language: en or ja
    #[arg(long, value_parser = language)]
    language: Option<Language>,
}

/// `ringback address remove`
#[derive(Debug, Args)]
pub(super) struct Remove {
    /// The entry's address or network
    client: ClientNet,
}

/// `ringback address import`
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn language(text: &str) -> Result<Language, String> {
    match text {
        "en" => Ok(Language::En),
        "ja" => Ok(Language::Ja),
        _ => Err(format!("`{text}` is not a language: write en or ja")),
    }
}

impl AddressArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let book = Book::open(context).await?;
        match self {
            Self::List(verb) => {
                let lines = book.lines().await?;
                table::print(verb.json, &lines, |lines| human(lines, Width::of_stdout()))
            }
            Self::Add(verb) => {
                let line = AddressLine {
                    client: verb.client,
                    mail: verb.mail,
                    language: verb.language,
                    origin: None,
                    registered: None,
                };
                book.put(vec![line]).await.map(drop)
            }
            Self::Remove(verb) => book.remove(verb.client).await,
            Self::Import(verb) => {
                let lines = read(&verb.file)?;
                let count = book.put(lines).await?;
                table::print(verb.json, &count, |count| format!("{count} entries imported\n"))
            }
            Self::Export => {
                let lines = book.lines().await?;
                let text = address_file::write(&lines).map_err(|error| Failure::failed(error.to_string()))?;
                table::print(false, &lines, |_| text)
            }
        }
    }
}

fn human(lines: &[AddressLine], width: Width) -> String {
    if lines.is_empty() {
        return "the address book is empty\n".to_owned();
    }
    let lines: Vec<_> = lines
        .iter()
        .map(|line| {
            [
                line.client.to_string(),
                line.mail.clone(),
                line.language.map_or("-", word).to_owned(),
                line.registered.map(utc_short).unwrap_or_default(),
            ]
        })
        .collect();
    table(["CLIENT", "MAIL", "LANGUAGE", "REGISTERED"], &lines, width)
}

pub(super) const fn word(language: Language) -> &'static str {
    match language {
        Language::En => "en",
        Language::Ja => "ja",
    }
}

fn read(file: &Path) -> Result<Vec<AddressLine>, Failure> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| Failure::usage(format!("{shown} cannot be read: {error}")))?;
    address_file::read(&text).map_err(|mistakes| {
        let mut lines: Vec<_> = mistakes.into_iter().map(|(line, what)| format!("{shown}:{line}: {what}")).collect();
        lines.push("nothing was imported".to_owned());
        Failure::usage(lines.join("\n"))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    #[test]
    fn an_import_names_every_wrong_line_and_takes_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.csv");
        fs::write(&file, "# people\n10.1.1.1,sato@example.jp,ja\n10.1.1.x,a@b.c\n10.1.1.2,nobody\n10.1.1.3\n").unwrap();
        let error = super::read(&file).unwrap_err();
        assert_eq!(error.status(), 2);
        let text = error.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].contains("people.csv:3: `10.1.1.x` is not an address or network"), "{text}");
        assert!(lines[1].contains("people.csv:4: `nobody` is not a mail address"), "{text}");
        assert!(lines[2].contains("people.csv:5: `10.1.1.3` is not CLIENT,MAIL"), "{text}");
        assert_eq!(lines[3], "nothing was imported");
    }
}
