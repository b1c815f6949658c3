//! stub
/// stub
#[derive(Debug)]
pub struct Table;
