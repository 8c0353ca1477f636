//! A real browser on a host of the lab: headless Chromium, driven by its own chromedriver over WebDriver.
//!
//! WebDriver (<https://www.w3.org/TR/webdriver2/>) is JSON over HTTP, so curl speaks it.

use std::{fs, io::Write as _, net::SocketAddr, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::{Host, Process, peers, wait_until};

/// Where chromedriver listens, on the host's loopback address.
const PORT: u16 = 9515;

/// By this name an element is called in WebDriver's answers (section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How the browser is set up.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// `Accept-Language`, as in `ja,en`.
    pub languages: &'static str,
    /// Width and height of what is seen of a page, in CSS pixels.
    pub size: (u32, u32),
    /// Whether it is a phone: touch, and `width=device-width` counts.
    pub phone: bool,
    /// `prefers-color-scheme: dark`
    pub dark: bool,
    /// Whether scripts of pages run.
    pub script: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { languages: "en", size: (1000, 760), phone: false, dark: false, script: true }
    }
}

/// The browser; ended on drop.
#[derive(Debug)]
pub struct Browser<'lab> {
    host: &'lab Host,
    session: String,
    _driver: Process,
}

impl<'lab> Browser<'lab> {
    /// Starts it with an empty profile.
    pub fn start(host: &'lab Host, look: Look) -> Result<Self> {
        let folder = host.folder().join("browser");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let fonts = folder.join("fonts.conf");
        fs::write(&fonts, font_config(&folder.display().to_string())?)?;
        let mut driver = host.command("chromedriver");
        driver.arg(format!("--port={PORT}")).arg("--log-level=WARNING");
        driver.env("HOME", &folder).env("TMPDIR", &folder).env("FONTCONFIG_FILE", fonts);
        let mut browser = Self { host, session: String::new(), _driver: host.spawn("chromedriver", &mut driver)? };
        wait_until("chromedriver listens", Duration::from_secs(20), || browser.send("GET", "/status", None).is_ok())?;
        browser.session = browser.open_session(look, &folder.join("profile").display().to_string())?;
        browser.shape(look)?;
        Ok(browser)
    }

    fn open_session(&self, look: Look, profile: &str) -> Result<String> {
        let binary =
            peers::file("usr/lib/chromium/chromium").context("no Chromium: run `cargo xtask setup --peers`")?;
        let options = json!({
            "binary": binary,
            "args": [
                "--headless=new",
                // We are root in a namespace.
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--no-first-run",
                "--no-proxy-server",
                "--hide-scrollbars",
                "about:blank",
                format!("--user-data-dir={profile}"),
                format!("--accept-lang={}", look.languages),
            ],
            "prefs": {
                // Its own first page asks for names of the Internet, which a lab lacks.
                "session.restore_on_startup": 4,
                "session.startup_urls": ["about:blank"],
                "intl.accept_languages": look.languages,
                // 1: allowed, 2: blocked.
                "profile.default_content_setting_values.javascript": if look.script { 1 } else { 2 },
            },
        });
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } });
        let session = self.send("POST", "/session", Some(&wanted))?;
        Ok(session["sessionId"].as_str().context("no session")?.to_owned())
    }

    fn shape(&self, look: Look) -> Result<()> {
        let (width, height) = look.size;
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": look.phone }),
        )?;
        let scheme = if look.dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }))
    }

    /// Goes to a page, and waits until it is loaded.
    pub fn open(&self, url: &str) -> Result<()> {
        self.post("/url", &json!({ "url": url })).map(drop)
    }

    /// The address that the browser shows.
    pub fn url(&self) -> Result<String> {
        self.text_of(&self.get("/url")?)
    }

    /// The page's title.
    pub fn title(&self) -> Result<String> {
        self.text_of(&self.get("/title")?)
    }

    /// The page's text as it is seen.
    pub fn text(&self) -> Result<String> {
        self.of("body", "text")
    }

    /// The name of the element for whom the page is read out.
    pub fn label(&self, selector: &str) -> Result<String> {
        self.of(selector, "computedlabel")
    }

    /// What the element is to whom the page is read out: `textbox`, `button` …
    pub fn role(&self, selector: &str) -> Result<String> {
        self.of(selector, "computedrole")
    }

    /// Types into a field.
    pub fn fill_in(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.post(&format!("/element/{element}/value"), &json!({ "text": text })).map(drop)
    }

    /// Clicks where the element is seen.
    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.element(selector)?;
        self.post(&format!("/element/{element}/click"), &json!({})).map(drop)
    }

    /// What a JavaScript function body returns; the page's policy does not count.
    pub fn ask(&self, script: &str) -> Result<Value> {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What is seen, as PNG.
    pub fn screenshot(&self) -> Result<Vec<u8>> {
        let text = self.text_of(&self.get("/screenshot")?)?;
        base64::engine::general_purpose::STANDARD.decode(text).context("the screenshot is not base64")
    }

    fn element(&self, selector: &str) -> Result<String> {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }))?;
        self.text_of(&found[ELEMENT])
    }

    fn of(&self, selector: &str, what: &str) -> Result<String> {
        let element = self.element(selector)?;
        self.text_of(&self.get(&format!("/element/{element}/{what}"))?)
    }

    fn text_of(&self, value: &Value) -> Result<String> {
        value.as_str().map(str::to_owned).with_context(|| format!("{value} is no text"))
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Result<()> {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).map(drop)
    }

    fn get(&self, path: &str) -> Result<Value> {
        self.send("GET", &format!("/session/{}{path}", self.session), None)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send("POST", &format!("/session/{}{path}", self.session), Some(body))
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let driver = SocketAddr::from(([127, 0, 0, 1], PORT));
        let mut curl = self.host.command("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "--request", method]);
        if body.is_some() {
            curl.args(["--header", "Content-Type: application/json", "--data-binary", "@-"]);
        }
        curl.arg(format!("http://{driver}{path}"));
        curl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut curl = curl.spawn().context("cannot start `curl`")?;
        let mut stdin = curl.stdin.take().context("no pipe to `curl`")?;
        stdin.write_all(body.map(Value::to_string).unwrap_or_default().as_bytes())?;
        drop(stdin);
        let output = curl.wait_with_output()?;
        let mut answer: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{method} {path}: no JSON: {}", String::from_utf8_lossy(&output.stderr).trim()))?;
        let value = answer["value"].take();
        if let Some(error) = value["error"].as_str() {
            bail!("{method} {path}: {error}: {}", value["message"]);
        }
        Ok(value)
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        // chromedriver then ends Chromium. What is left when that fails goes with the lab.
        if let Err(error) = self.send("DELETE", &format!("/session/{}", self.session), None) {
            eprintln!("lab: the browser did not end in order: {error:#}");
        }
    }
}

/// The system's fonts, and those that were unpacked.
fn font_config(folder: &str) -> Result<String> {
    let fonts = peers::file("usr/share/fonts/opentype").context("no Japanese font: run `cargo xtask setup --peers`")?;
    Ok(format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE fontconfig SYSTEM \"fonts.dtd\">\n<fontconfig>\n\
         <include ignore_missing=\"yes\">/etc/fonts/fonts.conf</include>\n<dir>{}</dir>\n<cachedir>{folder}/fonts</cachedir>\n\
         </fontconfig>\n",
        fonts.display()
    ))
}
