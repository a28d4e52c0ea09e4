//! What stands between a process and the machine in some tests: a clock that steps, a disk
//! that loses what was not synced, a disk that fills up.

use crate::skip;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles a shim; none, with a line that says so, where there is no C compiler.
fn compile(source: &str, into: &Path) -> Option<PathBuf> {
    let (from, so) = (into.join("shim.c"), into.join("shim.so"));
    fs::write(&from, source).expect("written");
    let cc = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&so).arg(&from).status();
    match cc {
        Ok(status) => assert!(status.success(), "the shim does not compile"),
        Err(_) => {
            skip("no C compiler");
            return None;
        }
    }
    Some(so)
}

/// A wall clock that processes can be put under, apart from the machine's.
pub struct Clock {
    dir: tempfile::TempDir,
    so: PathBuf,
    hand: File,
}

impl Clock {
    /// One that agrees with the machine's clock so far.
    pub fn new() -> Option<Clock> {
        let dir = tempfile::tempdir().expect("a directory");
        let so = compile(include_str!("shim/clock.c"), dir.path())?;
        let hand = File::create(dir.path().join("hand")).expect("a file");
        let clock = Clock { dir, so, hand };
        clock.set(0);
        Some(clock)
    }

    /// Puts it this many seconds ahead of the machine's clock.
    pub fn set(&self, seconds: i64) {
        self.hand.write_all_at(&seconds.to_ne_bytes(), 0).expect("written");
    }

    /// What a process under this clock has in its environment.
    pub fn env(&self) -> [(String, String); 2] {
        let hand = self.dir.path().join("hand");
        [("LD_PRELOAD", &self.so), ("SHIM_CLOCK", &hand)].map(|(k, v)| (k.into(), v.display().to_string()))
    }
}

/// What would be left of files after a power loss.
pub struct Power {
    dir: tempfile::TempDir,
    so: PathBuf,
    copies: bool,
}

impl Power {
    /// For files that are only appended to.
    pub fn of_appended() -> Option<Power> {
        Power::new(false)
    }

    /// For files that are written in place: each is copied at every sync.
    pub fn of_any() -> Option<Power> {
        Power::new(true)
    }

    fn new(copies: bool) -> Option<Power> {
        let dir = tempfile::tempdir().expect("a directory");
        let so = compile(include_str!("shim/power.c"), dir.path())?;
        Some(Power { dir, so, copies })
    }

    /// What a process whose syncs count has in its environment.
    pub fn env(&self) -> Vec<(String, String)> {
        let said = |path: &Path| path.display().to_string();
        let mut env =
            vec![("LD_PRELOAD".into(), said(&self.so)), ("SHIM_POWER".into(), said(self.dir.path()))];
        if self.copies {
            env.push(("SHIM_COPY".into(), "1".into()));
        }
        env
    }

    /// The power is gone, and back: the files of a directory hold what had been synced, those
    /// of which nothing had been are not there. Returns how many bytes were lost. Whoever
    /// wrote them must have been killed.
    pub fn lose(&self, files: &Path) -> u64 {
        let mut lost = 0;
        for entry in fs::read_dir(files).expect("a directory").map(|entry| entry.expect("an entry")) {
            let meta = entry.metadata().expect("a file");
            if !meta.is_file() {
                continue;
            }
            let kept = self.dir.path().join(meta.ino().to_string());
            if !kept.exists() {
                fs::remove_file(entry.path()).expect("removed");
                lost += meta.len();
            } else if self.copies {
                fs::copy(kept, entry.path()).expect("copied");
            } else {
                let size: u64 = fs::read_to_string(kept).expect("read").parse().expect("a size");
                lost += meta.len().saturating_sub(size);
                File::options().write(true).open(entry.path()).and_then(|f| f.set_len(size)).expect("cut");
            }
        }
        lost
    }
}

/// A disk that is full after so many more writes, whatever is written.
pub struct Full {
    so: PathBuf,
    dir: tempfile::TempDir,
}

impl Full {
    /// One with room.
    pub fn new() -> Option<Full> {
        let dir = tempfile::tempdir().expect("a directory");
        let so = compile(include_str!("shim/full.c"), dir.path())?;
        let full = Full { so, dir };
        fs::write(full.hand(), (-1i64).to_ne_bytes()).expect("written");
        Some(full)
    }

    fn hand(&self) -> PathBuf {
        self.dir.path().join("hand")
    }

    /// What a process on this disk has in its environment.
    pub fn env(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.so.clone()), ("SHIM_FULL", self.hand())]
    }

    /// For a process on such a disk: after so many more writes it is full; none: there is room.
    pub fn after(writes: Option<u32>) {
        let hand = std::env::var_os("SHIM_FULL").expect("a process on such a disk");
        // Not cut off first: the file is mapped into memory.
        let mut hand = File::options().write(true).open(hand).expect("the file");
        hand.write_all(&writes.map_or(-1, i64::from).to_ne_bytes()).expect("written");
    }
}

/// A disk of a few megabytes, in memory.
pub struct Disk {
    at: tempfile::TempDir,
}

impl Disk {
    /// Mounts it; none, with a line that says so, where that is not allowed.
    pub fn mount(megabytes: u32) -> Option<Disk> {
        let at = tempfile::tempdir().expect("a directory");
        let size = format!("size={megabytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at.path()).status();
        if mount.is_ok_and(|status| status.success()) {
            return Some(Disk { at });
        }
        eprintln!("skipped: a disk in memory cannot be mounted here");
        None
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.at.path()
    }

    /// Takes all the space that is left.
    pub fn fill(&self) {
        let mut file =
            File::options().create(true).append(true).open(self.at.path().join("filler")).expect("a file");
        let full = |e: &io::Error| e.kind() == io::ErrorKind::StorageFull;
        for size in [1 << 16, 1 << 10, 1] {
            let block = vec![0; size];
            while file.write_all(&block).map_err(|e| assert!(full(&e), "{e}")).is_ok() {}
        }
    }

    /// Takes no writes any more. Nobody may have a file open for writing.
    pub fn read_only(&self) {
        let mount = Command::new("mount").args(["-o", "remount,ro"]).arg(self.at.path()).status();
        assert!(mount.is_ok_and(|status| status.success()), "it is mounted read-only");
    }

    /// Gives the space back.
    pub fn free(&self) {
        fs::remove_file(self.at.path().join("filler")).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.at.path()).status();
    }
}
