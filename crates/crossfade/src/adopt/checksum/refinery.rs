//! refinery: SipHash 1-3 over name, version and text.

use std::hash::Hash as _;
use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

/// What refinery would record, with versions of 32 and of 64 bits: which of them a build has is a feature of the crate.
pub(in crate::adopt) fn refinery_sums(name: &str, version: i64, sql: &str) -> Vec<u64> {
    let sum = |write_version: &dyn Fn(&mut SipHasher13)| {
        let mut hasher = SipHasher13::new();
        name.hash(&mut hasher);
        write_version(&mut hasher);
        sql.hash(&mut hasher);
        hasher.finish()
    };
    let mut sums = vec![sum(&|hasher| version.hash(hasher))];
    if let Ok(narrow) = i32::try_from(version) {
        sums.push(sum(&|hasher| narrow.hash(hasher)));
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// refinery's own tests have these for `V1__initial.sql` and `V2__add_cars_table.sql`: `refinery/tests/postgres.rs`, without and with the feature
    /// `int8-versions`.
    #[test]
    fn sums_are_those_of_refinery_s_tests() {
        let persons = "CREATE TABLE persons (\n    id int,\n    name varchar(255),\n    city varchar(255)\n);\n";
        assert_eq!(refinery_sums("initial", 1, persons), [13_938_959_368_620_441_626, 2_959_965_718_684_201_605]);
        let cars = "CREATE TABLE cars (\n    id int,\n    name varchar(255)\n);\n";
        assert!(refinery_sums("add_cars_table", 2, cars).contains(&8_238_603_820_526_370_208));
        assert_eq!(refinery_sums("a", 20_240_131_120_000, "").len(), 1);
    }
}
