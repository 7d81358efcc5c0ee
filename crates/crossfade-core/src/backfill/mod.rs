//! The arithmetic of chunks: where the next one lies, how big it is, how long to rest after it. Pure: time comes in as an argument.

mod cursor;
mod pace;
mod progress;
mod servo;

pub use cursor::Chunk;
pub use cursor::Cursor;
pub use cursor::KeyPlace;
pub use cursor::Lane;
pub use cursor::Segment;
pub use pace::Pace;
pub use progress::blocks;
pub use progress::fraction;
pub use servo::ChunkServo;
pub use servo::Sample;
pub use servo::ServoLimits;
