//! The throttle: what is measured beside the work, and the gate that the work asks before each chunk.
//!
//! A [`Sampler`] measures on connections of its own, one file a family of signals, and decides by `crossfade_core::throttle`. A [`Gate`] is a
//! cheap handle on the decision: it asks no server. It must not be asked inside of a transaction: whoever waits holds no lock.

mod archive;
mod beside;
mod board;
mod http;
mod look;
mod once;
mod pulse;
mod query;
mod replicas;
mod sampler;
mod sessions;
mod slots;
mod tables;

pub(crate) use beside::Beside;
pub(crate) use board::Gate;
pub(crate) use look::Seen;
pub(crate) use once::look_once;
pub(crate) use once::replicas_behind;
pub(crate) use sampler::Sampler;
pub(crate) use sampler::Watched;
