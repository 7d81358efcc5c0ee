//! The proofs that need no server: for every case of the corpus its plan, what the auditor says of it, and what the journal
//! makes of it wherever it is cut off.
//!
//! The catalogs come from `fixtures/catalogs/`, where a proof on a real server has put them.

mod case;
mod fixture;
mod journal;
mod lint;
mod plans;
mod runbooks;
