//! What an allocator has besides frames, pools and heap, each made when it is first asked for.

use std::sync::OnceLock;

use crate::allocators::payer::Payer;
use crate::budgets::BudgetManager;
use crate::scratch::ScratchRegistry;

/// One field a part: a `OnceLock`, filled by the accessor of the part's own file.
#[derive(Default)]
pub(crate) struct Parts {
    /// What the parts' memory counts against.
    pub(crate) payer: Payer,
    pub(crate) budgets: OnceLock<BudgetManager>,
    /// The scratch pools.
    pub(crate) scratch: OnceLock<ScratchRegistry>,
}

impl Parts {
    pub(crate) fn new(payer: Payer) -> Self {
        Self {
            payer,
            ..Self::default()
        }
    }
}
