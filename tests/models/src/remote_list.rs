//! Several threads leave blocks, their owner takes them: every block arrives once, with the link that was written.

#![expect(unsafe_code, reason = "the list hands out memory")]

use std::ptr::null_mut;

use loom::sync::Arc;
use loom::thread;

use crate::atomics::{AtomicPtr, Link};
use crate::remote::{Block, RemoteList};

impl RemoteList {
    fn new() -> Self {
        Self {
            head: AtomicPtr::new(null_mut()),
        }
    }
}

/// Free blocks, linked in turn as a thread's batch is: their addresses.
fn chain(len: usize) -> Vec<usize> {
    let blocks: Vec<_> = (0..len)
        .map(|_| Box::into_raw(Box::new(Link::<*mut Block>::new(null_mut()))) as usize)
        .collect();
    for pair in blocks.windows(2) {
        // SAFETY: a block is nothing but its link, and these are ours.
        unsafe { Block::set_next(pair[0] as *mut Block, pair[1] as *mut Block) };
    }
    blocks
}

fn push(list: &RemoteList, chain: &[usize]) {
    let (first, last) = (chain[0] as *mut Block, chain[chain.len() - 1] as *mut Block);
    // SAFETY: linked, and given up.
    unsafe { list.push_chain(first, last) };
}

/// Takes everything, as the owner does when a list of its own runs out, and uses each block's link.
fn take(list: &RemoteList, got: &mut Vec<usize>) {
    if list.first().is_null() {
        return;
    }
    let mut block = list.take();
    while !block.is_null() {
        got.push(block as usize);
        // SAFETY: taken, so ours.
        unsafe {
            let next = Block::next(block);
            Block::set_next(block, null_mut());
            block = next;
        }
    }
}

fn check(mut expected: Vec<usize>, mut got: Vec<usize>) {
    expected.sort_unstable();
    got.sort_unstable();
    assert_eq!(expected, got);
    for block in got {
        // SAFETY: made by `chain`, and taken once.
        drop(unsafe { Box::from_raw(block as *mut Link<*mut Block>) });
    }
}

/// Lets each thread push its chains while the owner takes `takes` times, and once more at the end.
fn model(chains: &'static [&'static [usize]], takes: usize) {
    let mut model = loom::model::Builder::new();
    // Every interleaving with so many switches away from a thread that could go on: all of them take minutes.
    model.preemption_bound = Some(3);
    model.check(move || {
        let list = Arc::new(RemoteList::new());
        let mut expected = Vec::new();
        let threads: Vec<_> = chains
            .iter()
            .map(|lens| {
                let chains: Vec<_> = lens.iter().map(|&len| chain(len)).collect();
                expected.extend(chains.iter().flatten().copied());
                let list = list.clone();
                thread::spawn(move || chains.iter().for_each(|chain| push(&list, chain)))
            })
            .collect();
        let mut got = Vec::new();
        for _ in 0..takes {
            take(&list, &mut got);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        take(&list, &mut got);
        check(expected, got);
    });
}

#[test]
fn two_threads_push_blocks_one_by_one_while_the_owner_takes() {
    model(&[&[1, 1], &[1]], 2);
}

#[test]
fn two_threads_push_chains_while_the_owner_takes() {
    model(&[&[3], &[2]], 2);
}

#[test]
fn three_threads_push_chains_while_the_owner_takes() {
    model(&[&[2], &[1], &[2]], 1);
}

/// The owner, and a thread that empties a full queue into the shared lists.
#[test]
fn two_threads_take_while_a_third_pushes() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let list = Arc::new(RemoteList::new());
        let (early, late) = (chain(2), [chain(1), chain(2)]);
        let expected = [&early[..], &late[0], &late[1]].concat();
        push(&list, &early);
        let pusher = {
            let list = list.clone();
            thread::spawn(move || late.iter().for_each(|chain| push(&list, chain)))
        };
        let taker = {
            let list = list.clone();
            thread::spawn(move || {
                let mut got = Vec::new();
                take(&list, &mut got);
                got
            })
        };
        let mut got = Vec::new();
        take(&list, &mut got);
        pusher.join().unwrap();
        got.extend(taker.join().unwrap());
        take(&list, &mut got);
        check(expected, got);
    });
}

#[test]
fn a_taken_block_may_be_pushed_again_at_once() {
    loom::model(|| {
        let list = Arc::new(RemoteList::new());
        let mine = chain(2);
        let theirs = chain(1);
        let expected = [&mine[..], &theirs[..]].concat();
        push(&list, &mine);
        let other = {
            let list = list.clone();
            thread::spawn(move || push(&list, &theirs))
        };
        // The head that the other loaded may be gone and back: its exchange must not be fooled.
        let mut got = Vec::new();
        take(&list, &mut got);
        for block in std::mem::take(&mut got) {
            push(&list, &[block]);
        }
        other.join().unwrap();
        take(&list, &mut got);
        check(expected, got);
    });
}
