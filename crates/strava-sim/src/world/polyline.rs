//! Google's encoded polyline, the format of Strava's maps.

/// Encodes points (latitude, longitude in degrees) at five decimals.
pub(crate) fn encode<'a>(points: impl Iterator<Item = &'a [f64; 2]>) -> String {
    let mut text = String::new();
    let mut last = [0_i64; 2];
    for point in points {
        for axis in 0..2 {
            let value = (point[axis] * 1e5).round() as i64;
            push(&mut text, value - last[axis]);
            last[axis] = value;
        }
    }
    text
}

fn push(text: &mut String, value: i64) {
    let mut bits = ((value << 1) ^ (value >> 63)) as u64;
    while bits >= 0x20 {
        text.push(char::from(((bits & 0x1F) as u8 | 0x20) + 63));
        bits >>= 5;
    }
    text.push(char::from(bits as u8 + 63));
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_documented_example() {
        let points = [[38.5, -120.2], [40.7, -120.95], [43.252, -126.453]];
        assert_eq!(super::encode(points.iter()), "_p~iF~ps|U_ulLnnqC_mqNvxq`@");
    }
}
