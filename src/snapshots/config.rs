//! When snapshots are written, and where.

use std::path::PathBuf;
use std::time::Duration;

/// When a [`SnapshotEmitter`](crate::SnapshotEmitter) writes, and where.
///
/// ```
/// use std::time::Duration;
/// use framealloc::SnapshotConfig;
///
/// let config = SnapshotConfig::default().with_directory("target/framealloc").with_max_snapshots(30);
/// assert_eq!(config, SnapshotConfig::default());
/// assert_eq!(config.min_interval, Duration::from_millis(500));
/// assert!(config.check_request_file && !config.auto_emit);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// Where the files are; made if it is not there. `target/framealloc` unless set.
    pub directory: PathBuf,
    /// So many snapshots are kept there, at least one; 30 unless set.
    pub max_snapshots: usize,
    /// The least time from one snapshot to the next: 500 ms unless set, and never less, whatever is set.
    pub min_interval: Duration,
    /// Whether a file named `snapshot.request` in the directory asks for a snapshot. It does unless set.
    pub check_request_file: bool,
    /// Whether one is written as often as the interval allows, asked for or not. It is not unless set.
    pub auto_emit: bool,
}

impl SnapshotConfig {
    /// Snapshots are never closer together than this.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(500);

    /// Sets [`directory`](Self::directory).
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = directory.into();
        self
    }

    /// Sets [`max_snapshots`](Self::max_snapshots).
    #[must_use]
    pub fn with_max_snapshots(mut self, snapshots: usize) -> Self {
        self.max_snapshots = snapshots;
        self
    }

    /// Sets [`min_interval`](Self::min_interval), to 500 ms at least.
    #[must_use]
    pub fn with_min_interval(mut self, interval: Duration) -> Self {
        self.min_interval = interval.max(Self::SHORTEST_INTERVAL);
        self
    }

    /// Sets [`check_request_file`](Self::check_request_file).
    #[must_use]
    pub fn with_request_file(mut self, check: bool) -> Self {
        self.check_request_file = check;
        self
    }

    /// Sets [`auto_emit`](Self::auto_emit).
    #[must_use]
    pub fn with_auto_emit(mut self, auto_emit: bool) -> Self {
        self.auto_emit = auto_emit;
        self
    }

    /// With what no setting can take away: the fields are public.
    pub(super) fn sane(mut self) -> Self {
        self.min_interval = self.min_interval.max(Self::SHORTEST_INTERVAL);
        self.max_snapshots = self.max_snapshots.max(1);
        self
    }
}

impl Default for SnapshotConfig {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("target/framealloc"),
            max_snapshots: 30,
            min_interval: Self::SHORTEST_INTERVAL,
            check_request_file: true,
            auto_emit: false,
        }
    }
}
