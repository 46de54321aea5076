//! Map keys as words: a key of up to seven bytes is compared in a register, with its length, as one number. Owns how a
//! key becomes a word, and promises that equal words are equal keys up to that length; longer keys that begin alike
//! share their word, so that their text is compared too.

/// One key of a map.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// See [`word`]; 0 for keys of more than 31 bytes and for those that are no text, which no decoder knows.
    pub word: u64,
    /// The key itself.
    pub text: &'a [u8],
}

/// The word of a key: msgpack's marker of a text of its length, then its first seven bytes, the first lowest.
pub const fn word(key: &str) -> u64 {
    word_of(key.as_bytes())
}

const fn word_of(key: &[u8]) -> u64 {
    let mut front = 0xa0 | key.len() as u64;
    let (mut rest, mut bit) = (key, 8);
    while let Some((byte, after)) = rest.split_first() {
        if bit < 64 {
            front |= (*byte as u64) << bit;
        }
        (rest, bit) = (after, bit + 8);
    }
    front
}

/// What of eight bytes is the word of a key of so many bytes.
const MASKS: [u64; 32] = {
    const ALL: u64 = u64::MAX;
    let [a, b, c, d] = [ALL >> 56, ALL >> 48, ALL >> 40, ALL >> 32];
    let [e, f, g, h] = [ALL >> 24, ALL >> 16, ALL >> 8, ALL];
    [a, b, c, d, e, f, g, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h, h]
};

impl<'a> Key<'a> {
    /// A key that is no text.
    pub const NONE: Self = Self { word: 0, text: &[] };

    /// The key at the front of `eight`, whose marker says that it has `text`'s bytes.
    #[inline]
    pub fn at_front(eight: [u8; 8], text: &'a [u8]) -> Self {
        let mask = MASKS.get(text.len()).copied().unwrap_or(0);
        Self { word: u64::from_le_bytes(eight) & mask, text }
    }

    /// A key by its text.
    pub fn of(text: &'a [u8]) -> Self {
        Self { word: if text.len() < 32 { word_of(text) } else { 0 }, text }
    }

    /// Whether it is a reserved one.
    #[inline]
    pub fn is_reserved(&self) -> bool {
        self.text.first() == Some(&b'_')
    }
}
