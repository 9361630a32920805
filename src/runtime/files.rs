//! Creating files that only their owner can read, and never through a symbolic link.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The open flag that refuses a symbolic link in the last place of a path.
pub const NO_FOLLOW: i32 = OFlags::NOFOLLOW.bits() as i32;

/// Refuses a path that is a symbolic link: what is written through it would land elsewhere.
///
/// # Errors
/// `InvalidInput` if it is one; else what the system says. That nothing is there is no error.
pub fn refuse_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => Err(io::Error::new(
            ErrorKind::InvalidInput,
            format!(
                "{} is a symbolic link, and nothing is written through one",
                path.display()
            ),
        )),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Creates or empties a file that its owner alone may read and write.
///
/// # Errors
/// If it cannot be created, or is a symbolic link.
pub fn create_private(path: &Path) -> io::Result<File> {
    refuse_link(path)?;
    let file = create(path, 0o600)?;
    // One that existed keeps its mode, as an older version created it.
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Creates a file that its owner alone may read and write.
///
/// # Errors
/// If it cannot be created, or is there already.
pub fn create_new_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Creates or empties a file with what the umask leaves of `mode`.
///
/// # Errors
/// If it cannot be created, or is a symbolic link.
pub fn create(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .custom_flags(NO_FOLLOW)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::storage::{make_private_folder, replace_private};
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it exists").permissions().mode() & 0o777
    }

    #[test]
    fn folders_and_files_are_private_also_those_of_an_older_version() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("a/b");
        make_private_folder(&inner).expect("created");
        assert_eq!(
            (mode(&inner), mode(&folder.path().join("a"))),
            (0o700, 0o700)
        );
        let file = inner.join("c.rows");
        create_private(&file).expect("created");
        assert_eq!(mode(&file), 0o600);
        fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("changed");
        create_private(&file).expect("emptied");
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (target, link) = (folder.path().join("target"), folder.path().join("a.part"));
        fs::write(&target, "mine").expect("written");
        symlink(&target, &link).expect("linked");
        assert!(refuse_link(&link).is_err() && refuse_link(&target).is_ok());
        assert!(create(&link, 0o666).is_err());
        assert!(create_private(&link).is_err());
        assert!(replace_private(&folder.path().join("a.json"), b"{}").is_err());
        assert_eq!(fs::read(&target).expect("a file"), b"mine");
    }
}
