//! `ringback address`: list, add, remove, import, export.

use std::{path::PathBuf, time::Instant};

use clap::{Args, Subcommand};
use monitor_core::domain::{ClientNet, Language, wall_clock::utc_short};

use super::{
    Context, Failure, address_file,
    book::{Book, Piece},
    import,
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
    ///
    /// The whole file is read before anything is changed. Then its entries are added in order, 5,000 in one transaction.
    /// If that breaks off, the command says which lines are added; adding them again does no harm.
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
                book.put(vec![line], Piece::Whole).await.map(drop)
            }
            Self::Remove(verb) => book.remove(verb.client).await,
            Self::Import(verb) => {
                let begin = Instant::now();
                let count = import::import(&book, &verb.file).await?;
                let took = begin.elapsed().as_secs_f64();
                table::print(verb.json, &count, |count| format!("{count} entries imported in {took:.1} s\n"))
            }
            Self::Export => {
                let lines = book.patient().lines().await?;
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
