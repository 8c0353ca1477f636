//! Tells the BPF linker what the machine that runs the programs can do.

fn main() {
    // Header fields are read where they stand; without this LLVM reads them byte by byte.
    println!("cargo:rustc-link-arg-bins=--cpu-features=+allows-misaligned-mem-access");
    println!("cargo:rerun-if-changed=build.rs");
}
