//! mem: to be written.
