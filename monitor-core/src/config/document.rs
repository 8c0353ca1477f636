//! A text as TOML: what stands where, and what is left of it without the parts that cannot be read.

use serde::Deserialize as _;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Deserializer, Error},
};

use super::{Config, Key, Mistake, Place, Remedy, key::Step};

/// A text that is TOML.
#[derive(Clone)]
pub(super) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    /// What was left out, by its key in the text.
    left_out: Vec<Key>,
}

/// Why there are no settings in a document.
pub(super) struct Fault {
    pub(super) mistake: Mistake,
    /// The key that was probably meant.
    pub(super) meant: Option<Key>,
    /// Where in the text.
    offset: Option<usize>,
}

impl<'a> Document<'a> {
    /// The document, or everything that is no TOML. `file` names it in mistakes.
    pub(super) fn parse(file: &'a str, text: &'a str) -> Result<Self, Vec<Mistake>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let document = Self { file, text, root, left_out: Vec::new() };
        if errors.is_empty() {
            return Ok(document);
        }
        // What does not parse has no keys that could be relied on.
        let mistake = |error: &Error| {
            let place = error.span().map(|span| document.place(span.start));
            Mistake::plain("", one_line(error.message())).placed(place)
        };
        let mut mistakes: Vec<Mistake> = errors.iter().map(mistake).collect();
        // What comes next in the same line follows from the first.
        mistakes.dedup_by(|next, first| next.place == first.place);
        Err(mistakes)
    }

    /// The settings in it.
    pub(super) fn settings(&self) -> Result<Config, Box<Fault>> {
        Config::deserialize(Deserializer::from(self.root.clone())).map_err(|error| Box::new(self.fault(&error)))
    }

    /// Leaves out what the fault is about, and says what that is; `None`: nothing there can be left out.
    pub(super) fn leave_out(&mut self, fault: &Fault) -> Option<Key> {
        let cut = self.entry_at_fault(find(self.root.get_ref(), fault.offset?, &Key::default())?);
        remove(self.root.get_mut(), cut.steps()).then(|| {
            let key = in_text(&cut, &self.left_out);
            self.left_out.push(key.clone());
            key
        })
    }

    /// The entry at fault, where the key is that of a list of plain values: the library names the whole list, and stops at
    /// the first entry that it cannot read.
    fn entry_at_fault(&self, key: Key) -> Key {
        let Some(DeValue::Array(items)) = get(self.root.get_ref(), key.steps()) else { return key };
        let fails_with = |count: &usize| {
            let mut shorter = self.clone();
            let cut = (*count..items.len()).rev().all(|index| remove(shorter.root.get_mut(), key.at(index).steps()));
            cut && shorter.settings().is_err_and(|fault| fault.mistake.key == in_text(&key, &self.left_out))
        };
        let last = (0..=items.len()).find(fails_with).and_then(|count| count.checked_sub(1));
        last.map_or_else(|| key.clone(), |last| key.at(last))
    }

    /// The line of this key, or of the nearest table around it if it is not there.
    pub(super) fn line_of(&self, key: &Key) -> Option<usize> {
        let mut table = self.root.get_ref();
        let mut steps = key.steps().iter().peekable();
        let mut offset = None;
        while let Some(Step::Name(name)) = steps.next() {
            let Some((found, value)) = table.iter().find(|(found, _)| found.get_ref() == name) else { break };
            offset = Some(found.span().start);
            let mut value = value;
            while let (DeValue::Array(items), Some(Step::Entry(index))) = (value.get_ref(), steps.peek()) {
                let Some(item) = items.get(*index) else { break };
                steps.next();
                offset = Some(item.span().start);
                value = item;
            }
            let DeValue::Table(inner) = value.get_ref() else { break };
            table = inner;
        }
        offset.map(|offset| self.line(offset))
    }

    fn fault(&self, error: &Error) -> Fault {
        let offset = error.span().map(|span| span.start);
        let found = offset.and_then(|offset| find(self.root.get_ref(), offset, &Key::default())).unwrap_or_default();
        let key = in_text(&self.without_plain_entry(found), &self.left_out);
        let (mistake, meant) = worded(key, error.message());
        let place = offset.map(|offset| self.place(offset));
        Fault { mistake: mistake.placed(place), meant, offset }
    }

    /// The list itself for an entry that is a plain value: people see it in its line.
    fn without_plain_entry(&self, key: Key) -> Key {
        let is_plain = match key.steps().last() {
            Some(Step::Entry(_)) => !matches!(get(self.root.get_ref(), key.steps()), Some(DeValue::Table(_))),
            _ => false,
        };
        if is_plain { key.around().unwrap_or_default() } else { key }
    }

    fn place(&self, offset: usize) -> Place {
        Place { file: self.file.to_owned(), line: Some(self.line(offset)) }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// The key in the text of a key in what is left of it: entries that were left out before it count there.
pub(super) fn in_text(key: &Key, left_out: &[Key]) -> Key {
    key.steps().iter().fold(Key::default(), |around, step| match step {
        Step::Name(name) => around.to(name),
        Step::Entry(index) => {
            let is_gone = |index: &usize| left_out.contains(&around.at(*index));
            let there = (0..).filter(|index| !is_gone(index)).nth(*index);
            around.at(there.unwrap_or(*index))
        }
    })
}

/// The mistake in words of ours where the library's would not help, and the key that was probably meant.
fn worded(key: Key, message: &str) -> (Mistake, Option<Key>) {
    let message = one_line(message);
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(unknown) = names.next().filter(|_| message.starts_with("unknown field")) else {
        return (Mistake::plain(key, message), None);
    };
    let known: Vec<String> = names.map(str::to_owned).collect();
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().max(unknown.len()) / 2)
        .map(|(_, name)| name.clone());
    let meant = nearest.as_ref().and_then(|name| Some(key.around()?.to(name)));
    let remedy = nearest.map_or(Remedy::OneOf(known), Remedy::Nearest);
    (Mistake::plain(key, format!("there is no key `{unknown}` here")).with_remedy(remedy), meant)
}

