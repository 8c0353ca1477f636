//! Each crate can be had under licences that deny.toml allows.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use spdx::{Expression, LicenseReq, Licensee, ParseMode};

use super::Package;
use crate::fault::Fault;

/// `[licenses]`
#[derive(Deserialize)]
pub(super) struct Licences {
    allow: Vec<String>,
}

/// Crates without such a licence, and allowed licences that no crate has.
pub(super) fn faults(packages: &[Package], config: &Licences) -> Result<Vec<Fault>> {
    let parse = |name: &String| Licensee::parse(name).with_context(|| format!("deny.toml: `{name}` is no licence"));
    let allowed = config.allow.iter().map(parse).collect::<Result<Vec<_>>>()?;
    let mut used = BTreeSet::new();
    let mut faults = Vec::new();
    for package in packages {
        let said = package.license.as_deref().unwrap_or_default();
        let mut allows = |licence: &LicenseReq| {
            let found = allowed.iter().position(|allowed| allowed.satisfies(licence));
            used.extend(found);
            found.is_some()
        };
        // Old crates write `MIT/Apache-2.0`.
        let may_be_used =
            Expression::parse_mode(said, ParseMode::LAX).is_ok_and(|licences| licences.evaluate(&mut allows));
        if !may_be_used {
            let said = if said.is_empty() { "nothing" } else { said };
            faults.push(Fault::new(format!("{} {}: its licence is `{said}`", package.name, package.version)));
        }
    }
    let unused = config.allow.iter().enumerate().filter(|(index, _)| !used.contains(index));
    faults.extend(unused.map(|(_, name)| Fault::new(format!("deny.toml allows {name}, which no crate has"))));
    Ok(faults)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::{Licences, Package, faults};

    fn judged(licence: Option<&str>) -> Vec<String> {
        let package = |name: &str, license: Option<&str>| Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            license: license.map(str::to_owned),
        };
        let config = Licences { allow: vec!["MIT".to_owned(), "ISC".to_owned()] };
        let packages = [package("both", Some("MIT AND ISC")), package("new", licence)];
        faults(&packages, &config).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn one_of_several_licences_is_enough_and_all_that_are_joined_are_needed() {
        for licence in ["MIT", "GPL-3.0-only OR MIT", "MIT/Apache-2.0", "(MIT OR Apache-2.0) AND ISC"] {
            assert_eq!(judged(Some(licence)), [""; 0], "{licence}");
        }
        assert_eq!(judged(Some("MIT AND GPL-3.0-only")), ["new 1.0.0: its licence is `MIT AND GPL-3.0-only`"]);
    }

    #[test]
    fn a_crate_without_a_licence_is_a_fault() {
        assert_eq!(judged(None), ["new 1.0.0: its licence is `nothing`"]);
        assert_eq!(judged(Some("my own")), ["new 1.0.0: its licence is `my own`"]);
    }

    #[test]
    fn a_licence_that_nobody_needs_is_a_fault() {
        let config = Licences { allow: vec!["Zlib".to_owned()] };
        let faults: Vec<_> = faults(&[], &config).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(faults, ["deny.toml allows Zlib, which no crate has"]);
    }
}
