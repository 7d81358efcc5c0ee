//! Atlas: one running SHA-256 over the names and texts of the files, in the order of their names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;
use sha2::Sha256;

/// The hashes of a folder, file by file. The hash of a file says something of all files before it, too.
#[derive(Clone, Debug, Default)]
pub(in crate::adopt) struct Chain {
    state: Sha256,
}

impl Chain {
    /// The hash of the next file, as `atlas.sum` has it behind `h1:`.
    pub(in crate::adopt) fn next(&mut self, name: &str, bytes: &[u8]) -> String {
        self.state.update(name.as_bytes());
        self.state.update(bytes);
        STANDARD.encode(self.state.clone().finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of Atlas' own tests: `cmd/atlas/internal/migrate/testdata/fixed`.
    #[test]
    fn hashes_are_those_of_atlas_sum() {
        let files = [
            (
                "1.sql",
                "CREATE TABLE `users` (`id` int NOT NULL PRIMARY KEY);",
                "twN+zPVp8JzWEUcPPfNIT6/62Wa08dfxxZhT4gZxBzg=",
            ),
            (
                "2.sql",
                "ALTER TABLE `users` ADD COLUMN `happy` boolean NOT NULL DEFAULT true;",
                "KHLlrSPwSjbp4+KrpQHwYZf8zlSIiAR7MS3H2yd1yeE=",
            ),
            (
                "3.sql",
                "CREATE TABLE `pets` (`id` int NOT NULL PRIMARY KEY);\nALTER TABLE `pets` ADD COLUMN `happy` boolean NULL;",
                "osHrPgu8uNgd6j09XCiyBQWWEh9aAmwjRgzdZZgm68M=",
            ),
        ];
        let mut chain = Chain::default();
        for (name, text, hash) in files {
            assert_eq!(chain.next(name, text.as_bytes()), hash, "{name}");
        }
    }
}
