//! Tests of the parts together.

mod acceptance;
mod bytes;
mod elections;
mod groups;
mod pains;
mod proofs;
mod reloads;
