//! What the hot path can reach: machine code, followed from functions that a program has for this.
//!
//! Whether a bounds check is left in the hot path, or a call, is up to the optimiser. So what is looked at is what it left, in
//! the program that a kernel would boot.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind, Register};
use object::{File, Object, ObjectSection, ObjectSymbol, SymbolKind};

/// How the functions are called whose code must not reach a panic.
const PROBE: &str = "probe_";

/// How those are called whose code does: what finds nothing there would find nothing anywhere.
const CONTROL: &str = "control_";

/// All that the hot path may call: the way of a forgotten guard, the copy of a whole page, and what copies and fills past the caches.
const ALLOWED: [&str; 4] = [
    "highmem::atomic::unmap_forgotten",
    "memcpy",
    "highmem::copy::strings::copy_past_caches",
    "highmem::copy::strings::fill_past_caches",
];

/// Where the hot path may go and is not followed: another thread is due when a context ends, or so many contexts were forgotten that
/// there can be no other.
const NOT_FOLLOWED: [&str; 2] = ["kernel::sched::preemption_comes_on", "kernel::cpu::too_many_reasons"];

/// What was found out about one function.
pub struct Reach {
    /// Its name.
    pub name: String,
    /// Whether it is what it has to be.
    pub right: bool,
    /// What it calls, and what that calls, as far as it is allowed; and where code ends or leads nowhere.
    pub reached: BTreeSet<String>,
}

/// Follows each probe and each control of a program.
pub fn probes(elf: &Path) -> Result<Vec<Reach>> {
    let bytes = fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    let file = File::parse(&*bytes).with_context(|| format!("{} is no program", elf.display()))?;
    let code = Code::new(&file);
    let starts = code
        .functions
        .iter()
        .filter(|(_, function)| [PROBE, CONTROL].iter().any(|prefix| function.name.starts_with(prefix)));
    Ok(starts.map(|(&start, function)| code.follow(start, &function.name)).collect())
}

struct Function {
    name: String,
    size: u64,
}

struct Code<'a> {
    file: &'a File<'a>,
    functions: BTreeMap<u64, Function>,
}

impl<'a> Code<'a> {
    fn new(file: &'a File<'a>) -> Self {
        let symbols = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
        let functions = symbols.map(|symbol| {
            let name = format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or_default()));
            (symbol.address(), Function { name, size: symbol.size() })
        });
        Self { file, functions: functions.collect() }
    }

    /// Follows all calls and jumps from the function at `start`.
    fn follow(&self, start: u64, name: &str) -> Reach {
        let mut reached = BTreeSet::new();
        let mut is_allowed = true;
        let (mut seen, mut to_do) = (BTreeSet::from([start]), vec![start]);
        while let Some(at) = to_do.pop() {
            for step in self.steps_of(at) {
                let (what, allowed) = match step {
                    Step::Into(target) => match self.functions.get(&target) {
                        Some(function) => {
                            let allowed = target == start || ALLOWED.iter().any(|name| function.name.starts_with(name));
                            if allowed && seen.insert(target) {
                                to_do.push(target);
                            }
                            (function.name.clone(), allowed || NOT_FOLLOWED.contains(&&*function.name))
                        }
                        None => (format!("{target:#x}, where no function begins"), false),
                    },
                    Step::Nowhere(what) => (what.to_owned(), false),
                };
                is_allowed &= allowed;
                reached.insert(what);
            }
        }
        Reach { name: name.to_owned(), right: is_allowed != name.starts_with(CONTROL), reached }
    }

    /// How the function at `start` is left, other than by returning.
    fn steps_of(&self, start: u64) -> Vec<Step> {
        let bits = if self.file.is_64() { 64 } else { 32 };
        let Some((bytes, end)) = self
            .functions
            .get(&start)
            .and_then(|function| Some((self.bytes(start, function.size)?, start + function.size)))
        else {
            return vec![Step::Nowhere("code that is not in the program")];
        };
        let decoder = Decoder::with_ip(bits, bytes, start, DecoderOptions::NONE);
        decoder.into_iter().filter_map(|instruction| self.step(&instruction, start..end)).collect()
    }

    fn step(&self, instruction: &Instruction, here: std::ops::Range<u64>) -> Option<Step> {
        if instruction.is_invalid() {
            return Some(Step::Nowhere("bytes that are no instruction"));
        }
        match instruction.flow_control() {
            FlowControl::Next | FlowControl::Return => None,
            FlowControl::Call => Some(Step::Into(instruction.near_branch_target())),
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                let target = instruction.near_branch_target();
                (!here.contains(&target)).then_some(Step::Into(target))
            }
            FlowControl::IndirectCall | FlowControl::IndirectBranch => Some(match self.pointer(instruction) {
                Some(target) => Step::Into(target),
                None => Step::Nowhere("a call through a pointer"),
            }),
            FlowControl::Exception => Some(Step::Nowhere("an instruction that is none (ud2)")),
            _ => Some(Step::Nowhere("an interrupt")),
        }
    }

    /// Where an indirect call leads whose pointer is at a fixed place, as those of the global offset table are.
    fn pointer(&self, instruction: &Instruction) -> Option<u64> {
        let fixed = instruction.is_ip_rel_memory_operand()
            || instruction.memory_base() == Register::None && instruction.memory_index() == Register::None;
        if instruction.op0_kind() != OpKind::Memory || !fixed {
            return None;
        }
        let width = if self.file.is_64() { 8 } else { 4 };
        let bytes = self.bytes(instruction.memory_displacement64(), width)?;
        Some(bytes.iter().rev().fold(0, |address, byte| address << 8 | u64::from(*byte)))
    }

    fn bytes(&self, address: u64, size: u64) -> Option<&'a [u8]> {
        self.file.sections().find_map(|section| section.data_range(address, size).ok().flatten())
    }
}

/// A way out of a function.
enum Step {
    /// To the code at an address.
    Into(u64),
    /// To an end, or to where nobody knows.
    Nowhere(&'static str),
}
