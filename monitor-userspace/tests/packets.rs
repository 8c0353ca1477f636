//! Every kind of frame through the real programs in the real kernel, without an interface (`BPF_PROG_TEST_RUN`).
#![expect(clippy::unwrap_used, reason = "tests")]

use ringback::{
    config::Watch,
    kernel::{Kernel, Side},
};

#[tokio::test]
async fn loads() {
    let (kernel, _events) = match Kernel::detached(&Watch::default()) {
        Ok(k) => k,
        Err(e) => panic!("{e} ||| {e:?}"),
    };
    println!("{:?}", kernel.trial(Side::Ingress, &[0; 64], 100000).unwrap());
    println!("{:?}", kernel.trial(Side::Pass, &[0; 64], 100000).unwrap());
}
