//! The step `bench`: what is compared with Linux can be compared here, and the benchmarks on the host run.

use anyhow::Result;

use super::{Bare, Ledger};
use crate::bench;
use crate::setup;

/// Criterion's benchmarks, each once, and what `cargo xtask bench --exact` counts: Linux, our maps and maps by hand, each twice the same.
pub fn run(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        let mut once = bare.workspace.cargo(&["bench", "-p", "host-benches", "--bench", "time", "--", "--test"]);
        ledger.command("cargo bench -p host-benches, each benchmark once", &mut once)?;
    } else {
        ledger.skip("benchmarks on the host: the model is for 64-bit Linux on x86");
    }
    if !setup::is_debian() {
        ledger.skip("Linux beside our maps: it is fetched as a package of Debian's, by apt-get");
        return Ok(());
    }
    bench::run(None, bare.choice)?;
    ledger.pass("cargo xtask bench --exact: all figures are the same in two runs");
    Ok(())
}
