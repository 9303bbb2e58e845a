//! Values that have outlived their frame, and who owns them.

use core::error::Error;
use core::fmt;
use core::marker::PhantomData;

use super::policy::{RetainedId, RetentionPolicy};
use crate::allocators::heap::HeapBox;
use crate::allocators::pool::PoolBox;
use crate::allocators::retained::{Claim, Kind, Meta, Owned};
use crate::allocators::scratch::ScratchBox;
use crate::tags::TagId;

/// In a pool, as the place of a [`Promoted`] value.
#[derive(Debug)]
pub enum InPool {}
/// On the heap, as the place of a [`Promoted`] value.
#[derive(Debug)]
pub enum OnHeap {}
/// In a scratch pool, as the place of a [`Promoted`] value.
#[derive(Debug)]
pub enum InScratch {}
/// In a plain `Box`, as the place of a value whose promotion failed.
#[derive(Debug)]
pub enum Kept {}

/// The owner of a value that has outlived its frame, whatever its type. Dropping it drops the value.
///
/// [`downcast`](Promoted::downcast) gives a box of the type. While the value's [`FrameRetained`](crate::FrameRetained) is
/// alive, the value is still in use there, and cannot be had.
pub struct Promoted<P> {
    meta: Meta,
    kind: &'static Kind,
    value: Value,
    _place: PhantomData<fn() -> P>,
}

pub(super) enum Value {
    Here(Owned),
    /// Its handle is alive, or was when the frame ended.
    Claimed(Claim),
    /// The system had no memory to keep it in.
    Lost,
}

impl<P> Promoted<P> {
    pub(super) fn new(meta: Meta, kind: &'static Kind, value: Value) -> Self {
        Self {
            meta,
            kind,
            value,
            _place: PhantomData,
        }
    }

    /// The name of the value's type.
    pub fn type_name(&self) -> &'static str {
        self.kind.type_name()
    }

    /// Bytes of the value.
    pub fn size(&self) -> usize {
        self.kind.layout().size()
    }

    /// The tag that it was made under.
    pub fn tag(&self) -> TagId {
        self.meta.tag
    }

    /// What its handle had as id.
    pub fn id(&self) -> RetainedId {
        self.meta.id
    }

    /// Whether the value is a `T`.
    pub fn is<T: 'static>(&self) -> bool {
        self.kind.is::<T>()
    }

    /// Whether the value is still in use through its [`FrameRetained`](crate::FrameRetained).
    pub fn is_in_use(&self) -> bool {
        matches!(&self.value, Value::Claimed(claim) if !claim.has_arrived())
    }

    fn take<T: 'static>(self) -> Result<Owned, DowncastError<P>> {
        let Self {
            meta, kind, value, ..
        } = self;
        let (reason, value) = if kind.is::<T>() {
            match value {
                Value::Here(owned) => return Ok(owned),
                Value::Claimed(claim) => match claim.redeem() {
                    Ok(owned) => return Ok(owned),
                    Err(claim) => (DowncastErrorKind::InUse, Value::Claimed(claim)),
                },
                Value::Lost => (DowncastErrorKind::Lost, Value::Lost),
            }
        } else {
            (DowncastErrorKind::OtherType, value)
        };
        Err(DowncastError {
            kind: reason,
            item: Self::new(meta, kind, value),
        })
    }
}

macro_rules! downcast {
    ($place:ident, $owner:ty, $into:ident, $doc:literal) => {
        impl Promoted<$place> {
            #[doc = $doc]
            ///
            /// # Errors
            ///
            /// [`DowncastError`], with the item, if the value has another type or is still in use.
            pub fn downcast<T: 'static>(self) -> Result<$owner, DowncastError<$place>> {
                self.take::<T>().map(Owned::$into)
            }
        }
    };
}

downcast!(
    InPool,
    PoolBox<T>,
    into_pool_box,
    "The value, if it is a `T`, in its place in the pool."
);
downcast!(
    OnHeap,
    HeapBox<T>,
    into_heap_box,
    "The value, if it is a `T`, in its place on the heap."
);
downcast!(
    InScratch,
    ScratchBox<T>,
    into_scratch_box,
    "The value, if it is a `T`, in its place in the scratch pool."
);
downcast!(
    Kept,
    Box<T>,
    into_box,
    "The value, if it is a `T`, in a plain box that counts against no budget."
);

impl<P> fmt::Debug for Promoted<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promoted")
            .field("type", &self.type_name())
            .field("size", &self.size())
            .field("tag", &self.tag())
            .field("in_use", &self.is_in_use())
            .finish()
    }
}

/// Why a promoted value could not be had, with the item that owns it.
pub struct DowncastError<P> {
    /// Why.
    pub kind: DowncastErrorKind,
    /// The item, unchanged.
    pub item: Promoted<P>,
}

/// Why a promoted value could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DowncastErrorKind {
    /// The value has another type.
    OtherType,
    /// The value's handle is alive; it can be had when that has dropped.
    InUse,
    /// Promotion failed, and the system had no memory to keep the value in: it was dropped.
    Lost,
}

