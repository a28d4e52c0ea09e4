//! The invented athletes.

use chrono_tz::Tz;
use serde_json::{Value, json};

use super::totals;

/// One invented person. Nobody real is meant.
pub(crate) struct Athlete {
    pub(crate) id: i64,
    pub(crate) first: &'static str,
    pub(crate) last: &'static str,
    pub(crate) about: &'static str,
    pub(crate) city: &'static str,
    pub(crate) country: &'static str,
    pub(crate) sex: &'static str,
    pub(crate) zone: Tz,
    pub(crate) home: (f64, f64),
    pub(crate) hills: f64,
    /// Kilograms.
    pub(crate) weight: f64,
    /// Heart rate at an easy and at full effort.
    pub(crate) heart: (f64, f64),
    /// Weeks of history.
    pub(crate) weeks: i64,
    pub(crate) runs_per_week: f64,
    /// Easy pace at the beginning, in metres per second, and the gain in all.
    pub(crate) speed: f64,
    pub(crate) gain: f64,
    /// Metres of an ordinary run.
    pub(crate) usual: f64,
    pub(crate) southern: bool,
    pub(crate) imperial: bool,
    /// Where the next trips go.
    pub(crate) trips: &'static [(Tz, (f64, f64))],
    pub(crate) shoes: &'static [(&'static str, &'static str)],
    pub(crate) bike: Option<(&'static str, &'static str)>,
}

/// All invented athletes; the first is the default of a demo.
pub(crate) static INVENTED: [Athlete; 4] = [
    Athlete {
        id: 70_000_001,
        first: "Mara",
        last: "Lindholm",
        about: "three years of running: a half marathon each spring, a marathon each autumn",
        city: "Berlin",
        country: "Germany",
        sex: "F",
        zone: Tz::Europe__Berlin,
        home: (52.5145, 13.3501),
        hills: 18.0,
        weight: 61.5,
        heart: (134.0, 187.0),
        weeks: 157,
        runs_per_week: 2.45,
        speed: 2.72,
        gain: 0.13,
        usual: 8_200.0,
        southern: false,
        imperial: false,
        trips: &[(Tz::Atlantic__Canary, (28.1005, -15.4204)), (Tz::America__New_York, (40.7681, -73.9819))],
        shoes: &[
            ("g31000101", "Grey daily trainers"),
            ("g31000102", "Race day"),
            ("g31000103", "Trail pair"),
        ],
        bike: Some(("b31000104", "City bike")),
    },
    Athlete {
        id: 70_000_002,
        first: "Tobi",
        last: "Okoye",
        about: "started last year: short runs, quick progress, miles",
        city: "Chicago",
        country: "United States",
        sex: "M",
        zone: Tz::America__Chicago,
        home: (41.8841, -87.6190),
        hills: 6.0,
        weight: 84.0,
        heart: (146.0, 194.0),
        weeks: 66,
        runs_per_week: 1.9,
        speed: 2.25,
        gain: 0.22,
        usual: 4_700.0,
        southern: false,
        imperial: true,
        trips: &[(Tz::America__Los_Angeles, (34.0101, -118.4962))],
        shoes: &[("g32000101", "First pair")],
        bike: None,
    },
    Athlete {
        id: 70_000_003,
        first: "Aroha",
        last: "Whitcombe",
        about: "fast, hilly trails, on the far side of the date line",
        city: "Auckland",
        country: "New Zealand",
        sex: "F",
        zone: Tz::Pacific__Auckland,
        home: (-36.8610, 174.7777),
        hills: 95.0,
        weight: 55.0,
        heart: (128.0, 181.0),
        weeks: 208,
        runs_per_week: 3.6,
        speed: 3.45,
        gain: 0.06,
        usual: 11_500.0,
        southern: true,
        imperial: false,
        trips: &[(Tz::Pacific__Honolulu, (21.2793, -157.8292)), (Tz::Asia__Tokyo, (35.6852, 139.7528))],
        shoes: &[("g33000101", "Road pair"), ("g33000102", "Flats"), ("g33000103", "Fell shoes")],
        bike: Some(("b33000104", "Gravel bike")),
    },
    Athlete {
        id: 70_000_004,
        first: "Noel",
        last: "Varga",
        about: "has just signed up and has not recorded anything yet",
        city: "Budapest",
        country: "Hungary",
        sex: "M",
        zone: Tz::Europe__Budapest,
        home: (47.5163, 19.0494),
        hills: 10.0,
        weight: 77.0,
        heart: (140.0, 190.0),
        weeks: 0,
        runs_per_week: 0.0,
        speed: 2.4,
        gain: 0.0,
        usual: 5_000.0,
        southern: false,
        imperial: false,
        trips: &[],
        shoes: &[],
        bike: None,
    },
];

