//! Whose limits memory counts against, besides being charged to the current tag.

/// The budgets that a block of the heap counts against: those of an allocator, or none.
///
/// What an allocator keeps for itself (groups, handles, streams, scratch pools) is made with the payer of the allocator that
/// it belongs to; such a thing made on its own has no payer but the tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payer;
