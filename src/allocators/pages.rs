//! A list that only grows and never moves what it holds, so that elements are found without a lock.
//!
//! ```text
//!  pages[0] --> [ 32 elements ]
//!  pages[1] --> [ 64 elements                  ]
//!  pages[2] --> [ 128 elements                                               ]
//!  pages[3] --> null, until somebody grows the list
//! ```
//!
//! Pages come from the heap path, charged to the tag that is current when they are made. They stay until the list drops.

use core::alloc::Layout;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

use super::heap;
use super::payer::Payer;
use crate::diagnostics;
use crate::error::AllocError;

const FIRST_LOG2: u32 = 5;
const PAGES: usize = 27;

/// Elements that a list of all pages holds.
pub(crate) const MOST: u32 = u32::MAX - (1 << FIRST_LOG2) + 1;

/// The page of an index, and the place in it.
const fn locate(index: u32) -> (usize, usize) {
    // The indices of page k, counted from 32 below zero, have their highest bit at k + 5.
    let shifted = index + (1 << FIRST_LOG2);
    let page = shifted.ilog2() - FIRST_LOG2;
    (
        page as usize,
        (shifted - (1 << (page + FIRST_LOG2))) as usize,
    )
}

const fn page_layout<T>(page: usize) -> Option<Layout> {
    match Layout::array::<T>(1 << (page as u32 + FIRST_LOG2)) {
        Ok(layout) => Some(layout),
        Err(_) => None,
    }
}

/// See the module's documentation. `T` has a size, and no destructor.
pub(crate) struct Pages<T> {
    pages: [AtomicPtr<T>; PAGES],
}

// SAFETY: owns its elements, as a `Vec` does.
unsafe impl<T: Send> Send for Pages<T> {}
// SAFETY: gives out shared references only.
unsafe impl<T: Send + Sync> Sync for Pages<T> {}

impl<T> Pages<T> {
    pub(crate) const fn new() -> Self {
        const { assert!(size_of::<T>() != 0 && !core::mem::needs_drop::<T>()) };
        Self {
            pages: [const { AtomicPtr::new(null_mut()) }; PAGES],
        }
    }

    /// The element, if its page was made.
    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        if index >= MOST {
            return None;
        }
        let (page, at) = locate(index);
        let page = NonNull::new(self.pages[page].load(Acquire))?;
        // SAFETY: pages are filled when they are made, stay until the list drops, and hold `at` by construction.
        Some(unsafe { page.add(at).as_ref() })
    }

    /// Makes the page of `index`, if there is none, and fills it with what `vacant` makes.
    pub(crate) fn grow(
        &self,
        index: u32,
        payer: &Payer,
        vacant: impl Fn() -> T,
    ) -> Result<(), AllocError> {
        let overflow = || diagnostics::refused(AllocError::overflow::<T>(index as usize));
        if index >= MOST {
            return Err(overflow());
        }
        let (page, _) = locate(index);
        let layout = page_layout::<T>(page).ok_or_else(overflow)?;
        if !self.pages[page].load(Relaxed).is_null() {
            return Ok(());
        }
        let fresh = heap::allocate(layout, payer)?.cast::<T>();
        for at in 0..layout.size() / size_of::<T>() {
            // SAFETY: the page holds so many.
            unsafe { fresh.add(at).write(vacant()) };
        }
        // Another thread may have been quicker.
        if self.pages[page]
            .compare_exchange(null_mut(), fresh.as_ptr(), Release, Relaxed)
            .is_err()
        {
            // SAFETY: just allocated, with this layout, and seen by nobody.
            unsafe { heap::free(fresh.cast(), layout) };
        }
        Ok(())
    }
}

impl<T> Drop for Pages<T> {
    fn drop(&mut self) {
        for (page, start) in self.pages.iter_mut().enumerate() {
            if let (Some(start), Some(layout)) =
                (NonNull::new(*start.get_mut()), page_layout::<T>(page))
            {
                // SAFETY: allocated with this layout in `grow`; nobody can refer to an element any more.
                unsafe { heap::free(start.cast(), layout) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_a_place_of_its_own() {
        assert_eq!(locate(0), (0, 0));
        assert_eq!(locate(31), (0, 31));
        assert_eq!(locate(32), (1, 0));
        assert_eq!(locate(95), (1, 63));
        assert_eq!(locate(96), (2, 0));
        let (page, at) = locate(MOST - 1);
        assert_eq!(
            (page, at),
            (PAGES - 1, (1 << (PAGES as u32 - 1 + FIRST_LOG2)) - 1)
        );
    }

    #[test]
    fn elements_stay_where_they_are_while_the_list_grows() {
        let list = Pages::<u64>::new();
        assert!(list.get(0).is_none() && list.get(u32::MAX).is_none());
        list.grow(0, &Default::default(), || 3).unwrap();
        let first = core::ptr::from_ref(list.get(0).unwrap());
        list.grow(1000, &Default::default(), || 4).unwrap();
        assert_eq!(core::ptr::from_ref(list.get(0).unwrap()), first);
        assert_eq!(
            (list.get(31), list.get(32), list.get(1000)),
            (Some(&3), None, Some(&4))
        );
    }
}
