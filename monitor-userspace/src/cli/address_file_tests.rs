#![expect(clippy::unwrap_used, reason = "tests")]

use monitor_core::domain::Language;
use proptest::prelude::*;

use super::*;

fn read(bytes: &[u8]) -> Result<Vec<AddressLine>, Vec<(usize, String)>> {
    let (mut entries, mut mistakes) = (Vec::new(), Vec::new());
    for found in Entries::of(bytes) {
        match found {
            Ok((_, entry)) => entries.push(entry),
            Err(WrongLine::Here(line, what)) => mistakes.push((line, what)),
            Err(WrongLine::NotText(what)) => mistakes.push((0, what.to_string())),
            Err(WrongLine::Unreadable(error)) => mistakes.push((0, error.to_string())),
        }
    }
    if mistakes.is_empty() { Ok(entries) } else { Err(mistakes) }
}

/// Each entry as `client mail language`.
fn shown(text: &str) -> Vec<String> {
    let language = |line: &AddressLine| line.language.map_or("-", word);
    let lines = read(text.as_bytes()).unwrap_or_else(|mistakes| panic!("{text:?}: {mistakes:?}"));
    lines.iter().map(|line| format!("{} {} {}", line.client, line.mail, language(line))).collect()
}

#[test]
fn what_spreadsheets_write_is_read() {
    for text in [
        "10.1.1.1,a@example.jp,ja\n10.1.1.2,b@example.jp\n",
        // Excel's "CSV UTF-8": a byte order mark and CRLF.
        "\u{feff}10.1.1.1,a@example.jp,ja\r\n10.1.1.2,b@example.jp\r\n",
        // Columns that other lines have are filled.
        "10.1.1.1,a@example.jp,ja\r\n10.1.1.2,b@example.jp,\r\n",
        "10.1.1.1,a@example.jp,ja,,\n10.1.1.2,b@example.jp,,,\n,,,,\n",
        "\"10.1.1.1\",\"a@example.jp\",\"ja\"\n\"10.1.1.2\",\"b@example.jp\",\"\"\n",
        "Client,Mail,Language\n10.1.1.1,a@example.jp,ja\n10.1.1.2,b@example.jp,\n",
        "\u{feff}\"IPv4 address\",\"E-mail\"\r\n10.1.1.1,a@example.jp,ja\r\n10.1.1.2,b@example.jp,\r\n",
        "# people\n\n \t\n  # of the first floor\n 10.1.1.1 , a@example.jp,\tja\n10.1.1.2,b@example.jp",
        // Where the comma is in numbers, Excel writes semicolons; "Text" has tabs; a Macintosh's lines end with CR.
        "\u{feff}10.1.1.1;a@example.jp;ja\r\n10.1.1.2;b@example.jp;\r\n",
        "Client;\"Mail, address\";Language\r\n10.1.1.1;a@example.jp;ja\r\n10.1.1.2;b@example.jp;\r\n",
        "sep=;\r\n10.1.1.1;a@example.jp;ja\r\n10.1.1.2;b@example.jp;\r\n",
        "10.1.1.1\ta@example.jp\tja\r\n10.1.1.2\tb@example.jp\t\r\n",
        "10.1.1.1,a@example.jp,ja\r10.1.1.2,b@example.jp,\r",
        "Client;Mail\r\"10.1.1.1\";\"a@example.jp\";\"ja\"\r\r10.1.1.2;b@example.jp",
        "# don't \"quote\" me\"\n10.1.1.1,a@example.jp,ja\n10.1.1.2,b@example.jp\n",
        "\"Client\",\"Mail\nof the person\"\n10.1.1.1,a@example.jp,ja\n10.1.1.2,b@example.jp\n",
    ] {
        assert_eq!(shown(text), ["10.1.1.1 a@example.jp ja", "10.1.1.2 b@example.jp -"], "{text:?}");
    }
    assert_eq!(shown(""), [""; 0]);
}

