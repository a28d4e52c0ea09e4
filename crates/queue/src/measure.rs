//! Counters and histograms behind the feature `metrics`; nothing without it.

/// Adds to a counter with labels.
macro_rules! count {
    ($name:literal, $by:expr $(, $key:literal => $value:expr)*) => {
        #[cfg(feature = "metrics")]
        ::metrics::counter!($name $(, $key => $value.to_string())*).increment($by as u64);
        #[cfg(not(feature = "metrics"))]
        { let _ = &$by; $(let _ = &$value;)* }
    };
}

/// Records a duration, in seconds, in a histogram with labels.
macro_rules! observe {
    ($name:literal, $seconds:expr $(, $key:literal => $value:expr)*) => {
        #[cfg(feature = "metrics")]
        ::metrics::histogram!($name $(, $key => $value.to_string())*).record($seconds);
        #[cfg(not(feature = "metrics"))]
        { let _ = &$seconds; $(let _ = &$value;)* }
    };
}

#[allow(unused_imports)]
pub(crate) use {count, observe};
