//! The steps that use cargo alone: format, lints, documentation, unit tests.

use std::process::Command;

use anyhow::Result;

use super::{Bare, Ledger, ui};
use crate::arch::{Arch, Window};
use crate::bare::Build;
use crate::book;
use crate::setup;
use crate::workspace::{HOST_BENCHES, LIBRARY, Workspace};

/// The library's features as cargo's options: none; the model, on which the crate is as without features; and all.
const FEATURE_SETS: [&[&str]; 3] = [&[], &["--features", "model"], &["--all-features"]];

/// What has cargo compile tests fast, and them run slowly.
pub const UNOPTIMISED: [(&str, &str); 2] = [("CARGO_PROFILE_TEST_OPT_LEVEL", "0"), ("CARGO_PROFILE_TEST_DEBUG", "0")];

/// The tests that take longer without optimisation than it takes to compile them with it.
const OPTIMISED: [&str; 1] = ["model_programs"];

/// What has the library use a checker's atomics and lock (`src/sync.rs`).
pub const ORDERS: &str = "--cfg shuttle";

/// `cargo fmt --check`.
pub fn fmt(workspace: &Workspace, ledger: &mut Ledger) -> Result<()> {
    setup::component(workspace, "fmt", "rustfmt")?;
    ledger.command("cargo fmt --all --check", &mut workspace.cargo(&["fmt", "--all", "--check"]))
}

/// Clippy for the host, and for the bare machine where its toolchain has it.
pub fn clippy(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    setup::component(bare.workspace, "clippy", "clippy")?;
    for features in FEATURE_SETS {
        let mut cargo = bare.workspace.cargo(&["clippy", "-p", LIBRARY, "-p", "xtask", "--all-targets"]);
        cargo.args(features).args(["--", "-D", "warnings"]);
        ledger.command(&format!("cargo clippy on the host{}", described(features)), &mut cargo)?;
    }
    let options = ["clippy", "-p", HOST_BENCHES, "--all-targets", "--", "-D", "warnings"];
    ledger.command("cargo clippy of the host's benchmarks", &mut bare.workspace.cargo(&options))?;
    if !bare.toolchain.has_clippy {
        ledger.skip("the bare-metal programs: this toolchain has no clippy; rustup's with rust-src checks them");
        return Ok(());
    }
    for build in builds() {
        let mut cargo = bare.builder().cargo("clippy", build);
        cargo.arg("--lib");
        for program in bare.programs.all().into_iter().filter(|program| program.is_for(build.arch)) {
            cargo.args([program.kind.flag(), &program.name]);
            program.features.iter().for_each(|feature| {
                cargo.args(["--features", feature]);
            });
        }
        cargo.args(["--", "-D", "warnings"]);
        ledger.command(&format!("cargo clippy for the bare machine, {build}"), &mut cargo)?;
    }
    Ok(())
}

/// `cargo doc`, warnings being errors.
pub fn doc(bare: &Bare, ledger: &mut Ledger) -> Result<()> {
    let mut host = bare.workspace.cargo(&["doc", "--no-deps", "-p", LIBRARY, "--all-features"]);
    ledger.command("cargo doc of highmem", host.env("RUSTDOCFLAGS", "-D warnings"))?;
    for build in builds() {
        let mut kernel = bare.builder().cargo("doc", build);
        kernel.args(["--no-deps", "--lib"]).env("RUSTDOCFLAGS", "-D warnings");
        ledger.command(&format!("cargo doc of kernel, for the bare machine, {build}"), &mut kernel)?;
    }
    Ok(())
}

/// The pages and the book that is built of them: each check, and each fault.
pub fn book(workspace: &Workspace, ledger: &mut Ledger) -> Result<()> {
    let found = book::check(workspace)?;
    found.passed.iter().for_each(|what| ledger.pass(what));
    found.faults.iter().for_each(|what| ledger.fail(what));
    Ok(())
}

/// Each paging mode once, and one of them with the second layout of the window: the code of that is the same in all.
fn builds() -> impl Iterator<Item = Build> {
    let usual = Arch::ALL.into_iter().map(|arch| Build::release(arch, Window::Shared));
    usual.chain([Build::release(Arch::Pae, Window::Cpu)])
}

/// `cargo test` but for the `ui` tests, which depend on the compiler's version.
pub fn unit(workspace: &Workspace, ledger: &mut Ledger) -> Result<()> {
    for features in FEATURE_SETS {
        let what = format!("cargo test -p {LIBRARY}{}", described(features));
        let (optimised, others) = targets(workspace, features)?;
        let tests = |targets: Vec<String>| {
            let mut cargo = workspace.cargo(&["test", "-p", LIBRARY, "--no-fail-fast"]);
            cargo.args(features).args(targets);
            cargo
        };
        ledger.tests(&what, tests(others).arg("--lib").envs(UNOPTIMISED))?;
        if !optimised.is_empty() {
            ledger.tests(&format!("{what}, what takes long"), &mut tests(optimised))?;
        }
    }
    ledger.tests("cargo test of the pool in many orders", orders(workspace).arg("pool::orders::"))?;
    ledger.tests("cargo test -p xtask", &mut workspace.cargo(&["test", "-p", "xtask", "--bins"]))?;
    ledger.tests("cargo test --doc", &mut workspace.cargo(&["test", "-p", LIBRARY, "--all-features", "--doc"]))
}

/// Cargo's command for the unit tests that a checker runs in many orders of their operations on what CPUs share.
fn orders(workspace: &Workspace) -> Command {
    let mut cargo = workspace.cargo(&["test", "-p", LIBRARY, "--lib", "--target-dir"]);
    cargo.arg(workspace.target.join("orders")).env("RUSTFLAGS", ORDERS);
    cargo
}

/// Cargo's options for the library's integration tests, and those in its examples, that these features have: those to be optimised, and
/// the others; those of the step `ui` left out.
fn targets(workspace: &Workspace, features: &[&str]) -> Result<(Vec<String>, Vec<String>)> {
    let is_on = |feature: &String| features.iter().any(|&option| option == feature || option == "--all-features");
    let (mut optimised, mut others) = (Vec::new(), Vec::new());
    let targets = workspace.package(LIBRARY)?.targets.iter();
    for target in targets.filter(|target| !ui::TARGETS.contains(&&*target.name)) {
        let option = if target.is_test() { "--test" } else { "--example" };
        if (target.is_test() || target.is_example()) && target.required_features.iter().all(is_on) {
            let list = if OPTIMISED.contains(&target.name.as_str()) { &mut optimised } else { &mut others };
            list.extend([option.to_owned(), target.name.clone()]);
        }
    }
    Ok((optimised, others))
}

fn described(features: &[&str]) -> String {
    features.iter().map(|feature| format!(" {feature}")).collect()
}
