//! A user's whole path through Runnerly, in a real browser, on the embedded defaults.

use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::runnerly::gpx_of_today;
use tests::{Browser, Process, Program, free_port, skip, until};

const LONG: Duration = Duration::from_secs(120);
/// The simulated Strava's default athlete.
const ATHLETE: &str = "Mara Lindholm";

/// Runnerly whole, on a data directory that outlives it.
struct Site {
    data: tempfile::TempDir,
    listen: String,
    process: Process,
}

impl Site {
    async fn start() -> Site {
        let data = tempfile::tempdir().expect("a directory");
        let listen = format!("127.0.0.1:{}", free_port());
        let process = serve(data.path(), &listen).await;
        Site { data, listen, process }
    }

    async fn restart(&mut self) {
        self.process.signal("TERM");
        assert!(self.process.wait(LONG).success(), "{}", self.process.output());
        self.process = serve(self.data.path(), &self.listen).await;
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.listen)
    }

    /// Where the simulated Strava is.
    fn strava(&self) -> String {
        let address = self.data.path().join("strava-sim/address");
        std::fs::read_to_string(address).expect("the simulator says where it is")
    }

    /// Lets the simulated Strava take its time over lists, or again answer at once.
    async fn slow(&self, delay_ms: Option<u64>) {
        let (http, faults) = (reqwest::Client::new(), format!("{}/sim/faults", self.strava()));
        let order = match delay_ms {
            Some(ms) => {
                let order = serde_json::json!({ "path": "/athlete/activities", "delay_ms": ms, "count": 0 });
                http.post(faults).json(&order)
            }
            None => http.delete(faults),
        };
        let answer = order.send().await.expect("the simulator answers");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let at = self.data.path().join(name);
        std::fs::write(&at, text).expect("a file");
        at
    }
}

async fn serve(data: &Path, listen: &str) -> Process {
    let args = ["--data-dir".as_ref(), data.as_os_str(), "--listen".as_ref(), listen.as_ref()];
    let mut process = Program::new("runnerly").args(args).start();
    process.line("Runnerly is ready", LONG).await;
    process
}

async fn nothing_to_complain(browser: &Browser, doing: &str) {
    assert_eq!(browser.complaints().await, Vec::<String>::new(), "{doing}");
}

