//! docs/rules is made from the rules: with `CROSSFADE_UPDATE_FIXTURES=1` it is written, else compared.

use std::collections::BTreeMap;
use std::path::Path;

use crossfade_core::lint;
use crossfade_core::lint::rules;

#[test]
fn the_pages_are_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules");
    let pages = rules::all().map(|rule| (format!("{}.md", rule.name), lint::page(rule)));
    let pages: BTreeMap<String, String> = pages.chain([("README.md".to_owned(), lint::index())]).collect();
    if std::env::var_os("CROSSFADE_UPDATE_FIXTURES").is_some() {
        std::fs::create_dir_all(&folder).expect("the folder is made");
        for (name, page) in &pages {
            std::fs::write(folder.join(name), page).expect("the page is written");
        }
    }
    for (name, page) in &pages {
        let there = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(there == *page, "docs/rules/{name} is not what the rule says: run with CROSSFADE_UPDATE_FIXTURES=1");
    }
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let name = entry.expect("it can be read").file_name().to_string_lossy().into_owned();
        assert!(pages.contains_key(&name) || name == "squawk.md", "docs/rules/{name} is of no rule");
    }
}