fn one_line(message: &str) -> String {
    message.trim().replace('\n', " ")
}

/// The key whose name or value stands at `offset`.
fn find(table: &DeTable<'_>, offset: usize, around: &Key) -> Option<Key> {
    table.iter().find_map(|(name, value)| {
        let key = around.to(name.get_ref());
        if name.span().contains(&offset) { Some(key) } else { find_in(value, offset, key) }
    })
}

fn find_in(value: &Spanned<DeValue<'_>>, offset: usize, key: Key) -> Option<Key> {
    let inner = match value.get_ref() {
        DeValue::Table(table) => find(table, offset, &key),
        DeValue::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| find_in(item, offset, key.at(index)))
        }
        _ => None,
    };
    inner.or_else(|| value.span().contains(&offset).then_some(key))
}

fn get<'d, 'i>(table: &'d DeTable<'i>, steps: &[Step]) -> Option<&'d DeValue<'i>> {
    let (Step::Name(name), rest) = steps.split_first()? else { return None };
    let value = table.iter().find(|(found, _)| found.get_ref() == name)?.1;
    rest.iter().try_fold(value.get_ref(), |value, step| match (value, step) {
        (DeValue::Table(table), Step::Name(name)) => {
            Some(table.iter().find(|(found, _)| found.get_ref() == name)?.1.get_ref())
        }
        (DeValue::Array(items), Step::Entry(index)) => items.get(*index).map(Spanned::get_ref),
        _ => None,
    })
}

/// Whether there was such a value.
fn remove(table: &mut DeTable<'_>, steps: &[Step]) -> bool {
    match steps {
        [Step::Name(last)] => {
            let found = table.keys().find(|name| name.get_ref() == last).cloned();
            found.is_some_and(|name| table.remove(&name).is_some())
        }
        [Step::Name(name), rest @ ..] => {
            let inner = table.iter_mut().find(|(found, _)| found.get_ref() == name);
            inner.is_some_and(|(_, value)| remove_in(value.get_mut(), rest))
        }
        _ => false,
    }
}

fn remove_in(value: &mut DeValue<'_>, steps: &[Step]) -> bool {
    match (value, steps) {
        (DeValue::Table(table), steps) => remove(table, steps),
        (DeValue::Array(items), [Step::Entry(index)]) if *index < items.len() => {
            let all = std::mem::replace(items, DeArray::new());
            *items = all.into_iter().enumerate().filter(|(other, _)| other != index).map(|(_, item)| item).collect();
            true
        }
        (DeValue::Array(items), [Step::Entry(index), rest @ ..]) => {
            items.get_mut(*index).is_some_and(|item| remove_in(item.get_mut(), rest))
        }
        _ => false,
    }
}
