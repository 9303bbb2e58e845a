//! Text of fixed capacity.

use core::borrow::Borrow;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Deref, DerefMut};

use allocator_api2::vec::Vec;

use super::leased::{Leased, extend_copy, into_slice, vec_with_capacity};
use crate::allocators::domain::Domain;
use crate::allocators::lease::FrameStr;
use crate::collections::full;
use crate::error::AllocError;

/// Text of fixed capacity in frame memory: a lease, as a [`FrameBox`](crate::FrameBox) is.
///
/// What does not fit panics (`push`, `push_str`), comes back (`try_push`, `try_push_str`), or is an error (`write!`, which
/// writes a piece wholly or not at all). Text that is written once is better made by
/// [`frame_format`](crate::SmartAlloc::frame_format), which finds its size by itself.
///
/// ```
/// use std::fmt::Write;
///
/// let alloc = framealloc::SmartAlloc::with_defaults();
/// alloc.begin_frame();
/// let mut line = alloc.frame_string(32);
/// line.push_str("units:");
/// write!(line, " {}", 12)?;
/// assert_eq!(line, "units: 12");
/// # drop(line);
/// # alloc.end_frame();
/// # Ok::<(), std::fmt::Error>(())
/// ```
pub struct FrameString<'a> {
    /// UTF-8.
    bytes: Vec<u8, Leased<'a>>,
}

impl<'a> FrameString<'a> {
    pub(crate) fn with_capacity(domain: &'a Domain, capacity: usize) -> Result<Self, AllocError> {
        let bytes = vec_with_capacity(domain, capacity)?;
        Ok(Self { bytes })
    }

    /// How many bytes of text it holds at most.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// How many bytes more fit.
    pub fn remaining(&self) -> usize {
        self.capacity() - self.bytes.len()
    }

    /// Whether nothing more fits.
    pub fn is_full(&self) -> bool {
        self.remaining() == 0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self
    }

    /// The text, as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends a character.
    ///
    /// # Panics
    ///
    /// If it does not fit.
    #[inline]
    #[track_caller]
    pub fn push(&mut self, character: char) {
        self.push_str(character.encode_utf8(&mut [0; 4]));
    }

    /// Appends a character, or gives it back if it does not fit.
    ///
    /// # Errors
    ///
    /// The character.
    pub fn try_push(&mut self, character: char) -> Result<(), char> {
        self.try_push_str(character.encode_utf8(&mut [0; 4]))
            .map_err(|_| character)
    }

    /// Appends text.
    ///
    /// # Panics
    ///
    /// If it does not fit.
    #[inline]
    #[track_caller]
    pub fn push_str(&mut self, text: &str) {
        if self.try_push_str(text).is_err() {
            full("string", self.capacity(), "try_push_str");
        }
    }

    /// Appends text, all of it or nothing.
    ///
    /// # Errors
    ///
    /// The text, if it does not fit.
    #[inline]
    pub fn try_push_str<'t>(&mut self, text: &'t str) -> Result<(), &'t str> {
        if text.len() > self.remaining() {
            return Err(text);
        }
        extend_copy(&mut self.bytes, text.as_bytes());
        Ok(())
    }

    /// Inserts a character before byte `at`.
    ///
    /// # Panics
    ///
    /// If it does not fit, or if `at` lies beyond the end or within a character.
    #[track_caller]
    pub fn insert(&mut self, at: usize, character: char) {
        self.insert_str(at, character.encode_utf8(&mut [0; 4]));
    }

    /// Inserts text before byte `at`.
    ///
    /// # Panics
    ///
    /// If it does not fit, or if `at` lies beyond the end or within a character.
    #[track_caller]
    pub fn insert_str(&mut self, at: usize, text: &str) {
        assert_boundary(self, at);
        self.push_str(text);
        self.bytes[at..].rotate_right(text.len());
    }

    /// Removes the last character.
    pub fn pop(&mut self) -> Option<char> {
        let last = self.chars().next_back()?;
        self.bytes.truncate(self.bytes.len() - last.len_utf8());
        Some(last)
    }

    /// Removes the character that begins at byte `at`.
    ///
    /// # Panics
    ///
    /// If no character begins there.
    #[track_caller]
    pub fn remove(&mut self, at: usize) -> char {
        assert_boundary(self, at);
        let Some(character) = self[at..].chars().next() else {
            panic!("there is no character at the end of a text, at byte {at}");
        };
        self.bytes.drain(at..at + character.len_utf8());
        character
    }

    /// Cuts the text off after `len` bytes, if it is longer.
    ///
    /// # Panics
    ///
    /// If `len` lies within a character.
    #[track_caller]
    pub fn truncate(&mut self, len: usize) {
        if len < self.bytes.len() {
            assert_boundary(self, len);
            self.bytes.truncate(len);
        }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The text as a box. Room that it does not need is given back.
    pub fn into_boxed_str(self) -> FrameStr<'a> {
        // SAFETY: the bytes are UTF-8.
        unsafe { FrameStr::from_utf8_unchecked(into_slice(self.bytes)) }
    }
}

#[track_caller]
fn assert_boundary(text: &str, at: usize) {
    assert!(
        text.is_char_boundary(at),
        "byte {at} of a text of {} bytes is not where a character begins",
        text.len()
    );
}

impl Deref for FrameString<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        // SAFETY: the bytes are UTF-8.
        unsafe { str::from_utf8_unchecked(&self.bytes) }
    }
}

impl DerefMut for FrameString<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut str {
        // SAFETY: the bytes are UTF-8, and stay so behind a `str`.
        unsafe { str::from_utf8_unchecked_mut(&mut self.bytes) }
    }
}

impl fmt::Write for FrameString<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.try_push_str(text).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for FrameString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for FrameString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// Panics if it is full.
impl Extend<char> for FrameString<'_> {
    fn extend<I: IntoIterator<Item = char>>(&mut self, characters: I) {
        characters.into_iter().for_each(|c| self.push(c));
    }
}

/// Panics if it is full.
impl<'t> Extend<&'t str> for FrameString<'_> {
    fn extend<I: IntoIterator<Item = &'t str>>(&mut self, texts: I) {
        texts.into_iter().for_each(|text| self.push_str(text));
    }
}

impl<'a> From<FrameString<'a>> for FrameStr<'a> {
    fn from(text: FrameString<'a>) -> Self {
        text.into_boxed_str()
    }
}

impl AsRef<str> for FrameString<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl AsRef<[u8]> for FrameString<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Borrow<str> for FrameString<'_> {
    fn borrow(&self) -> &str {
        self
    }
}

impl PartialEq for FrameString<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for FrameString<'_> {}

impl PartialEq<str> for FrameString<'_> {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for FrameString<'_> {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialOrd for FrameString<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FrameString<'_> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for FrameString<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}
