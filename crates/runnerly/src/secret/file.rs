//! The key file: made once, readable by its owner alone, never half written.

use super::{SecretError, new_key};
use secrecy::{ExposeSecret, SecretString};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// The longest key file read: room for a good many keys.
const MAX_BYTES: u64 = 4096;

/// Reads the key file, made with a new key if there is none.
pub(super) fn read_or_create(path: &Path) -> Result<SecretString, SecretError> {
    match read(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            create(path)?;
            // Not the key made here: another process may have been first, and its key is the one that counts.
            read(path).map_err(|e| refused(path, e))
        }
        other => other.map_err(|e| refused(path, e)),
    }
}

fn refused(path: &Path, e: std::io::Error) -> SecretError {
    SecretError::File { path: path.to_owned(), reason: e.to_string() }
}

fn read(path: &Path) -> std::io::Result<SecretString> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > MAX_BYTES {
        return Err(std::io::Error::other("is not a key file; expected at most 4096 bytes of base64"));
    }
    private(&meta)?;
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text.into())
}

#[cfg(unix)]
fn private(meta: &fs::Metadata) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(std::io::Error::other(format!("others may read it (mode {mode:03o}); allowed is 600: chmod 600 it")))
}

#[cfg(not(unix))]
fn private(_: &fs::Metadata) -> std::io::Result<()> {
    Ok(())
}

/// Writes a new key beside the file and links it into place: the name appears with its whole content or not at all,
/// and never replaces a file that another process made meanwhile.
fn create(path: &Path) -> Result<(), SecretError> {
    let key = new_key()?;
    let draft = path.with_extension(format!("{}.{:08x}", std::process::id(), rand::random::<u32>()));
    let outcome = write(&draft, &key).and_then(|()| match fs::hard_link(&draft, path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = fs::remove_file(&draft);
    outcome.and(removed).map_err(|e| refused(path, e))
}

fn write(path: &Path, key: &SecretString) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{}", key.expose_secret())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use crate::secret::{KEY_FILE, Keyring};
    use std::fs;

    #[test]
    fn many_first_starts_at_once_agree_on_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let rings: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..8).map(|_| scope.spawn(|| Keyring::load(None, dir.path()).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let sealed = rings[0].seal("strava", 1, b"x").unwrap();
        for ring in &rings {
            assert_eq!(ring.open("strava", 1, &sealed).unwrap(), b"x");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    #[cfg(unix)]
    fn the_file_is_private_and_a_public_one_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        Keyring::load(None, dir.path()).unwrap();
        let path = dir.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let message = Keyring::load(None, dir.path()).unwrap_err().to_string();
        assert!(
            message.ends_with("others may read it (mode 640); allowed is 600: chmod 600 it"),
            "{message}"
        );
    }

    #[test]
    #[cfg(unix)]
    fn bad_files_get_one_line() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(KEY_FILE);
        let zero = format!("{}=", "A".repeat(43));
        for (content, reason) in [("", "is empty"), ("c2hvcnQ=\n", "is too short"), (&zero, "is all zero")] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let message = Keyring::load(None, dir.path()).unwrap_err().to_string();
            assert!(message.starts_with(&format!("key file {}: {reason}; ", path.display())), "{message}");
            assert_eq!(message.lines().count(), 1);
        }
        let message = Keyring::load(None, &dir.path().join("missing")).unwrap_err().to_string();
        assert!(message.contains("missing/runnerly.key: No such file"), "{message}");
    }

    #[test]
    fn the_variable_comes_before_the_file() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Keyring::load(Some(&"nonsense".into()), dir.path()).is_err());
        assert!(Keyring::load(Some(&" ".into()), dir.path()).is_ok(), "an empty variable is as good as none");
    }
}
