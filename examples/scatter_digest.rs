//! What lies scattered over highmem is digested and encrypted: SHA-256 over a chained list, ChaCha20 in place over another.
//! `cargo run --example scatter_digest --features model`
//!
//! Neither cipher nor hash knows of pages. What they are given is bytes of one page at a time, mapped for as long as they are looked at.

use std::num::NonZero;

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use embedded_io::{BufRead, Write};
use highmem::linux::{Set, User0};
use highmem::model::{FrameRun, Machine, Zone};
use highmem::ops::{Cursor, Segment, SgWalk, sg_copy, sg_copy_to_buffer, sg_total_len};
use highmem::page::ReadWrite;
use highmem::paging::Pae;
use highmem::{Kernel, PAGE_SIZE, PageRun, Slot, Task};
use sha2::{Digest, Sha256};

/// The hash of all bytes of a list. Each page is mapped once.
fn digest<'a, K, R>(task: &mut Task<'_, K>, list: impl IntoIterator<Item = &'a Segment<R>>) -> [u8; 32]
where
    K: Kernel<KmTypes = Set>,
    R: PageRun<Paging = K::Paging, Access = ReadWrite> + 'a,
{
    let mut atomic = task.atomic();
    let mut cursor = Cursor::new(atomic.slots().user0, list);
    let mut hash = Sha256::new();
    loop {
        let bytes = cursor.fill_buf().expect("memory does not fail");
        if bytes.is_empty() {
            return hash.finalize().into();
        }
        hash.update(bytes);
        let len = bytes.len();
        cursor.consume(len);
    }
}

/// Encrypts all bytes of a list where they are; a second time, decrypts them.
fn encrypt<K, R>(slot: Slot<'_, K, User0>, list: &mut [Segment<R>], key: &[u8; 32], nonce: &[u8; 12])
where
    K: Kernel<KmTypes = Set>,
    R: PageRun<Paging = K::Paging, Access = ReadWrite>,
{
    let mut cipher = ChaCha20::new(key.into(), nonce.into());
    let mut walk = SgWalk::new(slot, list);
    while let Some(mut part) = walk.next() {
        cipher.apply_keystream(&mut part);
    }
}

fn main() {
    let machine = Machine::new();
    let list = |shape: &[(usize, usize, usize)]| -> Vec<Segment<FrameRun<Pae>>> {
        let segment = |&(pages, offset, len)| {
            Segment::new(machine.alloc_run(Zone::High, NonZero::new(pages).unwrap()), offset, len).unwrap()
        };
        shape.iter().map(segment).collect()
    };
    // A header, data from the second page of a run on, nothing, and a single byte at the end of a page; and what is chained to it.
    let mut first = list(&[(1, 37, 61), (4, PAGE_SIZE + 4001, 2 * PAGE_SIZE + 13), (1, 100, 0), (1, PAGE_SIZE - 1, 1)]);
    let mut second = list(&[(3, 1, 3 * PAGE_SIZE - 2), (2, 4090, 12)]);
    let total = sg_total_len(first.iter().chain(&second)).unwrap();
    let plain: Vec<u8> = (0..total).map(|at| (at * at / 7) as u8).collect();

    machine.cpu(0).task(|task| {
        // The bytes come in as they come from a wire: in small pieces.
        let mut atomic = task.atomic();
        let mut cursor = Cursor::new(atomic.slots().user0, first.iter_mut().chain(&mut second));
        for piece in plain.chunks(1448) {
            cursor.write_all(piece).unwrap();
        }
        drop(cursor);
        drop(atomic);

        let (found, counts) = machine.cpu(0).count(|| digest(task, first.iter().chain(&second)));
        assert_eq!(found, <[u8; 32]>::from(Sha256::digest(&plain)));
        println!("SHA-256 of {total} bytes, {} pages mapped: {found:02x?}", counts.invlpg);
        assert_eq!(counts.invlpg, 1 + 3 + 1 + 3 + 2);

        // Into a list of another shape, and there encrypted.
        let mut other = list(&[(5, 2047, 4 * PAGE_SIZE), (6, 4 * PAGE_SIZE - 1, PAGE_SIZE + 99)]);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let copied = sg_copy(slots.user1, &mut other, slots.user0, first.iter().chain(&second), total);
        assert_eq!(copied, total);
        drop(atomic);

        let (key, nonce) = ([0x42; 32], [0x24; 12]);
        let mut expected = plain.clone();
        let room = sg_total_len(&other).unwrap();
        encrypt(task.atomic().slots().user0, &mut other, &key, &nonce);
        ChaCha20::new(&key.into(), &nonce.into()).apply_keystream(&mut expected);
        let mut found = vec![0; total];
        assert_eq!(sg_copy_to_buffer(&mut found, task.atomic().slots().user0, &other), total);
        assert!(found == expected, "encrypted as a plain buffer is");

        encrypt(task.atomic().slots().user0, &mut other, &key, &nonce);
        assert_eq!(sg_copy_to_buffer(&mut found, task.atomic().slots().user0, &other), total);
        assert!(found == plain, "decrypted");
        println!("ChaCha20 over {room} bytes, in place, there and back");
    });
}
