//! Liquibase, from version 9 of its checksums on: MD5 over the text without white space, and once more over the changes.

use md5::Digest as _;
use md5::Md5;

use super::hex;

/// What Liquibase records of a changeset that is one piece of SQL.
pub(in crate::adopt) fn liquibase(sql: &str) -> String {
    let bare: Vec<u8> = sql.bytes().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).collect();
    let change = format!("9:{}", hex(&Md5::digest(&bare)));
    format!("9:{}", hex(&Md5::digest(format!("{change}:").as_bytes())))
}
