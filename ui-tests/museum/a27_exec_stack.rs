//! A27, exec where stacks grow up: `kunmap()` was given a whole structure, by value.
//!
//! Linux, `fs/exec.c`, 2002. Fixed in df9ea0d9f8 (history before git). Seen: the diff.
//!
//! ```c
//! to = kmap(bprm->page[j]);
//! ...
//! kunmap(bprm[j - 1]);
//! ```
//!
//! `kunmap()` without high memory was a macro that did not look at what it got, so it compiled for whoever tried. Here it is a function, and
//! asks for a guard.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// `struct linux_binprm`: the arguments of the new program, page by page.
struct LinuxBinprm {
    page: [Frame; 2],
}

/// Moves the arguments down to the beginning of the first page, where they begin at `offset`.
fn setup_arg_pages(task: &mut Task<'_>, bprm: &mut LinuxBinprm, offset: usize) {
    for j in 1..bprm.page.len() {
        let [to, from] = bprm.page.get_disjoint_mut([j - 1, j]).unwrap();
        let (mut to, from, _task) = kmap_pair(task, to, from).unwrap();
        to.copy_within(offset.., 0);
        to[4096 - offset..].copy_from_slice(&from[..offset]);
        kunmap(bprm);
    }
}

fn main() {
    let mut bprm = LinuxBinprm { page: [frame(0), frame(1)] };
    put(&mut bprm.page[0], 4092, b"init");
    put(&mut bprm.page[1], 0, b" -s");
    thread(|task| setup_arg_pages(task, &mut bprm, 8));
    assert_eq!(get(&bprm.page[0], 4084), *b"init -s\0");
}
