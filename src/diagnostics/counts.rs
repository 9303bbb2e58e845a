//! How often each code was reported, and for which tag.
//!
//! Reports come from anywhere, the last destructors of a thread included, so counting takes no lock, no memory and no
//! thread-local: tables of atomics, open-addressed, of a fixed size. Should so many (code, tag) pairs be reported that theirs
//! is full, the rest are told apart by code alone.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use framealloc_codes::DiagnosticCode;

use crate::allocators::record::MAX_TAGS;
use crate::tags::TagId;

/// Of each code of the registry, by index.
static TOTALS: [AtomicU64; DiagnosticCode::ALL.len()] =
    [const { AtomicU64::new(0) }; DiagnosticCode::ALL.len()];
/// Of custom codes that [`CUSTOM`] has no room for, all together.
static OTHER_CUSTOM: AtomicU64 = AtomicU64::new(0);

/// A key is found within so many slots of its hash, or is not in the table.
const PROBES: usize = 64;

struct Slot {
    /// Zero while the slot is free. Written once.
    key: AtomicU64,
    count: AtomicU64,
}

impl Slot {
    const fn free() -> Self {
        Self {
            key: AtomicU64::new(0),
            count: AtomicU64::new(0),
        }
    }
}

/// Of each custom code.
static CUSTOM: [Slot; 256] = [const { Slot::free() }; 256];
/// Of each code and tag.
static PAIRS: [Slot; 2048] = [const { Slot::free() }; 2048];

const TAG_BITS: u32 = 17;
const _: () = assert!(MAX_TAGS <= 1 << TAG_BITS);

/// What a (code, tag) pair is found by: never zero. Two custom codes share one if their hashes agree in 46 bits.
fn key(code: DiagnosticCode, tag: TagId) -> u64 {
    let code = match code.index() {
        Some(index) => index as u64 + 1,
        None => 1 << 46 | fnv1a(code.name()) & ((1 << 46) - 1),
    };
    code << TAG_BITS | u64::from(tag.index())
}

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

/// The count of a key, if the table has it or, with `add`, has room for it.
fn find(table: &'static [Slot], key: u64, add: bool) -> Option<&'static AtomicU64> {
    let start = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as usize;
    for probe in 0..PROBES {
        let slot = &table[(start + probe) % table.len()];
        let mut found = slot.key.load(Relaxed);
        if found == 0 {
            if !add {
                return None;
            }
            found = match slot.key.compare_exchange(0, key, Relaxed, Relaxed) {
                Ok(_) => key,
                Err(first) => first,
            };
        }
        if found == key {
            return Some(&slot.count);
        }
    }
    None
}

/// Counts a report. Returns how often this code was reported for this tag, this time included.
pub(super) fn add(code: DiagnosticCode, tag: TagId) -> u64 {
    let total = match code.index() {
        Some(index) => &TOTALS[index],
        None => find(&CUSTOM, key(code, TagId::ROOT), true).unwrap_or(&OTHER_CUSTOM),
    };
    let of_code = total.fetch_add(1, Relaxed) + 1;
    match find(&PAIRS, key(code, tag), true) {
        Some(count) => count.fetch_add(1, Relaxed) + 1,
        None => of_code,
    }
}

/// How often `code` has been reported in this process, for whichever tag, rate limit or not.
///
/// Of custom codes, the first two hundred or so are counted one by one; the others are 0 here.
pub fn count(code: DiagnosticCode) -> u64 {
    match code.index() {
        Some(index) => TOTALS[index].load(Relaxed),
        None => find(&CUSTOM, key(code, TagId::ROOT), false).map_or(0, |count| count.load(Relaxed)),
    }
}
