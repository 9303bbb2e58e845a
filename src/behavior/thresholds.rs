//! From where on behaviour is worth a word.

/// From where on behaviour is worth a word. See [`SmartAlloc::behavior_report`](crate::SmartAlloc::behavior_report).
///
/// ```
/// use framealloc::BehaviorThresholds;
///
/// let patient = BehaviorThresholds {
///     frame_survival_frames: 120,
///     ..BehaviorThresholds::default()
/// };
/// assert_eq!(patient.min_samples, 10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BehaviorThresholds {
    /// FA501: frame allocations of a tag are kept for more frames than this, on average.
    pub frame_survival_frames: u32,
    /// FA502: a larger part of them than this outlives its frame.
    pub frame_survival_rate: f64,
    /// FA510: a larger part of a tag's pool boxes than this is freed in the frame that made it.
    pub pool_same_frame_free_rate: f64,
    /// FA520: a tag's data is promoted more often a frame than this.
    pub promotion_churn_rate: f64,
    /// FA530: a tag makes more heap allocations than this in 60 frames.
    pub heap_in_hot_path_count: u64,
    /// Tags that allocated less often than this are not judged.
    pub min_samples: u64,
}

impl Default for BehaviorThresholds {
    fn default() -> Self {
        Self {
            frame_survival_frames: 60,
            frame_survival_rate: 0.5,
            pool_same_frame_free_rate: 0.8,
            promotion_churn_rate: 0.5,
            heap_in_hot_path_count: 100,
            min_samples: 10,
        }
    }
}

impl BehaviorThresholds {
    /// For tests and continuous integration.
    pub fn strict() -> Self {
        Self {
            frame_survival_frames: 10,
            frame_survival_rate: 0.2,
            pool_same_frame_free_rate: 0.5,
            promotion_churn_rate: 0.2,
            heap_in_hot_path_count: 10,
            min_samples: 5,
        }
    }

    /// For code that is still being written.
    pub fn relaxed() -> Self {
        Self {
            frame_survival_frames: 300,
            frame_survival_rate: 0.8,
            pool_same_frame_free_rate: 0.95,
            promotion_churn_rate: 0.8,
            heap_in_hot_path_count: 1000,
            min_samples: 50,
        }
    }
}
