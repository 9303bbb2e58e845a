//! Blocks on their way through the `Allocator` traits: the one door by which unsafe code can give memory back wrongly.
//!
//! Boxes, collections and guards own their blocks, so nothing safe frees one twice, and no pointer becomes a box again. But whoever
//! calls `deallocate`, `grow` or `shrink` promises that the block is live, of this kind of allocator, and of that layout. With the
//! feature `debug` this is checked: each block that was handed out through the traits is known by its address; one that is not, or
//! not so, is reported (FA904) and left as it is. What was freed last is remembered, so that a second free can be told from
//! nonsense. Memory of guards is not checked: it goes with its guard, whatever was given back before.
//!
//! Reports have the stacks of the allocation and of the first free once any [`LeakTracker`](crate::LeakTracker) was turned on.
//!
//! Invariants: a block is known from after it was taken from its allocator until before it goes back, so that nobody else can have
//! its address meanwhile; nothing is locked while a report is made.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::VecDeque;
use std::fmt;
use std::sync::LazyLock;

use hashbrown::HashMap;

use crate::behavior::AllocKind;
use crate::diagnostics::{self, DiagnosticCode};
use crate::leaks::{Indented, Stack, Symbols, stacks_are_wanted};
use crate::sync::Mutex;
use crate::tags::TagId;

/// A block as it was handed out.
#[derive(Clone)]
struct Known {
    layout: Layout,
    kind: AllocKind,
    tag: TagId,
    stack: Option<Stack>,
}

/// One that has been given back.
#[derive(Clone)]
struct Freed {
    known: Known,
    stack: Option<Stack>,
}

#[derive(Default)]
struct Shard {
    live: HashMap<usize, Known>,
    /// The newest last.
    freed: VecDeque<(usize, Freed)>,
}

const SHARDS: usize = 16;
/// Freed blocks that a shard remembers.
const REMEMBERED: usize = 256;

static BLOCKS: LazyLock<[Mutex<Shard>; SHARDS]> =
    LazyLock::new(|| core::array::from_fn(|_| Mutex::default()));

fn shard(address: usize) -> &'static Mutex<Shard> {
    &BLOCKS[(address >> 4) % SHARDS]
}

fn stack() -> Option<Stack> {
    stacks_are_wanted().then(Stack::capture)
}

/// A block was taken from its allocator, for the caller of the trait.
pub(super) fn handed_out(block: NonNull<u8>, layout: Layout, kind: AllocKind) {
    if layout.size() == 0 {
        return;
    }
    let known = Known {
        layout,
        kind,
        tag: TagId::current(),
        stack: stack(),
    };
    insert(block, known);
}

fn insert(block: NonNull<u8>, known: Known) {
    let address = block.as_ptr() as usize;
    shard(address).lock().live.insert(address, known);
}

/// A block is to be freed. Whether it may be; if not, that is reported.
pub(super) fn may_be_freed(block: NonNull<u8>, layout: Layout, kind: AllocKind) -> bool {
    if layout.size() == 0 {
        return true;
    }
    let stack = stack();
    let outcome = {
        let address = block.as_ptr() as usize;
        let mut shard = shard(address).lock();
        let known = shard.take(address, layout, kind);
        known.map(|known| shard.remember(address, Freed { known, stack }))
    };
    match outcome {
        // What has been forgotten goes with nothing locked.
        Ok(_forgotten) => true,
        Err(mistake) => {
            mistake.report(layout, kind);
            false
        }
    }
}

