//! `cargo xtask screenshots`: the pictures of the stand-in page in `docs/`, taken by the test that looks at it.

use std::ffi::OsString;

use anyhow::Result;

use crate::{test, workspace};

pub(crate) fn run() -> Result<()> {
    let test = ["--package", "ringback-tests", "--test", "browser", "the_page_is_right"].map(OsString::from);
    test::run_with(&test, &[("RINGBACK_SCREENSHOTS", workspace::root().join("docs"))])
}
