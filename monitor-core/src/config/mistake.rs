//! What is wrong in a configuration, as a type, and the one place that puts it into words.

use std::{borrow::Cow, fmt};

use super::Key;

/// One thing that is wrong: `FILE:LINE: KEY: reason: remedy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file and the line; `None`: nobody has looked it up yet.
    pub place: Option<Box<Place>>,
    /// The key; empty: no key in particular.
    pub key: Key,
    /// What is wrong.
    pub reason: String,
    /// What to do about it, where the reason does not say that already.
    pub remedy: Option<Remedy>,
    /// Other keys that are looked at too: were one of them different, there would be no mistake.
    rests_on: Vec<Key>,
}

/// Where a mistake stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1; `None`: the file as a whole, or a default.
    pub line: Option<usize>,
}

/// What to do about a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// An instruction such as `write 3s`.
    Do(Cow<'static, str>),
    /// Probably this key was meant.
    Nearest(String),
    /// These are the keys that there are.
    OneOf(Vec<String>),
}

impl From<&'static str> for Remedy {
    fn from(text: &'static str) -> Self {
        Self::Do(text.into())
    }
}

impl From<String> for Remedy {
    fn from(text: String) -> Self {
        Self::Do(text.into())
    }
}

impl Mistake {
    /// With a remedy.
    pub fn new(key: impl Into<Key>, reason: impl Into<String>, remedy: impl Into<Remedy>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::plain(key, reason) }
    }

    /// Whose reason says what to do.
    pub fn plain(key: impl Into<Key>, reason: impl Into<String>) -> Self {
        Self { place: None, key: key.into(), reason: reason.into(), remedy: None, rests_on: Vec::new() }
    }

    /// It is one only because of what these other keys say.
    #[must_use]
    pub fn resting_on<K: Into<Key>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.rests_on.extend(keys.into_iter().map(Into::into));
        self
    }

    /// The same, found in this table or list: its keys so far are names in there.
    #[must_use]
    pub fn below(self, table: &Key) -> Self {
        self.with_keys(|key| table.join(key))
    }

    /// The same with its keys under other names.
    pub(super) fn with_keys(mut self, name: impl Fn(&Key) -> Key) -> Self {
        self.key = name(&self.key);
        self.rests_on = self.rests_on.iter().map(name).collect();
        self
    }

    /// The same with other advice.
    pub(super) fn with_remedy(self, remedy: Remedy) -> Self {
        Self { remedy: Some(remedy), ..self }
    }

    /// The same, found here.
    pub(super) fn placed(self, place: Option<Place>) -> Self {
        Self { place: place.map(Box::new), ..self }
    }

    /// Every key that it is about.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.key).chain(&self.rests_on)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            f.write_str(&place.file)?;
            if let Some(line) = place.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)?;
        match &self.remedy {
            None => Ok(()),
            Some(Remedy::Do(what)) => write!(f, ": {what}"),
            Some(Remedy::Nearest(key)) => write!(f, "; did you mean `{key}`?"),
            Some(Remedy::OneOf(keys)) => write!(f, "; valid are {}", keys.join(", ")),
        }
    }
}

/// Why a configuration cannot be used: at least one mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// In the file's order.
    pub mistakes: Vec<Mistake>,
}

impl From<Vec<Mistake>> for ConfigError {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self { mistakes }
    }
}

/// A line for each mistake.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

/// Gathers mistakes, so that all are named at once and not only the first.
#[derive(Clone, Debug, Default)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// One more, unless it is there already.
    pub fn add(&mut self, mistake: impl Into<Mistake>) {
        let mistake = mistake.into();
        if !self.0.contains(&mistake) {
            self.0.push(mistake);
        }
    }

    /// More of them.
    pub fn extend<M: Into<Mistake>>(&mut self, mistakes: impl IntoIterator<Item = M>) {
        mistakes.into_iter().for_each(|mistake| self.add(mistake));
    }

    /// The value, or its mistake is gathered.
    pub fn take<T>(&mut self, result: Result<T, impl Into<Mistake>>) -> Option<T> {
        result.map_err(|mistake| self.add(mistake)).ok()
    }

    /// The value, or its mistakes are gathered.
    pub fn take_all<T>(&mut self, result: Result<T, Vec<Mistake>>) -> Option<T> {
        result.map_err(|mistakes| self.extend(mistakes)).ok()
    }

    /// The mistakes, if there are any; else `value`, which is absent only where there are some.
    pub fn or<T>(self, value: Option<T>) -> Result<T, Vec<Mistake>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }

    /// All that were gathered.
    #[must_use]
    pub fn into_vec(self) -> Vec<Mistake> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigError, Mistake, Mistakes, Place, Remedy};

    #[test]
    fn a_mistake_is_worded_with_its_place_its_reason_and_its_remedy() {
        let placed = Place { file: "f".to_owned(), line: Some(3) };
        let zero = Mistake::new("recovery.probe", "is zero", "write 10s").placed(Some(placed.clone()));
        let unknown = Mistake { remedy: Some(Remedy::Nearest("probe".to_owned())), ..Mistake::plain("prob", "no key") };
        let all = Remedy::OneOf(vec!["a".to_owned(), "b".to_owned()]);
        let other = Mistake { remedy: Some(all), ..Mistake::plain("", "no key") };
        let whole = Mistake::plain("", "is empty").placed(Some(Place { line: None, ..placed }));
        let mistakes = vec![zero, unknown, other, whole];
        assert_eq!(
            ConfigError { mistakes }.to_string(),
            "f:3: recovery.probe: is zero: write 10s\nprob: no key; did you mean `probe`?\nno key; valid are a, b\nf: is empty"
        );
    }

    #[test]
    fn a_value_counts_only_without_mistakes() {
        let mut mistakes = Mistakes::default();
        assert_eq!(mistakes.take(Ok::<_, Mistake>(1)), Some(1));
        assert_eq!(mistakes.clone().or(Some(1)), Ok(1));
        assert_eq!(mistakes.take(Err::<u8, _>(Mistake::plain("a", "b"))), None);
        assert_eq!(mistakes.or(Some(1)), Err(vec![Mistake::plain("a", "b")]));
    }
}