/// A block is to be replaced by what `resize` returns, if it does return one.
pub(super) fn resized(
    block: NonNull<u8>,
    (old, new): (Layout, Layout),
    kind: AllocKind,
    resize: impl FnOnce() -> Option<NonNull<u8>>,
) -> Option<NonNull<u8>> {
    /// Known again, unless it has been replaced: also if what budgets have to say panics.
    struct Unless(NonNull<u8>, Option<Known>);
    impl Drop for Unless {
        fn drop(&mut self) {
            if let Some(known) = self.1.take() {
                insert(self.0, known);
            }
        }
    }
    let mut unless_replaced = Unless(block, None);
    if old.size() != 0 {
        let address = block.as_ptr() as usize;
        let taken = shard(address).lock().take(address, old, kind);
        match taken {
            Ok(known) => unless_replaced.1 = Some(known),
            Err(mistake) => {
                mistake.report(old, kind);
                return None;
            }
        }
    }
    let resized = resize()?;
    unless_replaced.1 = None;
    handed_out(resized, new, kind);
    Some(resized)
}

impl Shard {
    fn take(&mut self, address: usize, layout: Layout, kind: AllocKind) -> Result<Known, Mistake> {
        match self.live.get(&address) {
            Some(known) if known.layout == layout && known.kind == kind => {}
            Some(known) => return Err(Mistake::OtherBlock(known.clone())),
            None => {
                let freed = self.freed.iter().rev().find(|(of, _)| *of == address);
                return Err(match freed {
                    Some((_, freed)) => Mistake::Twice(freed.clone()),
                    None => Mistake::Unknown,
                });
            }
        }
        self.live.remove(&address).ok_or(Mistake::Unknown)
    }

    /// Returns what is forgotten for it.
    fn remember(&mut self, address: usize, freed: Freed) -> Option<(usize, Freed)> {
        let forgotten = if self.freed.len() == REMEMBERED {
            self.freed.pop_front()
        } else {
            None
        };
        self.freed.push_back((address, freed));
        forgotten
    }
}

/// What is wrong with a block that is to be freed or resized.
enum Mistake {
    /// It is free already.
    Twice(Freed),
    /// It is live, but of another layout or kind.
    OtherBlock(Known),
    /// No such block was handed out, or it was freed long ago.
    Unknown,
}

impl Mistake {
    /// Looks symbols up, and may run user code: nothing is locked.
    #[cold]
    fn report(self, layout: Layout, kind: AllocKind) {
        let tag = match &self {
            Self::Twice(freed) => freed.known.tag,
            Self::OtherBlock(known) => known.tag,
            Self::Unknown => TagId::current(),
        };
        let message = Message {
            mistake: self,
            layout,
            kind,
        };
        diagnostics::report_each(DiagnosticCode::FA904, core::iter::once((tag, message)));
    }
}

struct Message {
    mistake: Mistake,
    layout: Layout,
    kind: AllocKind,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layout, kind, .. } = self;
        let (size, align) = (layout.size(), layout.align());
        match &self.mistake {
            Mistake::Twice(Freed { known, stack }) => {
                let (bytes, kind, tag) = (known.layout.size(), known.kind, known.tag);
                write!(
                    f,
                    "{bytes} bytes of {kind} memory of `{tag}` are freed a second time"
                )?;
                write_stack(f, "allocated", known.stack.as_ref())?;
                write_stack(f, "freed first", stack.as_ref())
            }
            Mistake::OtherBlock(known) => {
                write!(
                    f,
                    "{} bytes, aligned to {}, of {} memory of `{}` are freed as {size} bytes, aligned to {align}, of {kind} memory",
                    known.layout.size(),
                    known.layout.align(),
                    known.kind,
                    known.tag
                )?;
                write_stack(f, "allocated", known.stack.as_ref())
            }
            Mistake::Unknown => write!(
                f,
                "{size} bytes of {kind} memory are freed that were not handed out, or freed long ago"
            ),
        }
    }
}

fn write_stack(f: &mut fmt::Formatter<'_>, what: &str, stack: Option<&Stack>) -> fmt::Result {
    match stack {
        Some(stack) => {
            let stack = Symbols::new().resolve(stack);
            write!(f, "\n    {what} at{}", Indented(&stack))
        }
        None => Ok(()),
    }
}
