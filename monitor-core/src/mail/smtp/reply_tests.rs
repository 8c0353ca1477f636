//! Replies as mail servers write them, and as they break off.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// What a server's bytes are understood as, and how many of them were read.
fn read(bytes: &[u8]) -> (Option<Reply>, ReplyStep) {
    let mut reader = ReplyReader::default();
    let step = reader.take(bytes);
    (reader.finish(), step)
}

fn whole(bytes: &[u8]) -> Reply {
    let (reply, step) = read(bytes);
    assert_eq!(step, ReplyStep::End(bytes.len()), "{}", escaped(bytes));
    let reply = reply.unwrap();
    assert!(reply.is_whole);
    reply
}

// proves: R-2
#[test]
fn the_digits_decide_whatever_the_text_is() {
    for (bytes, code, text) in [
        (b"250 2.0.0 queued\r\n".as_slice(), 250, "2.0.0 queued"),
        (b"250 2.0.0 \xc7\xeb queued\r\n", 250, "2.0.0 \u{fffd}\u{fffd} queued"),
        (b"250\r\n", 250, ""),
        (b"250\n", 250, ""),
        (b"250 \r\n", 250, ""),
        (b"250-\r\n250\r\n", 250, ""),
        (b"250-one\r\n250-two\r\n250 three\r\n", 250, "one two three"),
        // Text between the lines, and before them.
        (b"250-one\r\nand more\r\n250 two\r\n", 250, "one two"),
        (b"hello there\r\n220 mx\r\n", 220, "mx"),
        // The last line counts where they differ.
        (b"250-one\r\n550 two\r\n", 550, "two"),
        (b"550 \x1b[31mred\0\xe2\x80\xae\r\n", 550, "\\u{1b}[31mred\\u{0}\\u{202e}"),
        (b"354\tgo\r\n", 354, "go"),
    ] {
        let reply = whole(bytes);
        assert_eq!(reply.code, code, "{}", escaped(bytes));
        assert!(reply.text().ends_with(text), "{reply:?}");
    }
}

#[test]
fn what_is_no_code_is_no_reply() {
    for odd in [
        "hello\r\n",
        "2500 ok\r\n",
        "25\r\n",
        "99 x\r\n",
        "199 x\r\n",
        "600 x\r\n",
        " 250 ok\r\n",
        "2\u{662}0 x\r\n",
        "\r\n",
    ] {
        let mut reader = ReplyReader::default();
        assert_eq!(reader.take(odd.as_bytes()), ReplyStep::More, "{odd}");
        assert!(reader.odd().is_some(), "{odd}");
        assert_eq!(reader.finish(), None, "{odd}");
    }
}

// proves: R-2
#[test]
fn digits_count_also_where_the_reply_breaks_off() {
    for (bytes, code) in [
        (b"250 2.0.0 que".as_slice(), Some(250)),
        (b"250-", Some(250)),
        (b"250", Some(250)),
        (b"550 5.1.1 \xff", Some(550)),
        (b"250-one\r\n55", Some(250)),
        (b"250-one\r\n550", Some(550)),
        (b"25", None),
        (b"", None),
        (b"hello", None),
    ] {
        let (reply, step) = read(bytes);
        assert_eq!(step, ReplyStep::More);
        assert_eq!(reply.as_ref().map(|reply| reply.code), code, "{}", escaped(bytes));
        assert!(reply.is_none_or(|reply| !reply.is_whole));
    }
}

// proves: R-2
#[test]
fn no_reply_costs_more_than_its_bounds() {
    let long = [b"250 ".as_slice(), &vec![b'x'; LONGEST_LINE - 5], b"\r\n"].concat();
    let reply = whole(&long);
    assert_eq!(reply.lines[0].len(), KEPT - 4, "a long line is understood, and not kept");
    for endless in [vec![b'x'; LONGEST_REPLY], [b"250 ".as_slice(), &vec![b'x'; LONGEST_REPLY]].concat()] {
        let mut reader = ReplyReader::default();
        assert_eq!(reader.take(&endless), ReplyStep::TooLong);
        assert!(reader.line.len() <= KEPT && reader.total <= LONGEST_LINE + 1);
        assert_eq!(reader.finish().map(|reply| reply.code), (endless[0] == b'2').then_some(250));
    }
    for line in ["250-x\r\n", "garbage\r\n", "\n"] {
        let mut reader = ReplyReader::default();
        assert_eq!(reader.take(line.repeat(MOST_LINES).as_bytes()), ReplyStep::TooLong, "{line}");
    }
}

#[test]
fn an_enhanced_code_is_read_where_it_agrees_with_the_digits() {
    for (line, status) in [
        ("550 5.7.1 no", Some((7, 1))),
        ("550 5.7.133 no", Some((7, 133))),
        ("550-5.1.1 The account\r\n550 5.1.1 is not", Some((1, 1))),
        ("553 sorry, not in my list of allowed rcpthosts (#5.7.1)", Some((7, 1))),
        ("550 4.7.1 no", None),
        ("550 5.7 no", None),
        ("550 5.7.1.2 no", None),
        ("550 5.7.1111 no", None),
        ("550 10.0.0.1 is not", None),
        ("550", None),
    ] {
        assert_eq!(whole(format!("{line}\r\n").as_bytes()).enhanced(), status, "{line}");
    }
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_are_read_the_same_and_within_bounds(
        bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'2'), Just(b'5'), Just(b'-'), any::<u8>()], 0..200),
        size in 1_usize..20,
    ) {
        let (at_once, step) = read(&bytes);
        let mut reader = ReplyReader::default();
        let mut used = 0;
        for piece in bytes.chunks(size) {
            match reader.take(piece) {
                ReplyStep::More => used += piece.len(),
                ReplyStep::End(more) => {
                    used += more;
                    break;
                }
                ReplyStep::TooLong => prop_assert!(false),
            }
        }
        prop_assert_eq!(step, if reader.ended { ReplyStep::End(used) } else { ReplyStep::More });
        let reply = reader.finish();
        if let Some(reply) = &reply {
            prop_assert!((200..600).contains(&reply.code));
            prop_assert!(reply.text().chars().all(|c| !c.is_control()));
        }
        prop_assert_eq!(at_once, reply);
    }
}
