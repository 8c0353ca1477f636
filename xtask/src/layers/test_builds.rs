//! What is compiled for unit tests only.

use syn::{Attribute, Meta, Token, punctuated::Punctuated};

/// Whether what has these attributes is compiled for unit tests only.
pub(super) fn only_in_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || matches!(&attribute.meta, Meta::List(list) if list.path.is_ident("cfg")
                && list.parse_args::<Meta>().is_ok_and(|condition| needs_test(&condition)))
    })
}

/// Whether a `cfg` condition can only hold in a test build.
fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::NameValue(_) => false,
        Meta::List(list) => {
            let Ok(inner) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else { return false };
            (list.path.is_ident("all") && inner.iter().any(needs_test))
                || (list.path.is_ident("any") && !inner.is_empty() && inner.iter().all(needs_test))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::only_in_tests;

    fn only(attribute: &str) -> bool {
        let file = syn::parse_file(&format!("{attribute} struct S;")).unwrap();
        let syn::Item::Struct(item) = &file.items[0] else { panic!("a struct") };
        only_in_tests(&item.attrs)
    }

    #[test]
    fn a_condition_that_only_a_test_build_meets() {
        for attribute in ["#[test]", "#[cfg(test)]", "#[cfg(all(unix, test))]", "#[cfg(any(test, all(test, unix)))]"] {
            assert!(only(attribute), "{attribute}");
        }
    }

    #[test]
    fn a_condition_that_other_builds_meet_too() {
        for attribute in ["#[cfg(unix)]", "#[cfg(not(test))]", "#[cfg(any(test, feature = \"fuzzing\"))]", "#[inline]"]
        {
            assert!(!only(attribute), "{attribute}");
        }
    }
}
