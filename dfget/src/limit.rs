//! How fast a download may be, and how slow.

use std::time::Duration;

use leaky_bucket::RateLimiter;

/// `--limit-rate`: one for all connections and files together.
pub struct RateLimit {
    limiter: Option<RateLimiter>,
    step: usize,
}

impl RateLimit {
    /// At most so many bytes a second; `None`, and 0 as curl and rclone have it, is no limit.
    #[must_use]
    pub fn new(bytes_per_second: Option<u64>) -> Self {
        let Some(rate) = bytes_per_second.filter(|rate| *rate > 0) else {
            return Self { limiter: None, step: usize::MAX };
        };
        let rate = usize::try_from(rate).unwrap_or(usize::MAX).max(1);
        // Refills of whole permits: below 20 bytes a second they come less often.
        let refill = (rate / 20).max(1);
        let interval = Duration::from_secs_f64(refill as f64 / rate as f64);
        let limiter = RateLimiter::builder().initial(0).max(refill).refill(refill).interval(interval).build();
        Self { limiter: Some(limiter), step: refill }
    }

    /// Bytes to be taken at a time, so that they flow evenly.
    #[must_use]
    pub fn step(&self) -> usize {
        self.step
    }

    /// Waits until so many bytes may have come.
    pub async fn take(&self, bytes: usize) {
        if let Some(limiter) = &self.limiter {
            limiter.acquire(bytes).await;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept_from_1_kib_a_second_up() {
        for rate in [1024_u64, 100_000, 10_000_000] {
            let limit = RateLimit::new(Some(rate));
            let begun = tokio::time::Instant::now();
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
