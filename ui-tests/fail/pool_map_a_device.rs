//! A frame of a device in the pool, whose mappings are cached.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn enable(task: &mut Task<'_>, registers: &DeviceFrame<Pae>) {
    let (registers, _task) = kmap(task, registers).unwrap();
    assert_eq!(registers.load::<u32>(0), Ok(1));
}

fn main() {
    let _: fn(&mut Task<'_>, &DeviceFrame<Pae>) = enable;
}
