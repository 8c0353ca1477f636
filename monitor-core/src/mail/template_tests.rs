//! Templates in Jinja's syntax and in the old one.

#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

const SMALL: &str = "[subject]\nS {{ server }}\n[subject of several]\nM {{ others }}\n[text]\n{{ services }}\n\
                     [service]\n{{ port }}\n";
const OLD: &str = "[subject]\nS {server}\n[subject of several]\nM {others}\n[text]\n{services}\n[service]\n{port}\n";

/// No folder of an operator's: nothing is read.
fn built_in(language: Language) -> Template {
    Template::load(None, language, &|_, name| panic!("{name}")).unwrap()
}

fn wrong(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from));
    Template::parse("my.txt", &text.replacen(from, to, 1)).unwrap_err().to_string()
}

fn subject(text: &str, line: &str) -> String {
    let template = Template::parse("my.txt", &text.replace(text.lines().nth(1).unwrap(), line)).unwrap();
    template.fill(Part::Subject, context! { server => "<server>", port => 443 }).unwrap()
}

#[test]
fn the_built_in_templates_are_right() {
    for language in [Language::En, Language::Ja] {
        assert_eq!(built_in(language).remark, None);
    }
}

#[test]
fn every_gap_can_be_tried() {
    for part in PARTS {
        for gap in part.gaps() {
            assert!(!trial().get_attr(gap).unwrap().is_undefined(), "{gap}");
        }
    }
}

#[test]
fn a_template_is_jinja() {
    assert_eq!(subject(SMALL, "a {x} {{ '{{' }}{{ server }}!"), "a {x} {{<server>!");
    assert_eq!(subject(SMALL, "{% if port > 400 %}{{ server | upper }}{% endif %}"), "<SERVER>");
    let text = SMALL.replace("{{ services }}", "a\n  {% if count > 1 %}\nb\n  {% endif %}\n{{ services }}");
    let text = Template::parse("my.txt", &text).unwrap().fill(Part::Text, trial()).unwrap();
    assert_eq!(text, "a\nb\n…");
}

#[test]
fn mistakes_name_the_file_the_line_and_the_way_out() {
    assert_eq!(
        wrong(SMALL, "S {{ server }}", "S {{ sevrer }}"),
        "my.txt, line 2: {{ sevrer }} has no meaning in [subject]: write one of {{ server }} {{ port }}"
    );
    assert_eq!(
        wrong(SMALL, "{{ services }}", "a\n{% if client %}{{ server }}{% endif %}"),
        "my.txt, line 7: {{ server }} has no meaning in [text]: write one of {{ services }} {{ client }} \
         {{ recovered }} {{ count }} {{ unsubscribe }}"
    );
    assert_eq!(
        wrong(SMALL, "{{ services }}", "{{ services }}\n{{ client"),
        "my.txt, line 7: unexpected end of input, expected end of variable block: write {{ \"{{\" }} for two braces"
    );
    let text = wrong(SMALL, "{{ services }}", "\n\n{{ services }}\n{{ client | shout }}");
    assert!(text.starts_with("my.txt, line 9: "), "{text}");
    let text = wrong(SMALL, "{{ port }}", "{{ port }}\n{{ first + 1 }}");
    assert!(text.starts_with("my.txt, line 9: "), "found by trying: {text}");
    for text in [SMALL, OLD] {
        assert_eq!(
            wrong(text, "[text]", "[body]"),
            "my.txt, line 5: there is no part [body]: write [subject], [subject of several], [text], [service]"
        );
        assert_eq!(wrong(text, text.lines().last().unwrap(), ""), "my.txt: the part [service] is missing or empty");
        assert_eq!(wrong(text, "S ", "S\nS "), "my.txt: the part [subject] must be one line");
    }
}

#[test]
fn a_file_in_the_old_syntax_goes_on_working_and_is_told_what_to_write() {
    let template = Template::parse("my.txt", OLD).unwrap();
    assert_eq!(
        template.remark.as_deref(),
        Some(
            "my.txt, line 2: {server} is the old syntax, which still works: write {{ server }}, and { where there is {{"
        )
    );
    assert_eq!(subject(OLD, "a {{x}} {server}!"), "a {x} <server>!");
    assert_eq!(subject(OLD, "{{% }} }{port}{{{server}}} {{#"), "{% } }443{<server>} {#");
    // What was the built-in template, as an operator may have copied it.
    for (copied, language) in [
        (include_str!("templates/old/recovered.en.txt"), Language::En),
        (include_str!("templates/old/recovered.ja.txt"), Language::Ja),
    ] {
        let (copied, now) = (Template::parse("my.txt", copied).unwrap(), built_in(language));
        for part in PARTS {
            assert_eq!(copied.fill(part, trial()).unwrap(), now.fill(part, trial()).unwrap());
        }
    }
}

#[test]
fn mistakes_in_the_old_syntax_are_named_too() {
    assert_eq!(
        wrong(OLD, "S {server}", "S {sevrer}"),
        "my.txt, line 2: {{ sevrer }} has no meaning in [subject]: write one of {{ server }} {{ port }}"
    );
    assert_eq!(
        wrong(OLD, "S {server}", "S {server"),
        "my.txt, line 2: `{` without `}`: close it, or write {{ for a brace"
    );
    assert_eq!(
        wrong(OLD, "{services}", "{{ services }}"),
        "my.txt, line 2: {server} is the old syntax, and the file has the new one too: write {{ server }}"
    );
}

#[test]
fn an_operators_file_counts_and_an_absent_one_means_the_built_in_text() {
    let dir = Some(Path::new("/texts"));
    for text in [SMALL.to_owned(), OLD.to_owned(), format!("\u{feff}{OLD}")] {
        let read = |dir: &Path, name: &str| {
            assert_eq!((dir, name), (Path::new("/texts"), "recovered.en.txt"));
            Ok(Some(text.clone()))
        };
        let english = Template::load(dir, Language::En, &read).unwrap();
        assert_eq!(english.fill(Part::Subject, context! { server => "x" }).unwrap(), "S x");
    }
    Template::load(dir, Language::Ja, &|_, _| Ok(None)).unwrap();
    let unreadable = |dir: &Path, _: &str| {
        Err(UnreadableTemplate { path: dir.to_owned(), source: io::ErrorKind::PermissionDenied.into() })
    };
    let error = Template::load(dir, Language::Ja, &unreadable).unwrap_err().to_string();
    assert_eq!(error, "/texts cannot be read: permission denied");
}
