//! `cargo xtask doctor`: what is here, which toolchain builds what, and what to do about what is missing.
//!
//! It looks at the same tables by which the other commands install what they need, and installs nothing.

use std::process::Command;

use anyhow::Result;

use super::packages::{self, Way};
use super::toolchain::{self, Choice, Toolchain};
use super::tools::{self, EMULATOR, OLDEST_QEMU, Tool};
use super::{active_rustc, component_says, parse_rustc_version};
use crate::process;
use crate::say;
use crate::workspace::Workspace;

/// One thing that commands need.
struct Finding {
    what: String,
    wanted_by: &'static str,
    /// What it says of itself, or what to do.
    state: Result<String, Remedy>,
}

/// What to do about something that is missing.
struct Remedy {
    text: String,
    /// Whether the command that needs it does that by itself.
    by_itself: bool,
}

/// Looks, and prints what it finds. `false`: `demo` or `test` would fail, since they cannot install what they lack.
pub fn run(choice: Choice) -> Result<bool> {
    let workspace = Workspace::open()?;
    let way = packages::way();
    let has_rustup = process::answer(Command::new("rustup").arg("--version")).is_some();
    let mut findings = vec![compiler(), bare(toolchain::look(choice), choice, way, has_rustup)];
    for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let remedy = Remedy { text: format!("rustup component add {component}"), by_itself: has_rustup };
        let state = component_says(&workspace, command).ok_or(remedy);
        findings.push(Finding { what: format!("cargo {command}"), wanted_by: "test", state });
    }
    findings.extend(tools::ALL.into_iter().map(|tool| of_tool(tool, tool.find(), way)));
    print(&findings);
    Ok(verdict(&findings))
}

/// The compiler for the host.
fn compiler() -> Finding {
    let says = process::answer(Command::new(active_rustc()).arg("-vV"));
    let state = match says.as_deref().and_then(parse_rustc_version) {
        Some(version) if toolchain::is_too_old(&version) => Err(format!("Rust {version} is too old")),
        Some(version) => Ok(format!("Rust {version}")),
        None => Err("no `rustc`".to_owned()),
    };
    let state = state.map_err(|why| Remedy {
        text: format!("{why}: install Rust {} or later, best by rustup", toolchain::OLDEST),
        by_itself: false,
    });
    Finding { what: "rustc, for the host".to_owned(), wanted_by: "everything", state }
}

/// The one for the bare machine.
fn bare(found: Option<Toolchain>, choice: Choice, way: Way, has_rustup: bool) -> Finding {
    let names = toolchain::PACKAGES.map(|package| package.name);
    let by_apt = choice != Choice::Rustup && way != Way::None;
    let by_rustup = choice != Choice::Debian && has_rustup;
    let state = found.map(|toolchain| toolchain.to_string()).ok_or_else(|| {
        let ways =
            [by_rustup.then(|| "rustup component add rust-src".to_owned()), by_apt.then(|| packages::command(&names))];
        let ways: Vec<String> = ways.into_iter().flatten().collect();
        if ways.is_empty() {
            return Remedy { text: "install Rust by rustup, with the component rust-src".to_owned(), by_itself: false };
        }
        Remedy { text: ways.join(", or "), by_itself: by_rustup || by_apt && way == Way::Root }
    });
    let wanted_by = "demo, test, qemu, bench";
    Finding { what: "rustc and `core` as source, for the bare machine".to_owned(), wanted_by, state }
}

/// A program of somebody else's.
fn of_tool(tool: &Tool, says: Option<String>, way: Way) -> Finding {
    let is_old = |says: &String| {
        tool.name == EMULATOR.name && tools::parse_qemu_version(says).is_none_or(|version| version < OLDEST_QEMU)
    };
    let package = tool.package.name;
    let state = match says {
        Some(says) if is_old(&says) => {
            let (major, minor) = OLDEST_QEMU;
            Err(Remedy { text: format!("{says} is too old: install {major}.{minor} or later"), by_itself: false })
        }
        Some(says) => Ok(says),
        None if way == Way::None => {
            Err(Remedy { text: format!("install the equivalent of Debian's {package}"), by_itself: false })
        }
        None => Err(Remedy { text: packages::command(&[package]), by_itself: way == Way::Root }),
    };
    Finding { what: tool.name.to_owned(), wanted_by: tool.wanted_by, state }
}

