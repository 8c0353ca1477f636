//! Where something stands in the configuration: `recovery.probe`, `address[2].mail`.

use std::fmt;

/// A key, from the outermost table inwards. The empty key is the file as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key(Vec<Step>);

/// One step inwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// To the value of this name.
    Name(String),
    /// To this entry of a list, counted from 0.
    Entry(usize),
}

impl Key {
    /// The value of this name below it. Names that are joined by dots are several steps.
    #[must_use]
    pub fn to(&self, names: &str) -> Self {
        let names = names.split('.').filter(|name| !name.is_empty());
        Self(self.0.iter().cloned().chain(names.map(|name| Step::Name(name.to_owned()))).collect())
    }

    /// The list's entry with this index.
    #[must_use]
    pub fn at(&self, index: usize) -> Self {
        Self(self.0.iter().cloned().chain([Step::Entry(index)]).collect())
    }

    /// The key `inner`, seen from here.
    #[must_use]
    pub fn join(&self, inner: &Self) -> Self {
        Self(self.0.iter().chain(&inner.0).cloned().collect())
    }

    /// Whether it is the file as a whole.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value that it is in; `None`: it is the file as a whole.
    pub(super) fn around(&self) -> Option<Self> {
        let (_, around) = self.0.split_last()?;
        Some(Self(around.to_vec()))
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether one of the two is within the other, or both are the same.
    pub(super) fn touches(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(one, other)| one == other)
    }

    /// Whether it is this value or within it.
    pub(super) fn is_within(&self, outer: &Self) -> bool {
        self.0.len() >= outer.0.len() && self.touches(outer)
    }
}

impl FromIterator<Step> for Key {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

/// Names that are joined by dots.
impl From<&'static str> for Key {
    fn from(names: &'static str) -> Self {
        Self::default().to(names)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Name(name) if index == 0 => f.write_str(name)?,
                Step::Name(name) => write!(f, ".{name}")?,
                Step::Entry(entry) => write!(f, "[{entry}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn keys_are_written_as_people_say_them() {
        let key = Key::from("guard").at(1).to("check").at(0).to("limit");
        assert_eq!(key.to_string(), "guard[1].check[0].limit");
        assert_eq!(Key::from("recovery.probe"), Key::from("recovery").to("probe"));
        assert_eq!(Key::default().to_string(), "");
    }

    #[test]
    fn keys_touch_what_is_around_and_within_them() {
        let guard = Key::from("guard").at(1);
        assert!(guard.touches(&Key::from("guard")) && guard.touches(&guard.to("hold")));
        assert!(!guard.touches(&Key::from("guard").at(0)));
        assert!(guard.to("hold").is_within(&guard) && !guard.is_within(&guard.to("hold")));
        assert_eq!(guard.around(), Some(Key::from("guard")));
    }
}
