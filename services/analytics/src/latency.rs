//! The histogram of times from payment to mail. Pure.

/// Upper bounds of the buckets, in milliseconds: from a mail at once to one after an outage. What is
/// longer counts in the last one.
pub const AT_MOST_MS: [i64; 16] = [
    100,
    250,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    30_000,
    60_000,
    300_000,
    900_000,
    3_600_000,
    6 * 3_600_000,
    24 * 3_600_000,
    72 * 3_600_000,
    i64::MAX,
];

/// The bucket of a time.
pub fn bucket(ms: i64) -> i64 {
    AT_MOST_MS.into_iter().find(|at_most| ms <= *at_most).unwrap_or(i64::MAX)
}

/// The time that this share (0 to 1) of the mails did not exceed, estimated within its bucket.
/// `buckets` holds bounds with counts in ascending order, `longest_ms` the longest time of all.
pub fn quantile(buckets: &[(i64, i64)], longest_ms: i64, share: f64) -> Option<i64> {
    let total: i64 = buckets.iter().map(|(_, count)| count).sum();
    if total == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let rank = share.clamp(0.0, 1.0) * total as f64;
    let mut below = 0;
    for (at_most, count) in buckets {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let (start, within) = (below as f64, *count as f64);
        if *count > 0 && rank <= start + within {
            let upper = (*at_most).min(longest_ms);
            let lower = previous(*at_most).min(upper);
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let part = (upper - lower) as f64 * ((rank - start) / within);
            #[expect(clippy::cast_possible_truncation, reason = "within the bucket")]
            return Some(lower + part.round() as i64);
        }
        below += count;
    }
    Some(longest_ms)
}

fn previous(at_most: i64) -> i64 {
    AT_MOST_MS.into_iter().rev().find(|bound| *bound < at_most).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_the_first_bucket_that_holds_it() {
        assert_eq!(bucket(0), 100);
        assert_eq!(bucket(100), 100);
        assert_eq!(bucket(101), 250);
        assert_eq!(bucket(72 * 3_600_000 + 1), i64::MAX);
    }

    #[test]
    fn a_quantile_lies_in_its_bucket_and_never_above_the_longest() {
        assert_eq!(quantile(&[], 0, 0.5), None);
        let buckets = [(100, 50), (250, 40), (500, 10)];
        assert_eq!(quantile(&buckets, 480, 0.5), Some(100));
        assert_eq!(quantile(&buckets, 480, 0.7), Some(175));
        assert_eq!(quantile(&buckets, 480, 0.95), Some(365));
        assert_eq!(quantile(&buckets, 480, 1.0), Some(480));
        assert_eq!(quantile(&[(i64::MAX, 1)], 300_000_000, 0.5), Some(279_600_000));
        assert_eq!(quantile(&[(100, 1)], 40, 1.0), Some(40));
    }
}
