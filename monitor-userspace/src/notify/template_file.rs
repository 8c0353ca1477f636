//! The operator's templates, as files.

use std::{fs, io, path::Path};

use monitor_core::mail::UnreadableTemplate;

use crate::text_file;

/// The text of the file `name` in `dir`, if it is there.
pub(super) fn read(dir: &Path, name: &str) -> Result<Option<String>, UnreadableTemplate> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| UnreadableTemplate { path, source }
    };
    // A folder that is not there is a typing error; a file that is not there means the built-in text.
    fs::read_dir(dir).map_err(unreadable(dir))?;
    let path = dir.join(name);
    match text_file::read(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&path)(error)),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use jiff::tz::TimeZone;
    use monitor_core::{
        config,
        domain::Language,
        mail::{
            Composer, Letter,
            sample::{letter_about, service},
        },
    };

    use super::*;

    const TEXT: &str =
        "[subject]\nS {server}\n[subject of several]\nM {others}\n[text]\n{services}\n[service]\n{port}\n";

    fn in_folder(dir: &Path) -> Result<Composer, String> {
        let settings = config::Notify {
            from: "ringback@gw.example.net".to_owned(),
            template_dir: Some(dir.to_owned()),
            ..Default::default()
        };
        Composer::load(&settings, TimeZone::UTC, &read).map_err(|mistakes| mistakes[0].to_string())
    }

    fn letter(language: Language) -> Letter {
        letter_about(1, Some(language), vec![service(17, 443)])
    }

    #[test]
    fn an_operators_file_counts_and_an_absent_one_means_the_built_in_text() {
        let dir = tempfile::tempdir().unwrap();
        for text in [TEXT.to_owned(), format!("\u{feff}{TEXT}")] {
            fs::write(dir.path().join("recovered.en.txt"), text).unwrap();
            let composer = in_folder(dir.path()).unwrap();
            let message = String::from_utf8(composer.write(&letter(Language::En)).unwrap().bytes).unwrap();
            assert!(message.contains("\r\nSubject: S www.example.net (192.0.2.7)\r\n"), "{message}");
            let message = composer.write(&letter(Language::Ja)).unwrap().bytes;
            assert!(String::from_utf8(message).unwrap().contains("\r\nSubject: =?utf-8?"), "the built-in one");
        }
        let error = in_folder(&dir.path().join("absent")).unwrap_err();
        assert!(error.contains("absent cannot be read"), "{error}");
        fs::create_dir(dir.path().join("recovered.ja.txt")).unwrap();
        let error = in_folder(dir.path()).unwrap_err();
        assert!(error.contains("recovered.ja.txt cannot be read"), "{error}");
    }
}