impl<P> fmt::Display for DowncastError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.item.type_name();
        match self.kind {
            DowncastErrorKind::OtherType => write!(f, "the promoted value is a `{name}`"),
            DowncastErrorKind::InUse => write!(
                f,
                "the promoted `{name}` is still in use; drop its `FrameRetained` first"
            ),
            DowncastErrorKind::Lost => write!(
                f,
                "the `{name}` was dropped, since there was no memory to keep it in"
            ),
        }
    }
}

impl<P> fmt::Debug for DowncastError<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DowncastError")
            .field("kind", &self.kind)
            .field("item", &self.item)
            .finish()
    }
}

impl<P> Error for DowncastError<P> {}

/// A value that its policy was to promote, at the end of its frame.
#[derive(Debug)]
pub enum PromotedAllocation {
    /// It is in a pool.
    Pool {
        /// The value's owner.
        value: Promoted<InPool>,
        /// Bytes of the value.
        size: usize,
        /// The tag that it was made under.
        tag: TagId,
        /// The name of its type.
        type_name: &'static str,
    },
    /// It is on the heap.
    Heap {
        /// The value's owner.
        value: Promoted<OnHeap>,
        /// Bytes of the value.
        size: usize,
        /// The tag that it was made under.
        tag: TagId,
        /// The name of its type.
        type_name: &'static str,
    },
    /// It is in a scratch pool.
    Scratch {
        /// The pool's name.
        pool_name: &'static str,
        /// The value's owner.
        value: Promoted<InScratch>,
        /// Bytes of the value.
        size: usize,
        /// The tag that it was made under.
        tag: TagId,
        /// The name of its type.
        type_name: &'static str,
    },
    /// It could not be promoted. It is not lost: `meta.value` owns it.
    Failed {
        /// Why.
        reason: PromotionFailure,
        /// What it is, and the value itself.
        meta: RetainedMeta,
    },
}

impl PromotedAllocation {
    /// Whether it was promoted.
    pub fn is_success(&self) -> bool {
        !matches!(self, Self::Failed { .. })
    }

    /// Bytes of the value.
    pub fn size(&self) -> usize {
        match self {
            Self::Pool { size, .. } | Self::Heap { size, .. } | Self::Scratch { size, .. } => *size,
            Self::Failed { meta, .. } => meta.size,
        }
    }

    /// The tag that it was made under.
    pub fn tag(&self) -> TagId {
        match self {
            Self::Pool { tag, .. } | Self::Heap { tag, .. } | Self::Scratch { tag, .. } => *tag,
            Self::Failed { meta, .. } => meta.tag,
        }
    }

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Pool { type_name, .. }
            | Self::Heap { type_name, .. }
            | Self::Scratch { type_name, .. } => type_name,
            Self::Failed { meta, .. } => meta.type_name,
        }
    }

    /// What its handle had as id.
    pub fn id(&self) -> RetainedId {
        match self {
            Self::Pool { value, .. } => value.id(),
            Self::Heap { value, .. } => value.id(),
            Self::Scratch { value, .. } => value.id(),
            Self::Failed { meta, .. } => meta.value.id(),
        }
    }

    /// Whether the value is still in use through its [`FrameRetained`](crate::FrameRetained).
    pub fn is_in_use(&self) -> bool {
        match self {
            Self::Pool { value, .. } => value.is_in_use(),
            Self::Heap { value, .. } => value.is_in_use(),
            Self::Scratch { value, .. } => value.is_in_use(),
            Self::Failed { meta, .. } => meta.value.is_in_use(),
        }
    }
}

/// A value whose promotion failed: what it is, and the value itself.
#[derive(Debug)]
#[non_exhaustive]
pub struct RetainedMeta {
    /// Where it was to go.
    pub policy: RetentionPolicy,
    /// Bytes of the value.
    pub size: usize,
    /// The tag that it was made under.
    pub tag: TagId,
    /// The name of its type.
    pub type_name: &'static str,
    /// The value's owner.
    pub value: Promoted<Kept>,
}

/// Why a value could not be promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PromotionFailure {
    /// A budget refused the memory.
    BudgetExceeded,
    /// There is no scratch pool of that name.
    ScratchPoolNotFound,
    /// The scratch pool has no room left below its limit.
    ScratchPoolFull,
    /// The value is larger than the scratch pool's limit.
    TooLarge,
    /// The system has no more memory.
    OutOfMemory,
    /// Anything else; a bug in framealloc.
    InternalError,
}

impl fmt::Display for PromotionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BudgetExceeded => "budget exceeded",
            Self::ScratchPoolNotFound => "scratch pool not found",
            Self::ScratchPoolFull => "scratch pool full",
            Self::TooLarge => "too large",
            Self::OutOfMemory => "out of memory",
            Self::InternalError => "internal error",
        })
    }
}

impl Error for PromotionFailure {}
