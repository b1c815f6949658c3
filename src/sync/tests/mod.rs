//! What the tests of the modules share.

pub(super) mod stage;
