//! Counts by reason since the start of the daemon, each with its word in `status` and metrics: one list of both.

/// Makes `Count`, an enum of what is counted, and `Counters`, which counts it.
macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Count {
            $($(#[doc = $doc])+ $name,)*
        }

        const WORDS: &[&str] = &[$($word,)*];

        /// One count per reason, since the start of the daemon.
        #[derive(Debug, Default)]
        pub struct Counters([std::sync::atomic::AtomicU64; WORDS.len()]);

        impl Counters {
            pub(super) fn count(&self, what: Count) {
                self.0[what as usize].fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }

            /// Every count with its word.
            pub fn words(&self) -> impl Iterator<Item = (&'static str, u64)> {
                let counts = self.0.iter().map(|count| count.load(std::sync::atomic::Ordering::Relaxed));
                WORDS.iter().copied().zip(counts)
            }
        }
    };
}

pub(crate) use counters;
