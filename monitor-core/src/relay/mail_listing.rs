//! What a POP3 server says is in the mailbox (RFC 1939 sections 5 and 7), as servers really say it (pure).
//!
//! In: the answers to UIDL and LIST, of which one may be missing. Out: the mails, each with a name that no other has. A line
//! that says nothing is skipped: it must not hide the mails beside it.

use std::collections::{BTreeMap, HashMap};

/// A mail in the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailEntry {
    /// Its number in this session.
    pub number: u32,
    /// Its name: that of UIDL in printable characters. What the server gives no name is called by its size. Where a name
    /// comes again (RFC 1939 section 7 permits it for equal mails), `#2` and so on follow.
    pub name: String,
    /// Whether the name is the server's, and so the same in every session.
    pub is_lasting: bool,
    /// Its bytes as the server counts them; `None`: it does not say. Many count wrong.
    pub size: Option<u64>,
}

/// Characters of a name; RFC 1939 section 7 permits 70.
const LONGEST_NAME: usize = 200;

/// The mails in the mailbox's order. `names` is what UIDL brought, `sizes` what LIST brought.
#[must_use]
pub fn mail_entries(names: Option<&[u8]>, sizes: Option<&[u8]>) -> Vec<MailEntry> {
    let names: BTreeMap<u32, String> = lines(names).map(|(number, word)| (number, name(word))).collect();
    let size = |word: &[u8]| std::str::from_utf8(word).ok()?.parse().ok();
    let sizes: BTreeMap<u32, Option<u64>> = lines(sizes).map(|(number, word)| (number, size(word))).collect();
    let mut numbers: Vec<u32> = names.keys().chain(sizes.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut seen: HashMap<String, u32> = HashMap::new();
    let entry = |number: u32| {
        let size = sizes.get(&number).copied().flatten();
        let uid = names.get(&number).filter(|uid| !uid.is_empty());
        let name = uid.cloned().unwrap_or_else(|| size.map_or("no size".to_owned(), |size| format!("{size} bytes")));
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        // A space is in no name of UIDL, so nobody can send a mail that takes another's name.
        let name = if *count == 1 { name } else { format!("{name} #{count}") };
        MailEntry { number, name, is_lasting: uid.is_some(), size }
    };
    numbers.into_iter().map(entry).collect()
}

/// In printable characters: it comes into logs and databases.
fn name(uid: &[u8]) -> String {
    let mut name = uid[..uid.len().min(LONGEST_NAME)].escape_ascii().to_string();
    name.truncate(LONGEST_NAME);
    name
}

/// Number and second word of each line that has a number.
fn lines(content: Option<&[u8]>) -> impl Iterator<Item = (u32, &[u8])> {
    content.unwrap_or_default().split(|byte| *byte == b'\n').filter_map(|line| {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let number = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
        Some((number, words.next().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn named(names: Option<&[u8]>, sizes: Option<&[u8]>) -> Vec<(u32, String, Option<u64>)> {
        mail_entries(names, sizes).into_iter().map(|entry| (entry.number, entry.name, entry.size)).collect()
    }

    #[test]
    fn odd_listings_hide_no_mail() {
        let owned = |number, name: &str, size| (number, name.to_owned(), size);
        let both = named(Some(b"1 a\r\n2 b\r\n"), Some(b"1 10\r\n2 20\r\n"));
        assert_eq!(both, [owned(1, "a", Some(10)), owned(2, "b", Some(20))]);
        let refused = named(None, Some(b"1 10\r\n2 20\r\n3 10\r\n"));
        assert_eq!(
            refused,
            [owned(1, "10 bytes", Some(10)), owned(2, "20 bytes", Some(20)), owned(3, "10 bytes #2", Some(10))]
        );
        let twice = named(Some(b"1 a\r\n2 a\r\n3 a\r\n"), Some(b"1 10\r\n2 x\r\n"));
        assert_eq!(twice, [owned(1, "a", Some(10)), owned(2, "a #2", None), owned(3, "a #3", None)]);
        let garbage = named(Some(b"nonsense\r\n\r\n2 \xff\x00b\r\n-1 c\r\n4\r\n"), None);
        assert_eq!(garbage, [owned(2, "\\xff\\x00b", None), owned(4, "no size", None)]);
    }

    proptest! {
        #[test]
        fn every_mail_has_a_name_of_its_own_whatever_the_server_says(
            names in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
            sizes in proptest::option::of("[0-9 a#\r\n]{0,300}"),
        ) {
            let entries = mail_entries(names.as_deref(), sizes.as_deref().map(str::as_bytes));
            let mut all: Vec<_> = entries.iter().map(|entry| &entry.name).collect();
            all.sort();
            all.dedup();
            prop_assert_eq!(all.len(), entries.len());
            prop_assert!(entries.iter().all(|entry| entry.name.chars().all(|c| c.is_ascii_graphic() || c == ' ')));
        }
    }
}
