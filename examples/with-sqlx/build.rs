//! Builds again when a migration is added or taken away: the compiler sees only those that it knows.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
