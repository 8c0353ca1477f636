//! The bytes of a reply -> its three digits and its text (RFC 5321 section 4.2).
//!
//! The digits decide; the text is for people and may be any bytes. Servers that end a line with LF alone, leave the text
//! out (`250`), or put lines without a code between the others are understood. What is kept and what is read of one reply
//! is bounded, so that a server that never ends costs neither memory nor time.

/// Of each line so much is kept: what RFC 5321 section 4.5.3.1.5 allows a line to have.
const KEPT: usize = 512;
/// A line that goes on for longer is no line. More than a hundred times what is allowed.
const LONGEST_LINE: usize = 64 << 10;
/// Lines of one reply. Servers with many extensions have 20 to 30 behind EHLO.
const MOST_LINES: usize = 256;
/// Bytes of one reply.
const LONGEST_REPLY: usize = 256 << 10;

/// What a mail server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// The text of each line, as [`escaped`] shows it.
    pub lines: Vec<String>,
    /// Whether its last line was read to its end. If not, the digits count all the same, and the session is over.
    pub is_whole: bool,
}

impl Reply {
    /// 2yz: done.
    #[must_use]
    pub const fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3yz: go on.
    #[must_use]
    pub const fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 5yz: do not ask this again.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// 421: the server is about to close the connection, in whatever phase (RFC 5321 section 3.8).
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.code == 421
    }

    /// The text, its lines joined by spaces.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    }

    /// Subject and detail of the enhanced status code (RFC 3463), such as (7, 1) of `550 5.7.1`: where the text begins with
    /// it (RFC 2034 section 4), or, as qmail writes it, in `(#5.7.1)`. Its class must be that of the digits.
    #[must_use]
    pub fn enhanced(&self) -> Option<(u16, u16)> {
        let at_the_begin = self.lines.iter().filter_map(|line| line.split_whitespace().next());
        let behind = self.lines.iter().flat_map(|line| line.split_whitespace()).filter_map(|word| {
            let word = word.strip_prefix("(#")?;
            Some(word.split(')').next().unwrap_or(word))
        });
        at_the_begin.chain(behind).find_map(|word| self.status(word.trim_end_matches([':', ';', ','])))
    }

    fn status(&self, word: &str) -> Option<(u16, u16)> {
        let number = |part: &str| {
            let is_number = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| part.parse().ok()).flatten()
        };
        let mut parts = word.split('.').map(number);
        let (class, subject, detail) = (parts.next()??, parts.next()??, parts.next()??);
        (parts.next().is_none() && class == self.code / 100).then_some((subject, detail))
    }
}

/// `550 5.1.1 no such user`.
impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.text();
        if text.is_empty() { write!(f, "{}", self.code) } else { write!(f, "{} {text}", self.code) }
    }
}

/// Text of a stranger for a terminal: bytes that are not UTF-8 are replaced, control characters and those that turn the
/// direction of writing are escaped.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut text = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '\t' => text.push(' '),
            c if c.is_control() || turns(c) => text.extend(c.escape_default()),
            c => text.push(c),
        }
    }
    text
}

/// Where a piece led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyStep {
    /// There is more to come.
    More,
    /// The reply ended after so many bytes of the piece.
    End(usize),
    /// It is longer than any reply.
    TooLong,
}

/// Reads one reply that arrives in pieces of any size. Holds at most 128 KiB.
#[derive(Debug, Default)]
pub struct ReplyReader {
    /// The begin of the line that is being read.
    line: Vec<u8>,
    /// Its length so far, with what is not kept.
    length: usize,
    lines: Vec<String>,
    /// Lines so far, with those that have no code.
    count: usize,
    total: usize,
    /// Of the latest line that has one.
    code: Option<u16>,
    /// Whether the reply's last line was read.
    ended: bool,
    /// The first line without a code.
    odd: Option<String>,
}

impl ReplyReader {
    /// Takes the next piece.
    pub fn take(&mut self, piece: &[u8]) -> ReplyStep {
        for (index, &byte) in piece.iter().enumerate() {
            self.total += 1;
            if byte == b'\n' {
                if self.end_line() {
                    return ReplyStep::End(index + 1);
                }
            } else {
                self.length += 1;
                if self.line.len() < KEPT {
                    self.line.push(byte);
                }
            }
            if self.length > LONGEST_LINE || self.count >= MOST_LINES || self.total > LONGEST_REPLY {
                return ReplyStep::TooLong;
            }
        }
        ReplyStep::More
    }

    /// The first line that has no code, if there is no line with one yet.
    #[must_use]
    pub fn odd(&self) -> Option<&str> {
        if self.code.is_none() { self.odd.as_deref() } else { None }
    }

    /// The reply, after [`ReplyStep::End`]; otherwise what there is of it. `None`: no line has a code.
    #[must_use]
    pub fn finish(mut self) -> Option<Reply> {
        let is_whole = self.ended;
        if let Some((code, text)) = coded(&self.line) {
            self.code = Some(code);
            self.lines.push(escaped(text));
        }
        Some(Reply { code: self.code?, lines: self.lines, is_whole })
    }

    /// Ends the line; whether it was the reply's last.
    fn end_line(&mut self) -> bool {
        let line = std::mem::take(&mut self.line);
        // A CR that was not kept is behind what is.
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        self.count += 1;
        self.length = 0;
        let Some((code, text)) = coded(line) else {
            self.odd.get_or_insert_with(|| escaped(line));
            return false;
        };
        self.code = Some(code);
        self.lines.push(escaped(text));
        self.ended = line.get(3) != Some(&b'-');
        self.ended
    }
}

/// The digits of a line, and its text. 1yz is not in RFC 5321, nor 6yz and above.
fn coded(line: &[u8]) -> Option<(u16, &[u8])> {
    let digits = line.get(..3)?;
    let is_code = (b'2'..=b'5').contains(&digits[0]) && digits.iter().all(u8::is_ascii_digit);
    if !is_code || line.get(3).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    Some((code, line.get(4..).unwrap_or_default()))
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
