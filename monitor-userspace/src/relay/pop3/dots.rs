//! The multi-line answers of POP3 (RFC 1939 section 3), byte for byte: what signatures need (pure).
//!
//! A line is what ends with CRLF. Inside, a CR or LF alone is content. A dot at the begin of a line is taken away; a line
//! of one dot is the end, and not part of what is returned.

/// Bytes beyond those that are kept which are read to find the end, after which the session can go on.
const SURPLUS: u64 = 64 << 20;

/// Undoes the dots of one answer that arrives in pieces of any size.
#[derive(Debug)]
pub(super) struct Dots {
    content: Vec<u8>,
    /// Bytes of content that were thrown away.
    surplus: u64,
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
    /// No end within the bytes that are read for its sake.
    Endless,
}

impl Dots {
    /// `most`: bytes of content that are kept.
    pub(super) const fn new(most: u64) -> Self {
        Self { content: Vec::new(), surplus: 0, at: At::Begin, most }
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
                        self.push(b'\r');
                    }
                    let after_cr = matches!(at, At::Cr | At::DotCr);
                    self.push(byte);
                    match byte {
                        b'\n' if after_cr => At::Begin,
                        b'\r' => At::Cr,
                        _ => At::Middle,
                    }
                }
            };
            if self.surplus > SURPLUS {
                return Step::Endless;
            }
        }
        Step::More
    }

    fn push(&mut self, byte: u8) {
        if (self.content.len() as u64) < self.most {
            self.content.push(byte);
        } else {
            self.surplus += 1;
        }
    }

    /// The content, as far as it was kept; whether that is all.
    pub(super) fn finish(self) -> (Vec<u8>, bool) {
        (self.content, self.surplus == 0)
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
                    Step::Endless => unreachable!(),
                }
            };
            prop_assert_eq!(end, length, "nothing behind the end is taken");
            prop_assert_eq!(dots.finish(), (content, true));
        }

        #[test]
        fn what_is_too_much_is_not_kept_and_its_end_is_found(most in 0_usize..100, more in 1_usize..100) {
            let mut dots = Dots::new(most as u64);
            let mut wire = stuffed(&[vec![b'x'; most + more]]);
            let length = wire.len();
            wire.extend_from_slice(b"+OK");
            prop_assert_eq!(dots.take(&wire), Step::End(length));
            prop_assert_eq!(dots.finish(), (vec![b'x'; most], false));
        }
    }

    #[test]
    fn an_endless_answer_is_given_up() {
        let mut dots = Dots::new(10);
        let piece = vec![b'x'; 1 << 20];
        let given_up = (0..100).position(|_| dots.take(&piece) == Step::Endless);
        assert_eq!(given_up, Some(64));
        assert_eq!(dots.content.capacity().max(64), 64, "nothing grows");
    }
}
