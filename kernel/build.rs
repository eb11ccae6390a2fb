//! Links bare-metal programs with the kernel's linker script.
//!
//! The argument goes to every program of this package (examples, tests and benches), and only on bare metal:
//! on the host they are ordinary programs with an empty `main`.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=link.ld");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let directory = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
        println!("cargo::rustc-link-arg=--defsym=IMAGE_BASE={}", image_base());
        println!("cargo::rustc-link-arg=-T{directory}/link.ld");
    }
}

/// As in `src/arch`.
fn image_base() -> &'static str {
    match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => "0xFFFFFFFF80000000",
        _ => "0xC0000000",
    }
}
