//! Framing: where topic and payload stand in a message that came as one part, `topic SP payload`, whose payload may
//! hold further spaces. Two or more parts are `[topic][payload]`.

/// Topic and payload of a message that came as one part; `None` if no space stands in it.
#[inline]
pub fn split_single(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = message.iter().position(|&byte| byte == b' ')?;
    let (topic, rest) = message.split_at_checked(space)?;
    Some((topic, rest.get(1..)?))
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
}
