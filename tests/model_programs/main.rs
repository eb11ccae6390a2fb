//! Random programs do on the model what a plain account of them says, whatever they do: contexts within contexts, mappings that end in any
//! order, or are forgotten, and handlers that come at any step and map, too.
//!
//! A failure shrinks to a program that reads like one. The programs are the same each time; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` ask
//! for others, and for more.

#[path = "../model/mod.rs"]
mod model;
mod pages;
mod program;
mod world;

use std::env;

use highmem::model::ModelKernel;
use highmem::paging::Paging;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use model::in_each_mode;
use world::Done;

highmem::km_types! {
    mod km {
        atomic { a0: A0, a1: A1 }
        softirq { s0: S0, s1: S1 }
        irqsoff { i0: I0, i1: I1 }
        nmi { n0: N0, n1: N1 }
    }
}

type K<P> = ModelKernel<P, km::Set>;

const DEBUG: bool = cfg!(feature = "debug");

/// How many programs run in each paging mode.
const PROGRAMS: u32 = 3_500;

in_each_mode!(programs_do_what_the_account_says);

fn programs_do_what_the_account_says<P: Paging>() {
    let mut config = Config { failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = PROGRAMS;
    }
    if env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(2010);
    }
    let (done, cases) = (Done::default(), config.cases as usize);
    let result = TestRunner::new(config).run(&program::programs(), |program| {
        world::run::<P>(&program, &done);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    println!("{done:#?}");
    done.check(cases);
}
