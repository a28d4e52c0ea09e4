//! A real Chromium without a window, driven over chromedriver.

use crate::{Process, Program, root};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;

use thirtyfour::LoggingPrefsLogLevel;
use thirtyfour::prelude::*;

/// How long a page may take to show what it should.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(25);

/// A browser with a profile of its own.
pub struct Browser {
    driver: WebDriver,
    _chromedriver: Process,
    _profile: TempDir,
}

impl Browser {
    /// Starts one; none where Chromium or its driver is not installed. Without scripts,
    /// no page may run any.
    pub async fn start(scripts: bool) -> Option<Browser> {
        Program::installed("chromium")?;
        let profile = tempfile::tempdir().expect("a directory");
        // Chromedriver's own temporary files go there, too, and are gone with it.
        let program = Program::installed("chromedriver")?.env("TMPDIR", profile.path());
        let mut chromedriver = program.args(["--port=0"]).start();
        let line = chromedriver.line("started successfully on port", PATIENCE).await;
        let port: String = line.chars().rev().skip(1).take_while(char::is_ascii_digit).collect();
        let port: String = port.chars().rev().collect();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = format!("http://127.0.0.1:{port}");
        let driver = WebDriver::new(address, capabilities(&profile, scripts)).await;
        let driver = driver.unwrap_or_else(|e| panic!("no browser: {e}\n{}", chromedriver.output()));
        Some(Browser { driver, _chromedriver: chromedriver, _profile: profile })
    }

    /// Ends it in good order.
    pub async fn quit(self) {
        self.driver.quit().await.expect("the browser ends");
    }

    /// Goes to an address.
    pub async fn open(&self, url: &str) {
        self.driver.goto(url).await.unwrap_or_else(|e| panic!("{url}: {e}"));
    }

    /// The address shown.
    pub async fn url(&self) -> String {
        self.driver.current_url().await.expect("an address").to_string()
    }

    /// All text that can be seen; empty while a page is exchanged for another.
    pub async fn text(&self) -> String {
        let Ok(body) = self.driver.find(By::Tag("body")).await else { return String::new() };
        body.text().await.unwrap_or_default()
    }

    /// Waits until the page shows a text and returns everything it shows.
    pub async fn see(&self, text: &str) -> String {
        self.until(text, |shown| shown.contains(text).then(|| shown.to_owned())).await
    }

    /// Waits until what the page shows has what is looked for.
    pub async fn until<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        let look = &look;
        let mut last = String::new();
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            last = self.text().await;
            if let Some(found) = look(&last) {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("{what:?} is not to be seen at {}:\n{last}", self.url().await)
    }

    /// The first element of a CSS selector, as soon as it can be seen.
    pub async fn element(&self, css: &str) -> WebElement {
        let query = self.driver.query(By::Css(css)).and_displayed().wait(PATIENCE, LOOK);
        match query.first().await {
            Ok(element) => element,
            Err(e) => panic!("{css} at {}: {e}\n{}", self.url().await, self.text().await),
        }
    }

    /// The text of an element; none when it is not there, or has just gone.
    pub async fn peek(&self, css: &str) -> Option<String> {
        self.driver.find(By::Css(css)).await.ok()?.text().await.ok()
    }

    /// An attribute of an element; none when it is not there, or has just gone.
    pub async fn attribute(&self, css: &str, name: &str) -> Option<String> {
        self.driver.find(By::Css(css)).await.ok()?.attr(name).await.ok()?
    }

    /// The texts of all elements of a selector.
    pub async fn all(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.driver.find_all(By::Css(css)).await.expect("a selector") {
            texts.push(element.text().await.unwrap_or_default());
        }
        texts
    }

    /// How many elements of a selector there are.
    pub async fn count(&self, css: &str) -> usize {
        self.driver.find_all(By::Css(css)).await.expect("a selector").len()
    }

    /// Clicks an element of a CSS selector.
    pub async fn click(&self, css: &str) {
        let clicked = self.element(css).await.click().await;
        clicked.unwrap_or_else(|e| panic!("{css} cannot be clicked: {e}"));
    }

    /// Clicks the first link or button of the page's content with this text.
    pub async fn press(&self, text: &str) {
        let path = format!("//main//*[self::a or self::button][normalize-space()='{text}']");
        let query = self.driver.query(By::XPath(path)).and_displayed().wait(PATIENCE, LOOK);
        match query.first().await {
            Ok(element) => element.click().await.unwrap_or_else(|e| panic!("{text}: {e}")),
            Err(e) => panic!("{text:?} at {}: {e}\n{}", self.url().await, self.text().await),
        }
    }

