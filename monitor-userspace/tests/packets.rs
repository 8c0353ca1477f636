//! Every kind of frame through the real programs in the real kernel, without an interface (`BPF_PROG_TEST_RUN`).
#![expect(clippy::unwrap_used, reason = "tests")]

use ringback::{
    config::Watch,
    kernel::{Kernel, Side},
};

#[tokio::test]
async fn loads() {
    let t = std::time::Instant::now();
    let (kernel, _events) = match Kernel::detached(&Watch::default()) {
        Ok(k) => k,
        Err(e) => panic!("{e} ||| {e:?}"),
    };
    println!("{:?}", t.elapsed());
    for p in aya::programs::loaded_programs().filter_map(Result::ok) {
        if p.name_as_str().unwrap_or("").starts_with("rb_") {
            println!("{:?} {:?} {:?}", p.name_as_str(), p.verified_instruction_count(), p.size_jitted());
        }
    }
    println!("{:?}", kernel.trial(Side::Ingress, &[0; 64], 100000).unwrap());
}
