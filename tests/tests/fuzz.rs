//! Every decoder, with the corpus of `fuzz/corpus` and what chance makes of it. How long and
//! from which seed is in `tests::fuzz::test`.

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { tests::fuzz::test(stringify!($name)); })*

        #[test]
        fn every_target_is_here() {
            let mut here = vec![$(stringify!($name)),*];
            let mut all: Vec<&str> = tests::fuzz::targets().iter().map(|target| target.name).collect();
            here.sort();
            all.sort();
            assert_eq!(here, all);
        }
    };
}

targets! { record words limits settings cron url replies frames packed gpx tcx fit strava arguments requests }
