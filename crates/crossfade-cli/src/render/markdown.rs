//! Parts of Markdown, as GitHub and GitLab read it. What a user wrote comes out as it is, whatever stands in it: no markup, no HTML, nobody who is
//! mentioned, no issue that is linked.

/// Between a sign and what it would mention or link. It shows nowhere.
const APART: &str = "<!-- -->";

/// Text in a line, also in a cell of a table.
pub fn text(text: &str) -> String {
    let shown: Vec<char> = visible(text).split_whitespace().collect::<Vec<_>>().join(" ").chars().collect();
    let mut out = String::with_capacity(shown.len() + 8);
    for (at, letter) in shown.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| shown.get(at));
        let next = shown.get(at + 1);
        let is_letter = |letter: Option<&char>| letter.is_some_and(|letter| letter.is_alphanumeric());
        let is_word = |letter: Option<&char>| letter.is_some_and(|letter| letter.is_alphanumeric() || *letter == '_');
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Within a word it marks nothing.
            '_' if is_letter(before) && is_letter(next) => out.push('_'),
            '@' | '#' if is_word(next) => {
                out.push('\\');
                out.push(*letter);
                out.push_str(APART);
            }
            // A list, a heading, a rule.
            '+' | '-' | '=' if at == 0 => {
                out.push('\\');
                out.push(*letter);
            }
            '.' | ')' if at > 0 && shown[..at].iter().all(char::is_ascii_digit) => {
                out.push('\\');
                out.push(*letter);
            }
            // The name of a picture: `:smile:`.
            ':' if next.is_none_or(|next| next.is_whitespace() || *next == ':') => out.push(':'),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '|' | '!' | '~' | '$' | '@' | '^' | ':' => {
                out.push('\\');
                out.push(*letter);
            }
            other => out.push(*other),
        }
    }
    out
}

/// A sentence of ours, in which pieces to type stand between backticks.
pub fn prose(sentence: &str) -> String {
    let parts: Vec<&str> = sentence.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return text(sentence);
    }
    let mut out = String::new();
    for (at, part) in parts.iter().enumerate() {
        // What stands beside code keeps its space.
        let (before, after) = (part.starts_with(char::is_whitespace), part.ends_with(char::is_whitespace));
        if at % 2 == 1 {
            out.push_str(&code(part));
        } else if !part.trim().is_empty() {
            out.push_str(&format!("{}{}{}", if before { " " } else { "" }, text(part), if after { " " } else { "" }));
        } else if before {
            out.push(' ');
        }
    }
    out
}

/// A name or a piece of SQL within a line, also in a cell of a table.
pub fn code(text: &str) -> String {
    let line = visible(text).split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    if line.is_empty() {
        return String::new();
    }
    let ticks = "`".repeat(longest_run(&line) + 1);
    let room = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{ticks}{room}{line}{room}{ticks}")
}

/// Lines as they are.
pub fn block(language: &str, text: &str) -> String {
    let shown = visible(text);
    let fence = "`".repeat(longest_run(&shown).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", shown.trim_end())
}

/// What is shown once it is asked for.
pub fn folded(title: &str, body: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{body}\n</details>\n")
}

/// A row of a table.
pub fn row<const N: usize>(cells: [String; N]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// The head of a table.
pub fn head<const N: usize>(cells: [&str; N]) -> String {
    format!("| {} |\n|{}\n", cells.join(" | "), " --- |".repeat(N))
}

/// Signs that can't be seen, or that turn round what stands behind them, would hide what is run.
fn visible(text: &str) -> String {
    let hides = |letter: char| {
        matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
            || (letter.is_control() && !matches!(letter, '\n' | '\t'))
    };
    text.replace("\r\n", "\n").chars().map(|letter| if hides(letter) { '\u{fffd}' } else { letter }).collect()
}

fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::Event;
    use pulldown_cmark::Options;
    use pulldown_cmark::Parser;
    use pulldown_cmark::Tag;

    use super::*;

    /// What a reader sees, and whether anything but plain text and code is there.
    fn read(markdown: &str) -> (String, Vec<String>) {
        let (mut seen, mut marks) = (String::new(), Vec::new());
        let mut cells = 0;
        for event in Parser::new_ext(markdown, Options::all() - Options::ENABLE_SMART_PUNCTUATION) {
            match event {
                Event::Text(text) | Event::Code(text) => seen.push_str(&text),
                Event::InlineHtml(html) if &*html == APART => {}
                Event::SoftBreak | Event::End(_) => {}
                Event::Start(Tag::TableCell) => cells += 1,
                Event::Start(Tag::Paragraph | Tag::Table(_) | Tag::TableHead | Tag::TableRow) => {}
                other => marks.push(format!("{other:?}")),
            }
        }
        if cells > 0 {
            marks.push(format!("{cells} cells"));
        }
        (seen, marks)
    }

    const NASTY: [&str; 18] = [
        "a | b || c \\| d",
        "``` `` ` x",
        "<img src=x onerror=alert(1)> &amp; </details>",
        "**bold** __it__ *a* _b_ ~~c~~ snake_case_name",
        "[link](http://x) ![i](y) [ref]: z",
        "# head",
        "1. one",
        "- item",
        "+ item",
        "=== x",
        "@somebody #12 org/repo#3 GH-4",
        "$a$ $$b$$ :smile: ^1^",
        "\\* \\\\ \\",
        "trailing\\",
        "`",
        "``",
        "a ` b | `` c",
        "> quote & <!-- comment -->",
    ];

    #[test]
    fn text_is_read_as_it_was_written() {
        for nasty in NASTY {
            assert_eq!(read(&text(nasty)), (nasty.to_owned(), vec![]), "{}", text(nasty));
            let table = format!("{}{}", head(["a", "b"]), row([text(nasty), "x".to_owned()]));
            assert_eq!(read(&table), (format!("ab{nasty}x"), vec!["4 cells".to_owned()]), "{table}");
        }
        assert_eq!(text("a\r\nb\tc"), "a b c");
        assert_eq!(text("snake_case_name"), "snake_case_name");
        assert!(!text("cc @team").contains("@t"), "nobody is mentioned");
        assert!(!text("see #12").contains("#1"), "nothing is linked");
    }

    #[test]
    fn code_is_read_as_it_was_written() {
        for nasty in NASTY {
            let table = format!("{}{}", head(["a", "b"]), row([code(nasty), "x".to_owned()]));
            // A backslash in front of a bar in a cell of a table is the one thing that can't be written.
            if !nasty.contains("\\|") {
                assert_eq!(read(&table), (format!("ab{nasty}x"), vec!["4 cells".to_owned()]), "{table}");
            }
            let fenced = block("sql", nasty);
            let inside: String = Parser::new(&fenced)
                .filter_map(|event| if let Event::Text(text) = event { Some(text.into_string()) } else { None })
                .collect();
            assert_eq!(inside.trim_end(), nasty.trim_end(), "{fenced}");
        }
    }

    #[test]
    fn nothing_hides() {
        assert_eq!(text("DROP \u{202e}x\u{200b}"), "DROP \u{fffd}x\u{fffd}");
        assert_eq!(code("a\u{0}b"), "`a\u{fffd}b`");
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was_written(nasty in "[ -~]{0,40}") {
            let line = nasty.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(read(&format!("x {}", text(&nasty))), (format!("x {line}").trim_end().to_owned(), vec![]));
        }
    }
}
