//! Reads what a member of a group was assigned: the consumer protocol of Kafka's clients
//! (`ConsumerProtocolAssignment` in Kafka's message definitions).

/// Most partitions that are read of one member; more than any sane assignment has.
const PARTITIONS_MAX: usize = 100_000;

/// Topics and partitions; empty for another protocol's bytes.
pub(crate) fn parse(bytes: &[u8]) -> Vec<(String, i32)> {
    let mut reader = Reader { bytes };
    reader.assignment().unwrap_or_default()
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn assignment(&mut self) -> Option<Vec<(String, i32)>> {
        let _version = self.take(2)?;
        let mut partitions = Vec::new();
        for _ in 0..self.number()? {
            let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
            let topic = String::from_utf8(self.take(length.into())?.to_vec()).ok()?;
            for _ in 0..self.number()? {
                if partitions.len() >= PARTITIONS_MAX {
                    return None;
                }
                partitions.push((topic.clone(), self.number()?));
            }
        }
        Some(partitions)
    }

    fn number(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_and_anything_else_is_none() {
        let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 3];
        bytes.extend(b"abc");
        bytes.extend([0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7]);
        bytes.extend([255, 255, 255, 255]); // no user data
        assert_eq!(parse(&bytes), [("abc".to_owned(), 0), ("abc".to_owned(), 7)]);
        for cut in 0..bytes.len() - 4 {
            assert_eq!(parse(&bytes[..cut]), [], "{cut}");
        }
        assert_eq!(parse(&[0xff; 64]), []);
    }
}
