//! Memory files: memory that another process can map or read, as long as one of them holds its descriptor.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::process::geteuid;

/// With these seals a file stays what it is for ever.
const FINAL: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE).union(SealFlags::SEAL);

/// A new file of this length, all zeros, mapped. It is sealed against resizing: a file cut short under a mapping kills its
/// readers.
pub fn create(name: &str, bytes: usize) -> io::Result<(OwnedFd, MmapRaw)> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, bytes as u64)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
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

/// A new file with these bytes, which nobody can change any more.
pub fn finished(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.write_all(bytes)?;
    fcntl_add_seals(&file, FINAL)?;
    Ok(file.into())
}

/// Whether it is a file of [`finished`], made by a process of this one's user.
pub fn is_final(file: &OwnedFd) -> bool {
    let sealed = fcntl_get_seals(file).is_ok_and(|seals| seals.contains(FINAL));
    sealed && fstat(file).is_ok_and(|stat| stat.st_uid == geteuid().as_raw())
}

/// All bytes of a file, wherever others that have it have read to. One that is longer than `at_most` is an error of kind
/// `InvalidData`: whoever wrote it may mean harm, or have been dying.
pub fn read(file: impl AsFd, at_most: usize) -> io::Result<Vec<u8>> {
    let file = File::from(file.as_fd().try_clone_to_owned()?);
    let length = usize::try_from(file.metadata()?.len()).ok().filter(|&length| length <= at_most);
    let mut bytes = vec![0; length.ok_or(io::ErrorKind::InvalidData)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
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

    #[test]
    fn what_is_finished_stays_as_it_is() {
        let file = finished("ringmaster-test", b"words").unwrap();
        assert!(is_final(&file));
        assert_eq!(read(&file, 5).unwrap(), b"words");
        assert_eq!(read(&file, 5).unwrap(), b"words", "as often as it is asked for");
        assert_eq!(read(&file, 4).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let file = File::from(file);
        assert!(file.write_all_at(b"W", 0).is_err() && file.set_len(1).is_err());
        let (open, _pages) = create("ringmaster-test", 8192).unwrap();
        assert!(!is_final(&open) && fcntl_add_seals(&open, SealFlags::WRITE).is_err());
        assert!(!is_final(&OwnedFd::from(tempfile::tempfile().unwrap())));
    }
}
