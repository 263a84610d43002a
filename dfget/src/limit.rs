//! How fast a download may be, and how slow.

use std::{
    pin::pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until, timeout};

/// Bytes are let through in steps that take so long, and that much of an idle time is made up for.
const STEP: Duration = Duration::from_millis(50);

/// So many steps a wait is counted in.
const STEPS: u32 = 8;

/// `--limit-rate`: one for all connections and files together.
///
/// Whoever takes bytes gets the next free time on one line, and waits until that is over. Not leaky-bucket: 1.1.2 fails
/// an assertion, or hangs, where many wait at once.
pub struct RateLimit {
    /// Bytes a second.
    rate: Option<u64>,
    /// Up to here the line is taken.
    taken: Mutex<Instant>,
}

impl RateLimit {
    /// At most so many bytes a second; `None`, and 0 as curl and rclone have it, is no limit.
    #[must_use]
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        Self { rate: bytes_per_second.filter(|rate| *rate > 0), taken: Mutex::new(Instant::now()) }
    }

    /// Bytes to be taken at a time, so that they flow evenly.
    #[must_use]
    pub fn step(&self) -> usize {
        let step = |rate: u64| usize::try_from(rate / 20).unwrap_or(usize::MAX).max(1);
        self.rate.map_or(usize::MAX, step)
    }

    /// Waits until so many bytes may have come. Dropped, it has taken them all the same.
    pub async fn take(&self, bytes: usize) {
        if let Some(rate) = self.rate {
            let time = Duration::from_secs_f64(bytes as f64 / rate as f64);
            sleep_until(self.reserve(time)).await;
        }
    }

    fn reserve(&self, time: Duration) -> Instant {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let earliest = now.checked_sub(STEP).unwrap_or(now);
        *taken = earliest.max(*taken) + time;
        *taken
    }
}

/// `--speed-limit` and `--speed-time`: slower than this for that long is a stall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowLimit {
    /// Bytes a second.
    pub rate: u64,
    /// For so long.
    pub time: Duration,
}

impl Default for SlowLimit {
    fn default() -> Self {
        Self { rate: 1024, time: Duration::from_secs(30) }
    }
}

/// Watches one stream. Only time spent waiting for the source counts: neither the disk nor `--limit-rate` is its fault.
#[derive(Debug)]
pub(crate) struct SlowWatch {
    limit: SlowLimit,
    waited: Duration,
    bytes: u64,
}

impl SlowWatch {
    pub(crate) fn new(limit: SlowLimit) -> Self {
        Self { limit, waited: Duration::ZERO, bytes: 0 }
    }

    /// The longest that the next bytes may take.
    pub(crate) fn patience(&self) -> Duration {
        self.limit.time.saturating_sub(self.waited)
    }

    /// `bytes` came after `waited`. Returns how many came in the whole time, if those were too few.
    pub(crate) fn came(&mut self, bytes: u64, waited: Duration) -> Option<u64> {
        self.bytes += bytes;
        self.waited += waited;
        let needed = self.limit.rate.saturating_mul(self.limit.time.as_secs().max(1));
        if self.bytes >= needed {
            *self = Self::new(self.limit);
        }
        (self.waited >= self.limit.time).then_some(self.bytes)
    }

    /// The source says that it is well.
    pub(crate) fn excused(&mut self) {
        *self = Self::new(self.limit);
    }
}

/// What came in `limit`, and how long it took. What dfget itself did not see, stopped and continued by a shell, counts as
/// one step at most.
pub(crate) async fn within<T>(limit: Duration, coming: impl Future<Output = T>) -> Option<(T, Duration)> {
    let (mut coming, mut waited) = (pin!(coming), Duration::ZERO);
    let step = (limit / STEPS).max(Duration::from_millis(1));
    loop {
        let (begun, step) = (Instant::now(), step.min(limit - waited));
        if let Ok(came) = timeout(step, &mut coming).await {
            return Some((came, waited + begun.elapsed().min(step)));
        }
        waited += step;
        if waited >= limit {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept_from_1_kib_a_second_up() {
        for rate in [1024_u64, 100_000, 10_000_000] {
            let limit = RateLimit::new(Some(rate));
            let begun = Instant::now();
            let mut bytes = 0;
            while bytes < 10 * rate {
                let chunk = (rate / 7).clamp(100, 65_536);
                limit.take(chunk as usize).await;
                bytes += chunk;
            }
            let measured = bytes as f64 / begun.elapsed().as_secs_f64();
            assert!((measured / rate as f64 - 1.0).abs() < 0.05, "{measured} at {rate}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_at_once_share_the_rate() {
        let limit = std::sync::Arc::new(RateLimit::new(Some(10_000_000)));
        let begun = Instant::now();
        let takers = (0..32).map(|_| {
            let limit = std::sync::Arc::clone(&limit);
            tokio::spawn(async move {
                for _ in 0..20 {
                    limit.take(10_000).await;
                }
            })
        });
        for ended in futures_util::future::join_all(takers).await {
            ended.unwrap();
        }
        let (took, expected) = (begun.elapsed(), Duration::from_millis(640));
        assert!(took >= expected - STEP - Duration::from_millis(1), "{took:?}");
    }

    #[test]
    fn a_trickle_is_a_stall_and_a_burst_is_not() {
        let limit = SlowLimit { rate: 100, time: Duration::from_secs(10) };
        let mut watch = SlowWatch::new(limit);
        assert_eq!(watch.came(999, Duration::from_secs(9)), None);
        assert_eq!(watch.came(1, Duration::from_millis(999)), None);
        assert_eq!(watch.came(1, Duration::from_secs(9)), None);
        assert_eq!(watch.came(1, Duration::from_secs(1)), Some(2));
    }
}