    /// Clicks a link of the main navigation.
    pub async fn navigate(&self, text: &str) {
        let link = self.driver.query(By::LinkText(text)).and_displayed().wait(PATIENCE, LOOK);
        let link = link.first().await.unwrap_or_else(|e| panic!("{text}: {e}"));
        link.click().await.unwrap_or_else(|e| panic!("{text}: {e}"));
    }

    /// Chooses files in the page's file field.
    pub async fn choose(&self, files: &[std::path::PathBuf]) {
        let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
        let field = self.element("input[type=file]").await;
        field.send_keys(names.join("\n")).await.expect("files are chosen");
    }

    /// Whether a page may run scripts: one that may does not parse what is for the others.
    pub async fn reads_noscript(&self) -> bool {
        let page = "data:text/html,<noscript><p id=without>without</p></noscript><p id=done>done</p>";
        self.open(page).await;
        self.element("#done").await;
        self.count("#without").await == 1
    }

    /// Pictures of the whole page, light and dark, wide and narrow, under
    /// `target/screenshots`; fails where the page is wider than the window.
    pub async fn shots(&self, name: &str) {
        let dir = root().join("target/screenshots");
        std::fs::create_dir_all(&dir).expect("a directory for pictures");
        let tools = self.driver.cdp();
        let call = async |method: &str, params: Value| {
            tools.send_raw(method, params).await.unwrap_or_else(|e| panic!("{method}: {e}"))
        };
        for (size, width, height) in [("wide", 1280, 800), ("narrow", 390, 844)] {
            let window = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
            call("Emulation.setDeviceMetricsOverride", window).await;
            for scheme in ["light", "dark"] {
                let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
                call("Emulation.setEmulatedMedia", media).await;
                let size_of = call("Page.getLayoutMetrics", json!({})).await["cssContentSize"].clone();
                let needed = size_of["width"].as_f64().unwrap_or_default();
                assert!(needed <= f64::from(width), "{name}: {needed} px wide on {width}");
                let clip = json!({ "x": 0, "y": 0, "width": width, "height": size_of["height"], "scale": 1 });
                let whole = json!({ "captureBeyondViewport": true, "clip": clip });
                let shot = call("Page.captureScreenshot", whole).await;
                let at = dir.join(format!("{name}-{size}-{scheme}.png"));
                std::fs::write(at, decoded(shot["data"].as_str().unwrap_or_default())).expect("a picture");
            }
        }
        call("Emulation.setEmulatedMedia", json!({ "features": [] })).await;
        call("Emulation.clearDeviceMetricsOverride", json!({})).await;
    }

    /// What pages complained about since the last call: errors on the console, and requests
    /// to anything but this machine.
    pub async fn complaints(&self) -> Vec<String> {
        let console = self.driver.browser_log().await.expect("the console");
        let mut found: Vec<String> =
            console.into_iter().filter(|e| e.level == "SEVERE").map(|e| e.message).collect();
        let requests = self.driver.get_log("performance").await.expect("the requests");
        found.extend(requests.iter().filter_map(|entry| foreign(&entry.message)));
        found
    }
}

fn capabilities(profile: &TempDir, scripts: bool) -> thirtyfour::ChromeCapabilities {
    let mut wanted = DesiredCapabilities::chrome();
    let own = format!("--user-data-dir={}", profile.path().join("profile").display());
    let mut args =
        vec!["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--lang=en", &own];
    args.extend(["--no-first-run", "--disable-background-networking", "--disable-component-update"]);
    if !scripts {
        args.push("--blink-settings=scriptEnabled=false");
    }
    for arg in args {
        wanted.add_arg(arg).expect("an argument");
    }
    for log in ["browser", "performance"] {
        wanted.set_logging_prefs(log, LoggingPrefsLogLevel::All).expect("a log");
    }
    wanted
}

/// The address of a request to another machine, if this event of the browser is one.
fn foreign(event: &str) -> Option<String> {
    let event: Value = serde_json::from_str(event).ok()?;
    let message = &event["message"];
    if message["method"] != "Network.requestWillBeSent" {
        return None;
    }
    let url = message["params"]["request"]["url"].as_str()?;
    // The browser's own pages and data in the address itself ask nobody.
    let network = ["http:", "https:", "ws:", "wss:"].iter().any(|scheme| url.starts_with(scheme));
    (network && !url.starts_with("http://127.0.0.1:")).then(|| format!("asked for {url}"))
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).expect("a picture in base64")
}
