//! The multi-line answers of POP3 (RFC 1939 section 3), byte for byte: what signatures need (pure).
//!
//! A line is what ends with CRLF. Inside, a CR or LF alone is content. A dot at the begin of a line is taken away; a line
//! of one dot is the end, and not part of what is returned.

/// Undoes the dots of one answer that arrives in pieces of any size.
#[derive(Debug)]
pub(super) struct Dots {
    content: Vec<u8>,
    at: At,
    most: u64,
}

/// What was read of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Begin,
    /// One dot at its begin.
    Dot,
    /// A dot and a CR.
    DotCr,
    Middle,
    /// A CR in its middle.
    Cr,
}

/// Where a piece led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is more to come.
    More,
    /// The answer ended after so many bytes of the piece.
    End(usize),
    /// There are more bytes than allowed.
    TooLarge,
}

impl Dots {
    /// `most`: bytes of content that are allowed.
    pub(super) const fn new(most: u64) -> Self {
        Self { content: Vec::new(), at: At::Begin, most }
    }

    /// Takes the next piece.
    pub(super) fn take(&mut self, piece: &[u8]) -> Step {
        for (index, &byte) in piece.iter().enumerate() {
            self.at = match (self.at, byte) {
                (At::Begin, b'.') => At::Dot,
                (At::Dot, b'\r') => At::DotCr,
                (At::DotCr, b'\n') => return Step::End(index + 1),
                (at, byte) => {
                    if at == At::DotCr {
                        // The line went on: a dot, a CR as content.
                        self.content.push(b'\r');
                    }
                    let after_cr = matches!(at, At::Cr | At::DotCr);
                    self.content.push(byte);
                    match byte {
                        b'\n' if after_cr => At::Begin,
                        b'\r' => At::Cr,
                        _ => At::Middle,
                    }
                }
            };
            if self.content.len() as u64 > self.most {
                return Step::TooLarge;
            }
        }
        Step::More
    }

    /// The content.
    pub(super) fn finish(self) -> Vec<u8> {
        self.content
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a server sends for this content (RFC 1939 section 3), written apart from the code above.
    fn stuffed(lines: &[Vec<u8>]) -> Vec<u8> {
        let mut wire = Vec::new();
        for line in lines {
            if line.first() == Some(&b'.') {
                wire.push(b'.');
            }
            wire.extend_from_slice(line);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b".\r\n");
        wire
    }

    /// A line: any bytes, dots and CRs and LFs often, no CRLF inside nor a CR that its end would make one with.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), any::<u8>()];
        let whole = |line: &Vec<u8>| !line.windows(2).any(|pair| pair == b"\r\n");
        proptest::collection::vec(byte, 0..12).prop_filter("one line", whole)
    }

    proptest! {
        #[test]
        fn content_comes_out_as_it_went_in_whatever_the_pieces(
            lines in proptest::collection::vec(line(), 0..12), size in 1_usize..40, behind in any::<[u8; 3]>(),
        ) {
            let mut wire = stuffed(&lines);
            let length = wire.len();
            wire.extend_from_slice(&behind);
            let content: Vec<u8> = lines.iter().flat_map(|line| [line, b"\r\n".as_slice()].concat()).collect();
            let mut dots = Dots::new(u64::MAX);
            let mut read = 0;
            let end = loop {
                let piece = &wire[read..wire.len().min(read + size)];
                match dots.take(piece) {
                    Step::More => read += piece.len(),
                    Step::End(bytes) => break read + bytes,
                    Step::TooLarge => unreachable!(),
                }
            };
            prop_assert_eq!(end, length, "nothing behind the end is taken");
            prop_assert_eq!(dots.finish(), content);
        }

        #[test]
        fn too_much_is_noticed_at_once(most in 0_u64..100, more in 1_usize..100) {
            let mut dots = Dots::new(most);
            let bytes = vec![b'x'; usize::try_from(most).unwrap_or(0)];
            prop_assert_eq!(dots.take(&bytes), Step::More);
            prop_assert_eq!(dots.take(&vec![b'x'; more]), Step::TooLarge);
            prop_assert_eq!(dots.finish().len() as u64, most + 1);
        }
    }
}
