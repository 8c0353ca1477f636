//! The link at the end of each letter that ends these mails.

use std::{fmt, sync::Arc};

/// Where mails to an address are ended: whoever serves that page knows.
#[derive(Clone)]
pub struct UnsubscribeLinks(Arc<dyn Fn(&str) -> String + Send + Sync>);

impl UnsubscribeLinks {
    /// `link` says where mails to an address are ended.
    pub fn new(link: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(link))
    }

    /// Where mails to this address are ended.
    pub(super) fn of(&self, mail: &str) -> String {
        (self.0)(mail)
    }
}

impl fmt::Debug for UnsubscribeLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnsubscribeLinks")
    }
}
