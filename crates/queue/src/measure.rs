//! Counters of what happens outside of any attempt, behind the feature `metrics`; nothing without it.
//! Attempts are counted by [`Metrics`](crate::middleware::Metrics).

/// Adds to a counter with labels.
macro_rules! count {
    ($name:literal, $by:expr $(, $key:literal => $value:expr)*) => {
        #[cfg(feature = "metrics")]
        ::metrics::counter!($name $(, $key => $value.to_string())*).increment($by as u64);
        #[cfg(not(feature = "metrics"))]
        { let _ = &$by; $(let _ = &$value;)* }
    };
}

pub(crate) use count;
