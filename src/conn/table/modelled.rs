//! The table's memory for the checker, whose atomics can be in no file: see [`super::primitive`].

use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::TableError;
use super::entry::{Entry, VipCell};
use super::layout::{BatchCounter, Geometry, Header};
use super::primitive::AtomicU64;

/// Where a table can be: the checker's is nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residence {
    /// On the heap.
    Modelled,
}

impl fmt::Display for Residence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("in the memory of a checker")
    }
}

/// What the file of a table would hold.
#[derive(Debug)]
pub(super) struct Mapping {
    geometry: Geometry,
    header: Header,
    counters: Box<[BatchCounter]>,
    index: Box<[AtomicU64]>,
    entries: Box<[Entry]>,
    vips: Box<[VipCell]>,
}

impl Mapping {
    pub(super) fn create(geometry: Geometry) -> Result<Self, TableError> {
        fn blank<T: Default>(count: u32) -> Box<[T]> {
            (0..count).map(|_| T::default()).collect()
        }
        Ok(Self {
            geometry,
            header: Header::default(),
            counters: blank(geometry.workers()),
            index: blank(geometry.groups()),
            entries: blank(geometry.slots()),
            vips: blank(geometry.slots()),
        })
    }

    pub(super) fn attach(_file: OwnedFd) -> Result<Self, TableError> {
        Err(TableError::NotATable)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        unreachable!("a table in the memory of a checker has no file")
    }

    pub(super) fn touch(&self) {}

    pub(super) fn geometry(&self) -> Geometry {
        self.geometry
    }

    pub(super) fn residence(&self) -> Residence {
        Residence::Modelled
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn counters(&self) -> &[BatchCounter] {
        &self.counters
    }

    pub(super) fn index(&self) -> &[AtomicU64] {
        &self.index
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn vips(&self) -> &[VipCell] {
        &self.vips
    }
}
