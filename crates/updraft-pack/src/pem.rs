//! The blocks of a PEM file (RFC 7468), with whatever tools write around them. What is in a block is
//! not looked at.

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    /// What it calls itself: `PRIVATE KEY`.
    pub(crate) label: &'a str,
    /// All of it, from its first line to its last.
    pub(crate) text: &'a str,
}

/// The complete blocks of a file, in their order.
pub(crate) fn blocks(file: &str) -> impl Iterator<Item = Block<'_>> {
    let mut rest = file;
    std::iter::from_fn(move || {
        let start = rest.find("-----BEGIN ")?;
        let block = &rest[start..];
        let (label, _) = block["-----BEGIN ".len()..].split_once("-----")?;
        let end_line = format!("-----END {label}-----");
        let end = block.find(&end_line)? + end_line.len();
        rest = &block[end..];
        Some(Block { label, text: &block[..end] })
    })
}

impl Block<'_> {
    /// Whether it is a private key under a passphrase, in PKCS#8 or in OpenSSL's older form.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.label == "ENCRYPTED PRIVATE KEY"
            || (self.label.ends_with("PRIVATE KEY") && self.text.contains("Proc-Type: 4,ENCRYPTED"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_among_other_text() {
        let file = "Bag Attributes\n-----BEGIN A B-----\nAA==\n-----END A B-----\nmore\n\
            -----BEGIN C-----\n-----END C-----\n-----BEGIN D-----\n-----END E-----\n";
        let found: Vec<_> = blocks(file).collect();
        let first = "-----BEGIN A B-----\nAA==\n-----END A B-----";
        assert_eq!(found[0], Block { label: "A B", text: first });
        assert_eq!(found[1].label, "C");
        assert_eq!(found.len(), 2);
        assert_eq!(blocks("-----BEGIN ").count(), 0);
    }
}
