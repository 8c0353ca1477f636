//! `ringback test-mail`

use clap::Args;

use super::{Context, Failure, table};
use crate::control::TestMailRequest;

/// `ringback test-mail`
#[derive(Debug, Args)]
pub(super) struct TestMailArgs {
    /// Who is to get it: a mail address, or webhook:NAME
    to: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl TestMailArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let answer: String =
            context.client()?.patient().post("/v1/test-mail", &TestMailRequest { to: self.to }).await?;
        table::print(self.json, &answer, |answer| format!("{answer}\n"))
    }
}