async fn connect(browser: &Browser, site: &Site) {
    browser.open(&site.at("/")).await;
    browser.press("Connect with Strava").await;
    browser.see("This is a simulation").await;
    browser.press("Authorize").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_path_of_a_user() {
    let Some(browser) = Browser::start(true).await else {
        return skip("chromium or chromedriver is not installed");
    };
    assert!(!browser.reads_noscript().await, "scripts run here");
    let mut site = Site::start().await;
    welcome_and_consent(&browser, &site).await;
    progress(&browser, &site).await;
    dashboard(&browser, &site).await;
    one_run(&browser, &site).await;
    list_of_runs(&browser, &site).await;
    statistics_and_records(&browser, &site).await;
    plan(&browser, &site).await;
    uploads(&browser, &site).await;
    news(&browser, &site).await;
    sync_now(&browser, &site).await;
    nothing_to_complain(&browser, "the whole path").await;

    let before = (browser.all(".tile .value").await, browser.all("table.runs td.name").await);
    site.restart().await;
    browser.open(&site.at("/")).await;
    browser.see("Last runs").await;
    assert!(browser.see("Totals").await.contains(ATHLETE), "still signed in");
    let after = (browser.all(".tile .value").await, browser.all("table.runs td.name").await);
    assert_eq!(after, before, "nothing lost, nothing doubled");
    nothing_to_complain(&browser, "after a restart").await;

    browser.open(&site.at("/runs/1")).await;
    browser.see("To the start").await;
    browser.shots("error").await;
    browser.quit().await;
}

async fn welcome_and_consent(browser: &Browser, site: &Site) {
    browser.open(&site.at("/")).await;
    browser.see("Your runs, counted in the background").await;
    browser.shots("welcome").await;
    browser.press("Connect with Strava").await;
    browser.see("This is a simulation").await;
    assert!(browser.url().await.starts_with(&site.strava()), "{}", browser.url().await);
    browser.shots("consent").await;
    nothing_to_complain(browser, "on the way to consent").await;
}

/// The line of the running sync changes and its bar grows, without anybody reloading.
async fn progress(browser: &Browser, site: &Site) {
    site.slow(Some(1_500)).await;
    browser.press("Authorize").await;
    browser.see("Sync running").await;
    let (mut lines, mut shares, mut pictured) = (Vec::new(), Vec::new(), false);
    until("the bar has moved", LONG, async || {
        let line = browser.peek("[data-text]").await.filter(|line| !line.is_empty());
        let share = browser.attribute("progress", "value").await.and_then(|v| v.parse::<f64>().ok());
        lines.extend(line.filter(|line| lines.last() != Some(line)));
        shares.extend(share.filter(|share| shares.last() != Some(share)));
        if !pictured && shares.last().is_some_and(|share| *share > 0.0) {
            browser.shots("syncing").await;
            pictured = true;
        }
        (lines.len() > 2 && shares.len() > 1).then_some(())
    })
    .await;
    assert!(shares.is_sorted(), "a bar that only grows: {shares:?}");
    site.slow(None).await;
    // The page reloads by itself when the job has ended.
    browser.see("Synced").await;
}

/// Numbers and charts appear once streams have been fetched and counted.
async fn dashboard(browser: &Browser, site: &Site) {
    until("statistics and records are there", LONG, || async {
        browser.open(&site.at("/")).await;
        let shown = browser.text().await;
        (shown.contains("Kilometres per week")
            && browser.count("#records").await == 1
            && shown.contains("Marathon"))
        .then_some(())
    })
    .await;
    assert!(browser.count("main svg").await >= 4, "weeks, years, pace and calendar are drawn");
    assert!(browser.count("main svg rect").await > 50, "the charts are not empty");
    let tiles = browser.all(".tile .value").await;
    assert!(tiles.len() >= 4 && tiles.iter().all(|t| t.chars().any(|c| c.is_ascii_digit())), "{tiles:?}");
    browser.shots("dashboard").await;
    nothing_to_complain(browser, "the dashboard").await;
}

async fn one_run(browser: &Browser, site: &Site) {
    browser.open(&site.at("/runs")).await;
    // Not every run was recorded with a heart rate, and which one is the latest depends on the day.
    let rates = browser.all("table.runs td[data-label=HR]").await;
    let row = rates.iter().position(|rate| rate.parse::<u32>().is_ok()).expect("a run with a heart rate") + 1;
    let link = format!("table.runs tbody tr:nth-child({row}) td.name a");
    let name = browser.element(&link).await.text().await.expect("a name");
    browser.click(&link).await;
    browser.see("Moving time").await;
    assert!(browser.element("h1").await.text().await.expect("a title").starts_with(&name));
    let shown = browser.see("Splits").await;
    for part in ["Best efforts", "400m", "Heart-rate zones", "Pace, heart rate, elevation"] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    browser.shots("run").await;
    let kilometres = browser.count("table.splits tbody tr").await;
    browser.press("miles").await;
    browser.element("a[href='?unit=mi'][aria-current]").await;
    let miles = browser.count("table.splits tbody tr").await;
    assert!(0 < miles && miles < kilometres, "{miles} miles, {kilometres} kilometres");
    browser.press("km").await;
    browser.element("a[href='?unit=km'][aria-current]").await;
    assert_eq!(browser.count("table.splits tbody tr").await, kilometres);
    nothing_to_complain(browser, "a run").await;
}

async fn list_of_runs(browser: &Browser, site: &Site) {
    browser.open(&site.at("/")).await;
    browser.navigate("Runs").await;
    browser.see("Page 1 of").await;
    browser.shots("runs").await;
    let first = browser.all("table.runs td.name a").await.len();
    browser.press("Older").await;
    browser.see("Page 2 of").await;
    assert!(browser.count("table.runs tbody tr").await <= first);
    browser.press("Newer").await;
    browser.see("Page 1 of").await;
    let years = browser.all("select#year option").await;
    let earliest = years.last().expect("a year").clone();
    browser.click(&format!("select#year option[value='{earliest}']")).await;
    browser.press("Show").await;
    browser.see(&format!("in {earliest}, the latest first")).await;
    let dates = browser.all("table.runs td.date").await;
    assert!(!dates.is_empty() && dates.iter().all(|d| d.contains(&earliest)), "{dates:?}");
    nothing_to_complain(browser, "the list of runs").await;
}

async fn statistics_and_records(browser: &Browser, _site: &Site) {
    browser.navigate("Statistics").await;
    browser.element("a[href='/stats?by=year'][aria-current]").await;
    let years = browser.count("tbody tr").await;
    browser.shots("stats").await;
    for by in ["Months", "Weeks"] {
        browser.press(by).await;
        let current =
            format!("a[href='/stats?by={}'][aria-current]", by.to_lowercase().trim_end_matches('s'));
        browser.element(&current).await;
        assert!(browser.count("tbody tr").await > years, "{by}");
    }
    browser.navigate("Records").await;
    let shown = browser.see("Half-Marathon").await;
    assert!(shown.contains("5K") && shown.contains("Marathon"), "{shown}");
    browser.shots("records").await;
    nothing_to_complain(browser, "statistics and records").await;
}

/// A run is planned for today; it is imported next.
async fn plan(browser: &Browser, site: &Site) {
    browser.open(&site.at("/messages")).await;
    browser.see("Messages").await;
    browser.shots("messages").await;
    browser.navigate("Plan").await;
    browser.see("Nothing planned yet").await;
    browser.shots("plan-empty").await;
    for (field, text) in [("name", "lap run"), ("km", "far"), ("note", "once round, and not too fast")] {
        let field = browser.element(&format!("input[name='{field}']")).await;
        field.send_keys(text).await.expect("typed");
    }
    browser.press("Plan it").await;
    browser.see("Not kept: distance: not a number").await;
    browser.shots("plan-refused").await;
    // The browser's console reports the refusal, as it should; nothing else.
    let said = browser.complaints().await;
    assert!(said.len() == 1 && said[0].contains("/plan") && said[0].contains("422"), "{said:?}");
    let field = browser.element("input[name='km']").await;
    field.clear().await.expect("cleared");
    field.send_keys("3,2").await.expect("typed");
    browser.press("Plan it").await;
    let shown = browser.see("To come").await;
    assert!(shown.contains("lap run") && shown.contains("3.2 km"), "{shown}");
    browser.click(".plan .actions a").await;
    browser.see("Change a planned run").await;
    browser.shots("plan-edit").await;
}

/// The imported run was the planned one; its message is shown until it is read.
async fn news(browser: &Browser, site: &Site) {
    until("the run is told with its plan", LONG, || async {
        browser.open(&site.at("/")).await;
        browser.text().await.contains("’s lap run").then_some(())
    })
    .await;
    browser.shots("dashboard-news").await;
    browser.navigate("Plan").await;
    browser.see("done").await;
    browser.shots("plan").await;
    browser.navigate("Dashboard").await;
    browser.press("Mark as read").await;
    browser
        .until("nothing is unread", |s| (s.contains("lap run") && !s.contains("Mark as read")).then_some(()))
        .await;
    browser.shots("messages-read").await;
    nothing_to_complain(browser, "plan and messages").await;
}

async fn uploads(browser: &Browser, site: &Site) {
    let good = site.file("lake.gpx", &gpx_of_today());
    let cut = site.file("cut.gpx", gpx_of_today().split("</trkseg>").next().unwrap_or_default());
    browser.navigate("Import").await;
    browser.choose(&[good, cut]).await;
    browser.click("form.upload button").await;
    let shown = browser
        .until("both files are settled", |s| {
            (s.contains("failed:") && s.lines().any(|line| line.ends_with("imported"))).then(|| s.to_owned())
        })
        .await;
    let reason = shown.lines().find(|line| line.contains("failed:")).unwrap_or_default();
    assert!(reason.contains("cut off"), "{reason}");
    browser.shots("upload").await;
    browser.press("imported").await;
    let shown = browser.see("Splits").await;
    assert!(shown.contains("Round the lake") && shown.contains("3.0"), "{shown}");
    nothing_to_complain(browser, "uploads").await;
}

async fn sync_now(browser: &Browser, _site: &Site) {
    browser.navigate("Dashboard").await;
    browser.press("Sync now").await;
    browser.see("0 new, 0 changed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_consent_learns_what_that_means() {
    let Some(browser) = Browser::start(true).await else {
        return skip("chromium or chromedriver is not installed");
    };
    let site = Site::start().await;
    browser.open(&site.at("/connect")).await;
    browser.press("Cancel").await;
    let shown = browser.see("Not connected").await;
    assert!(shown.contains("You chose not to give access"), "{shown}");
    browser.shots("refused").await;

    browser.press("Connect again").await;
    for scope in ["activity:read", "activity:read_all"] {
        browser.click(&format!("input[value='{scope}']")).await;
    }
    browser.press("Authorize").await;
    browser.see("One permission is missing").await;
    browser.shots("reduced").await;

    browser.press("Connect again").await;
    browser.click("input[value='activity:read_all']").await;
    browser.press("Authorize").await;
    let shown = browser.see("Private runs are left out").await;
    assert!(shown.contains(ATHLETE), "{shown}");
    nothing_to_complain(&browser, "consent").await;

    // An answer that nobody here asked for connects nobody.
    browser.open(&site.at("/connect/callback?code=stolen&scope=activity:read&state=x")).await;
    browser.see("Please begin again").await;
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_every_page_works() {
    let Some(browser) = Browser::start(false).await else {
        return skip("chromium or chromedriver is not installed");
    };
    assert!(browser.reads_noscript().await, "no scripts run here");
    let site = Site::start().await;
    site.process_is_slow_and_connects(&browser).await;
    until("the statistics are there", LONG, || async {
        browser.open(&site.at("/")).await;
        browser.text().await.contains("Kilometres per week").then_some(())
    })
    .await;
    browser.navigate("Runs").await;
    browser.press("Older").await;
    browser.see("Page 2 of").await;
    browser.click("table.runs td.name a").await;
    browser.see("Moving time").await;
    for (page, sight) in [("Statistics", "Kilometres"), ("Records", "Records"), ("Import", "Import files")] {
        browser.navigate(page).await;
        browser.see(sight).await;
    }
    let file = site.file("lake.gpx", &gpx_of_today());
    browser.choose(&[file]).await;
    browser.click("form.upload button").await;
    until("the file is imported", LONG, || async {
        browser.open(&site.at("/upload")).await;
        browser.count("a[href^='/runs/']").await.checked_sub(1)
    })
    .await;
    browser.press("imported").await;
    browser.see("Round the lake").await;
    nothing_to_complain(&browser, "without scripts").await;
    browser.quit().await;
}

impl Site {
    /// Connects while Strava is slow: the page says that it reloads itself, and does.
    async fn process_is_slow_and_connects(&self, browser: &Browser) {
        self.slow(Some(3_000)).await;
        connect(browser, self).await;
        browser.see("This page reloads every five seconds").await;
        self.slow(None).await;
        browser.see("Synced").await;
    }
}