impl Athlete {
    /// The profile a token exchange returns.
    pub(crate) fn summary(&self) -> Value {
        json!({
            "id": self.id, "username": null, "resource_state": 2,
            "firstname": self.first, "lastname": self.last,
            "city": self.city, "state": null, "country": self.country, "sex": self.sex,
            "premium": true, "summit": true,
            "created_at": "2019-03-02T07:11:48Z", "updated_at": "2026-01-04T18:20:07Z",
            "badge_type_id": 1, "profile_medium": "avatar/athlete/medium.png",
            "profile": "avatar/athlete/large.png", "friend": null, "follower": null,
        })
    }

    /// The profile with `profile:read_all`; `listed` is the athlete's own list.
    pub(crate) fn detailed(&self, listed: &[Value]) -> Value {
        let mut profile = self.summary();
        let gear = |list: &mut dyn Iterator<Item = &(&str, &str)>| -> Vec<Value> {
            list.enumerate()
                .map(|(number, (id, name))| {
                    json!({
                        "id": id, "name": name, "nickname": name, "primary": number == 0,
                        "retired": false, "resource_state": 2,
                        "distance": totals::gear_distance(listed, id),
                    })
                })
                .collect()
        };
        profile["resource_state"] = json!(3);
        profile["weight"] = json!(self.weight);
        profile["ftp"] = Value::Null;
        profile["measurement_preference"] = json!(if self.imperial { "feet" } else { "meters" });
        profile["follower_count"] = json!(12);
        profile["friend_count"] = json!(9);
        profile["clubs"] = json!([]);
        profile["shoes"] = json!(gear(&mut self.shoes.iter()));
        profile["bikes"] = json!(gear(&mut self.bike.iter()));
        profile
    }

    /// One shoe or bike in detail.
    pub(crate) fn gear(&self, id: &str, listed: &[Value]) -> Option<Value> {
        let all = self.shoes.iter().chain(self.bike.iter());
        let (_, name) = all.clone().find(|(own, _)| *own == id)?;
        let mut gear = json!({
            "id": id, "name": name, "nickname": name, "resource_state": 3, "retired": false,
            "primary": self.shoes.first().is_some_and(|(first, _)| *first == id),
            "distance": totals::gear_distance(listed, id),
            "brand_name": "Example", "model_name": name, "description": null,
        });
        if id.starts_with('b') {
            gear["frame_type"] = json!(4);
            gear["weight"] = json!(11);
        }
        Some(gear)
    }

    /// Lower bounds of the five heart rate zones.
    pub(crate) fn zone_floors(&self) -> [i64; 5] {
        let max = self.heart.1;
        [0, (max * 0.65) as i64, (max * 0.78) as i64, (max * 0.86) as i64, (max * 0.93) as i64]
    }

    /// The answer of `/athlete/zones`.
    pub(crate) fn zones(&self) -> Value {
        let floors = self.zone_floors();
        let zones: Vec<Value> = (0..5)
            .map(|zone| json!({"min": floors[zone], "max": floors.get(zone + 1).copied().unwrap_or(-1)}))
            .collect();
        json!({"heart_rate": {"custom_zones": false, "zones": zones}})
    }
}
