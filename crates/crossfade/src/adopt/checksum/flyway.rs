//! Flyway: CRC-32 over the lines without their ends.

/// What Flyway records of a file.
pub(in crate::adopt) fn flyway(bytes: &[u8]) -> i32 {
    let text = bytes.strip_prefix(super::MARK).unwrap_or(bytes);
    let mut hasher = crc32fast::Hasher::new();
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
        hasher.update(line);
    }
    hasher.finalize().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Flyway's page on dry runs: `V3__Couple.sql` is recorded as -722651034.
    #[test]
    fn the_sum_is_that_of_the_documentation() {
        let couple = "create table COUPLE (\n    ID int not null,\n    PERSON1 int not null references PERSON(ID), \n    PERSON2 int not null references PERSON(ID) \n);\n";
        assert_eq!(flyway(couple.as_bytes()), -722_651_034);
        assert_eq!(flyway(couple.replace('\n', "\r\n").as_bytes()), -722_651_034);
        assert_eq!(flyway(format!("\u{feff}{couple}").as_bytes()), -722_651_034);
        assert_ne!(flyway(couple.replace("null,", "null ,").as_bytes()), -722_651_034);
    }
}
