//! The stand-in page as people see it: in a real browser.

use std::{env, fs, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use lab::{
    Browser, Daemon, HttpServer, Lab, Look,
    standin::{config, failed},
    wait_until,
};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
const MAIL: &str = "sato@example.test";

fn is_at(browser: &Browser<'_>, url: &str, text: &str) -> bool {
    browser.url().is_ok_and(|at| at == url) && browser.text().is_ok_and(|seen| seen.contains(text))
}

fn mails(daemon: &Daemon<'_>) -> Result<Vec<Option<String>>> {
    Ok(daemon.maildir().mails()?.iter().map(lab::Mail::to).collect())
}

/// From the form to the real site and the mail, with whatever brings the browser there.
fn tell_me(lab: &Lab, service: SocketAddr, look: Look, moves_within: Duration) -> Result<()> {
    let daemon = failed(lab, lab.client(1), service, config())?;
    // Without the port, which is HTTP's own.
    let url = format!("http://{}/shop?item=7", service.to_string().trim_end_matches(":80"));
    let browser = Browser::start(lab.client(1), look)?;
    browser.open(&url)?;
    assert_eq!(browser.url()?, url, "the server's own address");
    let down = format!("{} cannot be reached", service.ip());
    assert_eq!(browser.title()?, down);
    assert!(browser.text()?.contains(&down), "{}", browser.text()?);
    browser.fill_in("#mail", MAIL)?;
    browser.click("button[value=yes]")?;
    wait_until("the confirmation is seen", LIMIT, || {
        browser.text().is_ok_and(|text| text.contains("You will get a mail") && text.contains(MAIL))
    })
    .with_context(|| browser.text().unwrap_or_default())?;
    assert_eq!(mails(&daemon)?, []);
    let _nginx = HttpServer::start(lab.server(1), 80)?;
    wait_until("the real site is seen", moves_within, || is_at(&browser, &url, "this is server1"))
        .with_context(|| format!("{:?}: {}", browser.url(), browser.text().unwrap_or_default()))?;
    wait_until("the mail is written", LIMIT, || mails(&daemon).is_ok_and(|mails| !mails.is_empty()))?;
    assert_eq!(mails(&daemon)?, [Some(MAIL.to_owned())]);
    Ok(())
}

// proves: F-21 F-22b F-24a F-28
#[test]
fn a_browser_shows_the_page_at_the_servers_address_takes_the_answer_and_moves_on_by_itself() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().build()?;
        let service = if v6 { lab.server(1).service_v6(80) } else { lab.server(1).service_v4(80) };
        tell_me(&lab, service, Look::default(), LIMIT)?;
    }
    Ok(())
}

// proves: F-21 F-22b F-24a F-28
#[test]
fn without_script_the_form_works_and_the_page_still_moves_on() -> Result<()> {
    let lab = Lab::builder().build()?;
    // The confirmation loads itself again every half minute.
    let look = Look { script: false, ..Look::default() };
    tell_me(&lab, lab.server(1).service_v4(80), look, Duration::from_secs(45))
}

/// Relative luminance and contrast of two colours, `rgb(1, 2, 3)` (WCAG 2.2, "contrast ratio").
fn contrast(one: &str, other: &str) -> Result<f64> {
    let luminance = |colour: &str| {
        let inner = colour.split_once('(').and_then(|(_, rest)| rest.split_once(')')).context("no colour")?.0;
        let parts = inner.split(',').take(3).map(|part| Ok(part.trim().parse::<f64>()? / 255.0));
        let parts: Vec<f64> = parts.collect::<Result<_>>()?;
        let linear = |part: f64| if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) };
        Ok::<_, anyhow::Error>(0.2126 * linear(parts[0]) + 0.7152 * linear(parts[1]) + 0.0722 * linear(parts[2]))
    };
    let (one, other) = (luminance(one)?, luminance(other)?);
    Ok((one.max(other) + 0.05) / (one.min(other) + 0.05))
}

