//! AutoConnect's catalog: the list a device shows to a person, who picks a file. The download that
//! follows is [`arduino`](super::arduino)'s.

use bytes::Bytes;

use crate::http::{Answer, Body, Status};

/// What a catalog request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked<'r> {
    /// The list of this folder.
    List(&'r [u8]),
    /// An operation that there is none of; `updateserver.py` answers 403, so devices know that.
    NoOperation,
}

/// Reads the query of a catalog request.
pub(crate) fn read<'r>(op: Option<&[u8]>, path: Option<&'r [u8]>) -> Asked<'r> {
    match op {
        Some(b"list") => Asked::List(path.filter(|path| !path.is_empty()).unwrap_or(b".")),
        _ => Asked::NoOperation,
    }
}

/// The answer with a list: with its length and on a connection that ends, because AutoConnect reads
/// the body without looking at either.
pub(crate) fn list(json: Bytes) -> Answer {
    Answer { body: Body::Bytes(json), ..Answer::empty(Status::Ok) }
        .with("Content-Type", "application/json")
        .closing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_path_is_the_root_and_a_missing_operation_is_none() {
        assert_eq!(read(Some(b"list"), Some(b"fw")), Asked::List(b"fw"));
        assert_eq!(read(Some(b"list"), Some(b"")), Asked::List(b"."));
        assert_eq!(read(Some(b"list"), None), Asked::List(b"."));
        for op in [None, Some(&b""[..]), Some(b"LIST"), Some(b"delete")] {
            assert_eq!(read(op, None), Asked::NoOperation, "{op:?}");
        }
    }
}
