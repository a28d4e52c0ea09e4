//! The slot of a cluster in which a key lies.

/// As many as every cluster has.
const SLOTS: u16 = 16_384;

/// The slot of all keys with this hash tag.
pub(super) fn of(tag: &str) -> u16 {
    tag.bytes().fold(0, crc16) % SLOTS
}

/// One byte more of CRC-16/XMODEM, which the specification of the cluster names.
fn crc16(crc: u16, byte: u8) -> u16 {
    (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| match crc & 0x8000 {
        0 => crc << 1,
        _ => (crc << 1) ^ 0x1021,
    })
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn slots_as_redis_reckons_them() {
        // From the specification, and from CLUSTER KEYSLOT of a server.
        assert_eq!("123456789".bytes().fold(0, super::crc16), 0x31c3);
        assert_eq!((of("foo"), of("legwork:0")), (12_182, 2_847));
    }
}
