//! The state that outlives the process: one JSON file, replaced atomically.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::grants::Grants;
use crate::usage::Usage;
use crate::webhooks::Subscription;
use crate::world::Plan;

const VERSION: u32 = 1;

/// Everything that is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Data {
    version: u32,
    /// Where the invented histories end, fixed by the first start.
    pub(crate) until: Option<DateTime<Utc>>,
    pub(crate) grants: Grants,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) last_subscription: i64,
    /// Behind an `Arc`, so that a listing takes it along without a copy.
    #[serde(with = "shared")]
    pub(crate) edits: Arc<Edits>,
    pub(crate) usage: Usage,
}

/// What was done to activities through `/sim/activities`.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Edits {
    pub(crate) added: Vec<Plan>,
    pub(crate) changed: BTreeMap<i64, Change>,
    pub(crate) deleted: BTreeSet<i64>,
}

/// New values for some fields of one activity.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sport_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) visibility: Option<String>,
}

/// Written and read as what the `Arc` holds.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Edits;

    pub(super) fn serialize<S: Serializer>(edits: &Arc<Edits>, to: S) -> Result<S::Ok, S::Error> {
        Edits::serialize(edits, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<Edits>, D::Error> {
        Edits::deserialize(from).map(Arc::new)
    }
}

impl Default for Data {
    fn default() -> Self {
        Self {
            version: VERSION,
            until: None,
            grants: Grants::default(),
            subscriptions: Vec::new(),
            last_subscription: 131_299,
            edits: Arc::default(),
            usage: Usage::default(),
        }
    }
}

/// The data in memory and the file behind it.
#[derive(Clone)]
pub(crate) struct Store(Arc<Inner>);

struct Inner {
    path: PathBuf,
    data: Mutex<(Data, u64)>,
    /// The number of the last change in the file; held while it is written.
    written: Mutex<u64>,
    /// Keeps a second simulation out of the folder for as long as this one runs.
    _lock: File,
}

impl Store {
    /// Opens or begins the state in `dir`.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        let shown = dir.display();
        fs::create_dir_all(dir).with_context(|| format!("data_dir {shown}: cannot be made"))?;
        let lock = File::create(dir.join("strava-sim.lock"))
            .with_context(|| format!("data_dir {shown}: cannot be written"))?;
        if lock.try_lock().is_err() {
            bail!("data_dir {shown}: another strava-sim is using it");
        }
        let path = dir.join("strava-sim.json");
        let data = read(&path)?;
        let data = Mutex::new((data, 0));
        Ok(Self(Arc::new(Inner { path, data, written: Mutex::new(0), _lock: lock })))
    }

    /// Looks at the data.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&Data) -> R) -> R {
        look(&held(&self.0.data).0)
    }

    /// Changes the data in memory; nothing is kept until [`Store::save`] returns.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Data) -> R) -> R {
        let mut data = held(&self.0.data);
        data.1 += 1;
        change(&mut data.0)
    }

    /// Returns once every change made so far is on the disk.
    pub(crate) async fn save(&self) -> io::Result<()> {
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || inner.write()).await.map_err(io::Error::other)?
    }
}

impl Inner {
    fn write(&self) -> io::Result<()> {
        let mut written = held(&self.written);
        // Taken after the lock: whoever waited finds its change already in the file.
        let (bytes, number) = {
            let data = held(&self.data);
            if data.1 == *written {
                return Ok(());
            }
            (serde_json::to_vec(&data.0)?, data.1)
        };
        let next = self.path.with_extension("json.next");
        let mut file = File::create(&next)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        if let Some(dir) = self.path.parent() {
            File::open(dir)?.sync_all()?;
        }
        *written = number;
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<Data> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Data::default()),
        Err(error) => return Err(error).with_context(|| format!("{}: unreadable", path.display())),
    };
    let data: Data = serde_json::from_slice(&bytes)
        .with_context(|| format!("{}: not a state file of strava-sim", path.display()))?;
    if data.version != VERSION {
        let (is, path) = (data.version, path.display());
        bail!("{path}: has version {is}, this program reads version {VERSION}");
    }
    Ok(data)
}

/// A panic elsewhere leaves data that is still whole: every change is one assignment.
pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