#[test]
fn mistakes_name_their_line_whatever_stands_in_front() {
    let mistakes = |text: &str| read(text.as_bytes()).unwrap_err();
    let lines = |text: &str| mistakes(text).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
    assert_eq!(lines("\u{feff}# people\r\n\r\n10.1.1.x,a@b.c\r\n# more\r\n\"10.1.1.y\",a@b.c\r\n"), [3, 5]);
    assert_eq!(lines("10.1.1.1,\"a@b.c\n\",ja\n10.1.1.x,a@b.c\n"), [3]);
    for (text, what) in [
        ("10.1.1.1,a@b.c,fr,\n", "`fr` is not a language"),
        ("10.1.1.1\n", "`10.1.1.1` is not CLIENT,MAIL"),
        ("10.1.1.1,,\n", "`` is not a mail address"),
        ("10.1.1.1,a@b.c,ja,x\n", "`10.1.1.1,a@b.c,ja,x` is not CLIENT,MAIL"),
        // Only the first line may hold names of columns.
        ("10.1.1.1,a@b.c\nclient,mail\n", "`mail` is not a mail address"),
        ("nobody\n", "`nobody` is not CLIENT,MAIL"),
        ("fe80::x,nobody\n", "`nobody` is not a mail address"),
        ("10.1.1.1,\"a@b.c\n", "a quoted cell does not end"),
        ("10.1.1.1,a@b.c\0\n", "it is no text (a NUL in line 1)"),
    ] {
        assert!(mistakes(text)[0].1.contains(what), "{text:?}: {:?}", mistakes(text));
    }
    let endless = format!("10.1.1.1,a@b.c\n{}\n10.1.1.x,a@b.c\n", "x".repeat(1 << 20));
    assert_eq!(lines(&endless), [2, 3]);
}

#[test]
fn what_is_no_utf_8_is_named_as_such() {
    let utf16: Vec<u8> = "\u{feff}10.1.1.1\ta@b.c\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let said = |bytes: &[u8]| read(bytes).unwrap_err().remove(0).1;
    assert!(said(&utf16).contains("it is UTF-16: save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\")"));
    assert!(said(&utf16[2..]).contains("it is UTF-16"), "also without its mark");
    assert!(said(b"Client,Mail\n10.1.1.1,m\xfcller@b.c\n").contains("it is not UTF-8 (line 2)"));
    assert!(said(b"PK\x03\x04\x14\0\x06\0").contains("it is a spreadsheet"));
}

#[test]
fn what_is_exported_can_be_imported() {
    let text = "10.1.1.1,sato@example.jp,ja\n10.2.0.0/16,noc@example.net\n";
    let lines = read(text.as_bytes()).unwrap();
    assert_eq!((lines[0].language, lines[1].language), (Some(Language::Ja), None));
    assert_eq!(write(&lines).unwrap(), text);
    let quoted = "10.1.1.1,\"\"\"a,b\"\"@example.jp\",ja\n";
    assert_eq!(shown(quoted), ["10.1.1.1 \"a,b\"@example.jp ja"]);
    assert_eq!(write(&read(quoted.as_bytes()).unwrap()).unwrap(), quoted);
}

proptest! {
    /// Whatever delimiter, quotes, line ends and filled columns a program chooses: the same entries.
    #[test]
    fn every_way_to_write_a_table_is_read_alike(
        rows in proptest::collection::vec((0_u8..255, any::<bool>(), any::<bool>()), 1..20),
        delimiter in prop_oneof![Just(","), Just(";"), Just("\t")],
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        (mark, header, fill) in any::<(bool, bool, bool)>(),
    ) {
        let mut text = if mark { "\u{feff}".to_owned() } else { String::new() };
        if header {
            text.push_str(&["Client", "Mail", "Language"].join(delimiter));
            text.push_str(end);
        }
        let mut expected = Vec::new();
        for (number, quoted, spoken) in rows {
            let mut cells = vec![format!("10.0.0.{number}"), format!("m{number}@example.jp")];
            if spoken {
                cells.push("ja".to_owned());
            } else if fill {
                cells.push(String::new());
            }
            expected.push(format!("10.0.0.{number} m{number}@example.jp {}", if spoken { "ja" } else { "-" }));
            let cell = |cell: String| if quoted { format!("\"{cell}\"") } else { cell };
            text.push_str(&cells.into_iter().map(cell).collect::<Vec<_>>().join(delimiter));
            text.push_str(end);
        }
        prop_assert_eq!(shown(&text), expected);
    }

    #[test]
    fn nothing_that_stands_in_a_file_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
    }
}