/// What a page's colours, sizes and edges come to.
const MEASURES: &str = "
    const style = (selector) => getComputedStyle(document.querySelector(selector));
    const height = (selector) => document.querySelector(selector).getBoundingClientRect().height;
    const root = document.documentElement;
    return {
        overhang: root.scrollWidth - root.clientWidth,
        paper: style('body').backgroundColor,
        pairs: [
            ['text', style('body').color, style('body').backgroundColor],
            ['label', style('label').color, style('form').backgroundColor],
            ['yes', style('button[value=yes]').color, style('button[value=yes]').backgroundColor],
            ['no', style('button[value=no]').color, style('form').backgroundColor],
        ],
        heights: ['#mail', 'button[value=yes]', 'button[value=no]'].map(height),
        language: root.lang,
    };";

/// What the page must be for everybody: nothing to scroll sideways, text that stands out, and room for a finger.
fn is_easy_to_use(browser: &Browser<'_>, language: &str, paper: &str) -> Result<()> {
    let measures = browser.ask(MEASURES)?;
    assert_eq!(measures["overhang"], 0, "{measures:#}");
    assert_eq!((&measures["language"], &measures["paper"]), (&language.into(), &paper.into()), "{measures:#}");
    for pair in measures["pairs"].as_array().context("no colours")? {
        let colour = |at: usize| pair[at].as_str().context("no colour");
        let contrast = contrast(colour(1)?, colour(2)?)?;
        assert!(contrast >= 4.5, "{contrast} {pair}");
    }
    let heights = measures["heights"].as_array().context("no heights")?;
    assert!(heights.iter().filter_map(Value::as_f64).all(|height| height >= 44.0), "{measures:#}");
    Ok(())
}

/// Keeps what is seen as a picture in the folder of `RINGBACK_SCREENSHOTS`; see `cargo xtask screenshots`.
fn picture(browser: &Browser<'_>, name: &str) -> Result<()> {
    let png = browser.screenshot()?;
    assert!(png.starts_with(b"\x89PNG"));
    match env::var_os("RINGBACK_SCREENSHOTS") {
        Some(folder) => fs::write(Path::new(&folder).join(name), png).with_context(|| format!("cannot write {name}")),
        None => Ok(()),
    }
}

// proves: F-21
#[test]
fn the_page_is_right_on_a_phone_in_the_dark_for_screen_readers_and_in_japanese() -> Result<()> {
    let lab = Lab::builder().build()?;
    let service = lab.server(1).service_v4(80);
    let _daemon = failed(&lab, lab.client(1), service, config())?;
    let url = format!("http://{}/", service.ip());
    let desk = Browser::start(lab.client(1), Look::default())?;
    desk.open(&url)?;
    is_easy_to_use(&desk, "en", "rgb(255, 255, 255)")?;
    assert_eq!((desk.role("#mail")?, desk.label("#mail")?), ("textbox".to_owned(), "Your mail address".to_owned()));
    assert_eq!(desk.label("button[value=yes]")?, "Yes, tell me");
    assert_eq!((desk.role("h1")?, desk.role("main")?), ("heading".to_owned(), "main".to_owned()));
    picture(&desk, "page.png")?;
    drop(desk);
    let phone = Look { languages: "ja", size: (320, 640), phone: true, dark: true, ..Look::default() };
    let phone = Browser::start(lab.client(1), phone)?;
    phone.open(&url)?;
    is_easy_to_use(&phone, "ja", "rgb(20, 23, 26)")?;
    assert_eq!(phone.label("#mail")?, "メールアドレス");
    picture(&phone, "page-phone.png")?;
    // A mistake is said where it was made, and to whom it is read out.
    phone.ask("document.querySelector('form').noValidate = true")?;
    phone.fill_in("#mail", "not-an-address")?;
    phone.click("button[value=yes]")?;
    wait_until("the mistake is seen", LIMIT, || phone.role("#mistake").is_ok_and(|role| role == "alert"))?;
    is_easy_to_use(&phone, "ja", "rgb(20, 23, 26)")
}
