//! Files that we write and nobody else is to read: they hold bodies of messages, keys or names.
//!
//! Whoever may write into the folder can have put something there first: a link to another file, a device, or a file that
//! he keeps open. So a file is new, or it is an ordinary one that is ours alone; whatever else is there stays as it is.

use std::{
    fs::{File, Metadata, OpenOptions},
    io,
    path::Path,
};

/// What is there already is no file that we could write to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be opened or made.
    #[error("the file cannot be opened")]
    Open(#[source] io::Error),
    /// A link, a folder, a device or a pipe.
    #[error("there is no ordinary file but a link, a folder, a device or a pipe; name another file")]
    Irregular,
    /// Somebody else may read or change what is written there.
    #[error(
        "the file may be read by others (its mode is {mode:03o}); name another file, or take that right away with chmod 600"
    )]
    Shared {
        /// Its permissions.
        mode: u32,
    },
    /// It belongs to somebody else.
    #[error("the file belongs to another user, who could read what is written; name another file")]
    Foreign,
    /// There is another name for it.
    #[error("the file has another name too (a hard link), so more than it would change; name another file")]
    Linked,
}

/// Makes a file that nobody else may read. It is an error if there is anything of that name.
pub(crate) fn create(path: &Path) -> Result<File, Error> {
    private().write(true).create_new(true).open(path).map_err(Error::Open)
}

/// Makes a file anew that nobody else may read, in place of one that may be there: what was there lives on for whoever has
/// it open, and a link is replaced, not followed.
pub(crate) fn replace(path: &Path) -> Result<File, Error> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.is_file() || there.is_symlink() => {
            std::fs::remove_file(path).map_err(Error::Open)?;
        }
        Ok(_) => return Err(Error::Irregular),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::Open(error)),
    }
    create(path)
}

/// Opens a file to write on at its end, or makes it.
pub(crate) fn append(path: &Path) -> Result<File, Error> {
    checked(path, private().append(true).create(true))
}

/// Opens a file to read it and to write on, or makes it. What is in it stays.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    checked(path, private().read(true).write(true).create(true).truncate(false))
}

fn checked(path: &Path, options: &OpenOptions) -> Result<File, Error> {
    // Merely to open a device can set something off.
    match std::fs::symlink_metadata(path) {
        Ok(there) => check(&there)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::Open(error)),
    }
    let file = options.open(path).map_err(Error::Open)?;
    // It may have been changed for another since.
    check(&file.metadata().map_err(Error::Open)?)?;
    Ok(file)
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    let mut options = OpenOptions::new();
    // Neither is a link followed, nor waited for whoever should be at the other end of a pipe.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    options.mode(0o600).custom_flags(flags);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

#[cfg(unix)]
fn check(file: &Metadata) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;

    let mode = file.mode() & 0o777;
    if !file.is_file() {
        Err(Error::Irregular)
    } else if file.uid() != rustix::process::geteuid().as_raw() {
        Err(Error::Foreign)
    } else if mode & 0o077 != 0 {
        // To take the right away here would not take the file from who has it open.
        Err(Error::Shared { mode })
    } else if file.nlink() > 1 {
        Err(Error::Linked)
    } else {
        Ok(())
    }
}

#[cfg(not(unix))]
fn check(file: &Metadata) -> Result<(), Error> {
    if file.is_file() { Ok(()) } else { Err(Error::Irregular) }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        fs,
        io::{Read, Write},
        os::unix::{
            fs::{MetadataExt, PermissionsExt, symlink},
            net::UnixListener,
        },
    };

    use super::*;

    #[test]
    fn a_new_file_is_ours_alone_and_can_be_gone_on_with() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, make) in [("created", create as fn(&Path) -> _), ("opened", open)] {
            let path = folder.path().join(name);
            make(&path).expect("made").write_all(b"abc").expect("written");
            assert_eq!(fs::metadata(&path).expect("there").mode() & 0o777, 0o600);
            let mut text = String::new();
            open(&path).expect("ours").read_to_string(&mut text).expect("read");
            assert_eq!(text, "abc");
            assert!(matches!(create(&path), Err(Error::Open(_))), "it is there already");
        }
    }

    #[test]
    fn a_file_is_replaced_and_not_followed_and_one_is_written_on_at_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("settings"), folder.path().join("other"));
        fs::write(&other, "theirs").expect("written");
        symlink(&other, &path).expect("linked");
        assert!(matches!(append(&path), Err(Error::Irregular)));
        replace(&path).expect("replaced").write_all(b"ours").expect("written");
        append(&path).expect("ours").write_all(b", more").expect("written");
        assert_eq!(fs::read_to_string(&other).expect("there"), "theirs");
        assert_eq!(fs::read_to_string(&path).expect("there"), "ours, more");
        assert_eq!(fs::symlink_metadata(&path).expect("there").mode() & 0o777, 0o600);
        assert!(matches!(replace(folder.path()), Err(Error::Irregular)), "a folder stays");
    }

    #[test]
    fn what_others_could_read_or_have_put_there_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("wide"), "theirs").expect("written");
        fs::set_permissions(at("wide"), fs::Permissions::from_mode(0o640)).expect("set");
        assert!(matches!(open(&at("wide")), Err(Error::Shared { mode: 0o640 })));

        fs::set_permissions(at("wide"), fs::Permissions::from_mode(0o600)).expect("set");
        fs::hard_link(at("wide"), at("second")).expect("linked");
        assert!(matches!(open(&at("second")), Err(Error::Linked)));

        symlink(at("wide"), at("link")).expect("linked");
        symlink(at("nowhere"), at("dangling")).expect("linked");
        let pipe = UnixListener::bind(at("socket")).expect("bound");
        for name in ["link", "dangling", "socket", "."] {
            assert!(matches!(open(&at(name)), Err(Error::Irregular)), "{name}");
            assert!(create(&at(name)).is_err(), "{name}");
        }
        drop(pipe);
        assert!(!at("nowhere").exists());
        assert!(matches!(open(Path::new("/dev/null")), Err(Error::Irregular)));
        assert_eq!(fs::read_to_string(at("wide")).expect("read"), "theirs");
    }
}
