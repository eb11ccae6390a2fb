//! `cargo run`: builds the kernel for the bare machine, and boots it in QEMU in 64-bit mode. `cargo run pae`: in 32-bit mode.
//!
//! No toolchain brings `core` for such a machine, so it is compiled from source. Cargo does that
//! behind unstable options, which `RUSTC_BOOTSTRAP=1` opens on a stable toolchain, here only.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long the kernel may run.
const LIMIT: Duration = Duration::from_secs(60);

/// QEMU's exit status after the kernel has said that all is well: see `src/exit.rs`.
const SUCCESS: i32 = 33;

fn main() -> ExitCode {
    match run() {
        Ok(()) => {
            println!("boot: PASS");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("boot: FAIL: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mode = env::args().nth(1).unwrap_or("x86_64".to_owned());
    let target = match &*mode {
        "x86_64" => "x86_64-unknown-none",
        "pae" => "targets/i686-none.json",
        _ => return Err(format!("`{mode}` is no mode: say `x86_64` or `pae`")),
    };
    boot(&build(target)?)
}

/// Builds the kernel; gives its image.
fn build(target: &str) -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the kernel is a level up");
    let target_dir = root.join("target/kernel");
    let mut cargo = toolchain()?;
    cargo.args(["build", "--bin", "image", "--features", "bare-metal"]);
    cargo.args(["-Zbuild-std=core,compiler_builtins"]);
    cargo.args(["-Zbuild-std-features=compiler-builtins-mem"]);
    cargo.args(["--target", target, "--target-dir"]).arg(&target_dir);
    // Flags for the host would be in place of those in `.cargo/config.toml`.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(variable);
    }
    let status = cargo.current_dir(root).status();
    if !status.map_err(|error| format!("cannot run cargo: {error}"))?.success() {
        return Err("the kernel does not build".to_owned());
    }
    let folder = Path::new(target).file_stem().expect("a target has a name");
    Ok(target_dir.join(folder).join("debug/image"))
}

/// The cargo of a toolchain that has the source of `core`: the active one, or Debian's.
fn toolchain() -> Result<Command, String> {
    let has_source = |rustc: &str| {
        let sysroot = Command::new(rustc).args(["--print", "sysroot"]).output();
        sysroot.is_ok_and(|output| {
            let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Path::new(&sysroot).join("lib/rustlib/src/rust/library/core").is_dir()
        })
    };
    let mut cargo = if has_source("rustc") {
        Command::new("cargo")
    } else if has_source("/usr/bin/rustc") {
        let mut cargo = Command::new("/usr/bin/cargo");
        for variable in ["CARGO", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"] {
            cargo.env_remove(variable);
        }
        cargo.env("RUSTC", "/usr/bin/rustc");
        cargo
    } else {
        return Err("no toolchain has the source of `core`: run `rustup component add rust-src`, \
            or, on Debian, `apt-get install rustc-web cargo-web rust-web-src`"
            .to_owned());
    };
    cargo.env("RUSTC_BOOTSTRAP", "1");
    Ok(cargo)
}

/// Boots the image on a PC with 6 GiB of memory. The kernel ends QEMU itself.
fn boot(image: &Path) -> Result<(), String> {
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-M", "pc", "-cpu", "max", "-m", "6G", "-accel", "tcg"]);
    qemu.args(["-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio"]);
    qemu.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel"]);
    let start = Instant::now();
    let mut qemu = qemu.arg(image).spawn().map_err(|error| {
        format!(
            "cannot run qemu-system-x86_64 ({error}); Debian: `apt-get install qemu-system-x86`"
        )
    })?;
    loop {
        if let Some(status) = qemu.try_wait().map_err(|error| error.to_string())? {
            return match status.code() {
                Some(SUCCESS) => Ok(()),
                Some(0) => Err("the machine was reset: a fault that nobody handled".to_owned()),
                Some(1) => Err("QEMU could not start".to_owned()),
                _ => Err(format!("the kernel reported failure ({status})")),
            };
        }
        if start.elapsed() > LIMIT {
            qemu.kill().map_err(|error| error.to_string())?;
            return Err(format!("the kernel has not ended within {LIMIT:?}"));
        }
        sleep(Duration::from_millis(20));
    }
}
