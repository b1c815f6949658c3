//! Memory files: memory that another process can map, as long as one of them holds its descriptor.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};

/// A new file of this length, all zeros, mapped. It is sealed against resizing: a file cut short under a mapping kills its
/// readers.
pub fn create(name: &str, bytes: usize) -> io::Result<(OwnedFd, MmapRaw)> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, bytes as u64)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
    let pages = MmapOptions::new().len(bytes).map_raw(file.as_raw_fd())?;
    Ok((file, pages))
}

/// Maps a file that another process made. An error of kind `InvalidData` means that it is not such a file, or has another
/// length.
pub fn map(file: &OwnedFd, bytes: usize) -> io::Result<MmapRaw> {
    let sealed = fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
    if !sealed || u64::try_from(fstat(file)?.st_size) != Ok(bytes as u64) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    MmapOptions::new().len(bytes).map_raw(file.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sealed_file_of_the_right_length_is_mapped() {
        let (file, _pages) = create("ringmaster-test", 8192).unwrap();
        assert_eq!(map(&file, 8192).unwrap().len(), 8192);
        assert_eq!(map(&file, 4096).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let open = memfd_create("ringmaster-test", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&open, 8192).unwrap();
        assert_eq!(map(&open, 8192).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
