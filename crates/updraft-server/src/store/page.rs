//! Long lists in pieces: each piece says where the next begins, so that rows that come and go meanwhile
//! neither hide nor repeat others.

/// Which piece of a list is wanted: `K` is what the list is sorted by, a number or an ASCII name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page<K> {
    /// The last one of the piece before; `None` for the first piece.
    pub after: Option<K>,
    /// How many at most.
    pub limit: i64,
}

/// A piece of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paged<T, K> {
    /// What is in it.
    pub items: Vec<T>,
    /// Asks for the next piece, should there be one.
    pub next: Option<K>,
}

impl<K> Page<K> {
    /// The first piece.
    pub(crate) fn first(limit: i64) -> Self {
        Self { after: None, limit }
    }

    /// How many rows to ask for: one more tells whether there is a next piece.
    pub(super) fn rows(&self) -> i64 {
        self.limit.max(1).saturating_add(1)
    }

    /// Makes the answer of [`Page::rows`] rows.
    pub(super) fn cut<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> K) -> Paged<T, K> {
        let limit = usize::try_from(self.limit.max(1)).unwrap_or(usize::MAX);
        let next = if items.len() > limit {
            items.truncate(limit);
            items.last().map(key)
        } else {
            None
        };
        Paged { items, next }
    }
}
