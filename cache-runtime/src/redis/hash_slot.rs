//! Which of a cluster's slots a key belongs to.

/// A slot of a cluster. Without a cluster all keys share one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HashSlot(pub(crate) u16);

/// How many slots a cluster has.
pub(crate) const SLOTS: u16 = 16_384;

impl HashSlot {
    /// By CRC16 of the key, or of what stands between its first `{` and the next `}`, if anything does.
    pub(crate) fn of(key: &str) -> Self {
        Self(crc16(tag(key)) % SLOTS)
    }
}

fn tag(key: &str) -> &str {
    let Some((_, rest)) = key.split_once('{') else { return key };
    match rest.split_once('}') {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => key,
    }
}

/// CRC16-CCITT (XMODEM), as the specification of clusters has it.
fn crc16(text: &str) -> u16 {
    text.bytes().fold(0, |crc, byte| (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)])
}

static TABLE: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut i = 0_u16;
    while i < 256 {
        let mut crc = i << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[i as usize] = crc;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `CLUSTER KEYSLOT` says.
    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16("123456789"), 0x31c3);
        for (key, slot) in [("", 0), ("foo", 12_182), ("{foo}bar", 12_182), ("a{foo}{bar}", 12_182)] {
            assert_eq!(HashSlot::of(key), HashSlot(slot), "{key}");
        }
        for untagged in ["{}foo", "{foo", "foo}"] {
            assert_eq!(HashSlot::of(untagged), HashSlot(crc16(untagged) % SLOTS), "{untagged}");
        }
    }
}