impl Finding {
    fn row(&self) -> Vec<String> {
        let (state, text) = match &self.state {
            Ok(says) => ("here", says.clone()),
            Err(Remedy { text, by_itself: true }) => ("to come", format!("is installed when it is needed: {text}")),
            Err(Remedy { text, by_itself: false }) => ("missing", text.clone()),
        };
        vec![self.what.clone(), state.to_owned(), self.wanted_by.to_owned(), text]
    }

    /// Whether a command that needs it would fail.
    fn is_in_the_way(&self) -> bool {
        matches!(self.state, Err(Remedy { by_itself: false, .. }))
    }

    /// Whether `cargo xtask demo` or `cargo xtask test` needs it.
    fn is_for_all(&self) -> bool {
        self.wanted_by.split(", ").any(|command| ["everything", "demo", "test"].contains(&command))
    }
}

fn print(findings: &[Finding]) {
    say::heading("What the commands need");
    let rows: Vec<Vec<String>> = findings.iter().map(Finding::row).collect();
    say::listing(&["", "", "for", "which, or what to do"], &rows);
}

fn verdict(findings: &[Finding]) -> bool {
    let in_the_way: Vec<&Finding> = findings.iter().filter(|finding| finding.is_in_the_way()).collect();
    let good = !in_the_way.iter().any(|finding| finding.is_for_all());
    for finding in &in_the_way {
        say::fail(&format!("{}: {}", finding.what, finding.row()[3]));
    }
    let text = match (good, in_the_way.is_empty()) {
        (true, true) => "all commands can run",
        (true, false) => "demo and test can run; some others cannot",
        (false, _) => "demo and test cannot run before that is there",
    };
    say::verdict(good, text);
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(wanted_by: &'static str, state: Result<String, Remedy>) -> Finding {
        Finding { what: "it".to_owned(), wanted_by, state }
    }

    fn remedy(by_itself: bool) -> Remedy {
        Remedy { text: "get it".to_owned(), by_itself }
    }

    #[test]
    fn only_what_demo_and_test_cannot_get_is_in_their_way() {
        let here = || finding("demo", Ok("1.0".to_owned()));
        assert!(verdict(&[here()]));
        assert!(verdict(&[here(), finding("demo, test", Err(remedy(true)))]));
        assert!(verdict(&[here(), finding("bench", Err(remedy(false)))]));
        assert!(!verdict(&[here(), finding("qemu, test", Err(remedy(false)))]));
        assert!(!verdict(&[finding("everything", Err(remedy(false)))]));
    }

    #[test]
    fn what_is_missing_has_a_command() {
        let state = |says: Option<&str>, way| of_tool(&EMULATOR, says.map(str::to_owned), way).row();
        assert_eq!(state(Some("7.2.1"), Way::None)[1..], ["here", EMULATOR.wanted_by, "7.2.1"]);
        assert_eq!(state(Some("6.2.0"), Way::Root)[1], "missing");
        assert_eq!(state(None, Way::Root)[1], "to come");
        assert!(state(None, Way::Sudo)[3].starts_with("sudo apt-get install"));
        assert!(state(None, Way::None)[3].ends_with(EMULATOR.package.name));
        let state = |choice, way, has_rustup| bare(None, choice, way, has_rustup).row();
        assert_eq!(state(Choice::Auto, Way::Root, false)[1], "to come");
        assert_eq!(state(Choice::Rustup, Way::Root, false)[1], "missing");
        assert_eq!(state(Choice::Debian, Way::Sudo, true)[1], "missing");
        assert!(state(Choice::Auto, Way::Sudo, true)[3].contains("rust-src, or sudo apt-get"));
        assert!(state(Choice::Auto, Way::None, false)[3].contains("by rustup"));
    }
}
