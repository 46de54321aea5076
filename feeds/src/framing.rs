//! Framing: where topic and payload stand in a message. Two or more parts are `[topic][payload]`; one part is
//! `topic SP payload`, whose payload may hold further spaces.

/// Topic and payload of a message that came as one part; `None` if no space stands in it.
#[inline]
pub fn split_single(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = message.iter().position(|&byte| byte == b' ')?;
    let (topic, rest) = message.split_at_checked(space)?;
    Some((topic, rest.get(1..)?))
}

/// Topic and payload of a message of any number of parts; further parts are ignored.
pub fn split<'a>(parts: &[&'a [u8]]) -> Option<(&'a [u8], &'a [u8])> {
    match parts {
        [] => None,
        [single] => split_single(single),
        [topic, payload, ..] => Some((topic, payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_part_is_split_at_its_first_space() {
        assert_eq!(split_single(b"kraken_tick \x81 \xa1"), Some((&b"kraken_tick"[..], &b"\x81 \xa1"[..])));
        assert_eq!(split_single(b"topic "), Some((&b"topic"[..], &b""[..])));
        assert_eq!(split_single(b" payload"), Some((&b""[..], &b"payload"[..])));
        assert_eq!(split_single(b"topic"), None);
        assert_eq!(split_single(b""), None);
    }

    #[test]
    fn parts_behind_the_second_are_ignored_and_none_is_no_message() {
        assert_eq!(split(&[b"t", b"p q", b"x"]), Some((&b"t"[..], &b"p q"[..])));
        assert_eq!(split(&[b"t p q"]), Some((&b"t"[..], &b"p q"[..])));
        assert_eq!(split(&[]), None);
    }
}
