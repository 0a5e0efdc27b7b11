//! Known weaknesses of what is locked.

mod index;

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use tests::binary::workspace;

use self::index::{Finding, Ignored, Index, ignored};
use super::read;

/// Where an index may be: made anew by continuous integration, or kept with the project.
const PLACES: [&str; 2] = ["target/advisories/index.jsonl", "deploy/advisories/index.jsonl"];

/// The newest index there is.
fn index() -> Result<Option<Index>> {
    let found = PLACES.map(|place| workspace().join(place)).into_iter().filter(|path| path.exists());
    let read = |path: &Path| {
        let text = fs::read_to_string(path)?;
        Index::parse(&text).with_context(|| path.display().to_string())
    };
    let indexes = found.map(|path| read(&path)).collect::<Result<Vec<_>>>()?;
    Ok(indexes.into_iter().max_by_key(|index| index.as_of))
}

#[test]
fn no_locked_package_has_a_known_weakness() -> Result<()> {
    let Some(index) = index()? else {
        println!("advisories: NOT looked up, as there is no index; deploy/advisories/index.py makes one");
        return Ok(());
    };
    println!("advisories: {}", index.age(servicebus::clock::now()));
    let verdict = index.judge(&read("Cargo.lock"), &ignored(&read("deny.toml"))?)?;
    for notice in &verdict.notices {
        println!("advisories: {notice}");
    }
    let affected: Vec<_> = verdict.affected.iter().map(ToString::to_string).collect();
    ensure!(affected.is_empty(), "these packages are locked:\n  {}", affected.join("\n  "));
    ensure!(
        verdict.needless.is_empty(),
        "deny.toml ignores {:?}, which nothing locked has",
        verdict.needless
    );
    Ok(())
}

const INDEX: &str = r#"{"commit":"c0ffee","as_of":"2026-01-01T00:00:00+02:00","advisories":7}
{"id":"MADE-UP-1","package":"hole","date":"2026-01-01","patched":[">= 1.2.3, < 2.0.0",">= 2.1.0"],"unaffected":["< 1.0.0"],"url":"https://example.test/1"}
{"id":"MADE-UP-2","package":"hole","date":"2026-01-01","patched":[],"unaffected":[],"withdrawn":"2026-01-02"}
{"id":"MADE-UP-3","package":"tired","date":"2026-01-01","patched":[],"unaffected":[],"informational":"unmaintained"}
{"id":"MADE-UP-4","package":"loose","date":"2026-01-01","patched":["^2"],"unaffected":[],"informational":"unsound"}
{"id":"MADE-UP-5","package":"told","date":"2026-01-01","patched":[],"unaffected":[],"informational":"notice"}
{"id":"MADE-UP-6","package":"other","date":"2026-01-01","patched":[],"unaffected":[]}
{"id":"MADE-UP-7","package":"ours","date":"2026-01-01","patched":[],"unaffected":[]}
"#;

fn lock(packages: &[(&str, &str)]) -> String {
    let packages = packages.iter().map(|(name, version)| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"registry+https://example.test\"\n")
    });
    // A package of the workspace has no source, whatever its name.
    packages.chain(["[[package]]\nname = \"ours\"\nversion = \"1.0.0\"\n".to_owned()]).collect()
}

#[track_caller]
fn check(packages: &[(&str, &str)], affected: &[&str], notices: &[&str]) {
    let verdict = Index::parse(INDEX).expect("an index").judge(&lock(packages), &[]).expect("a verdict");
    let ids =
        |findings: &[Finding]| findings.iter().map(|finding| finding.advisory.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&verdict.affected), affected, "{packages:?}");
    assert_eq!(ids(&verdict.notices), notices, "{packages:?}");
}

#[test]
fn a_locked_version_is_held_against_what_is_mended_and_what_never_had_it() {
    for version in ["1.0.0", "1.2.2", "2.0.0", "2.0.9", "1.2.3-rc.1", "2.1.0-rc.1"] {
        check(&[("hole", version)], &["MADE-UP-1"], &[]);
    }
    for version in ["0.9.9", "1.2.3", "1.9.0", "2.1.0", "3.0.0"] {
        check(&[("hole", version)], &[], &[]);
    }
    check(&[("hole", "1.2.3"), ("hole", "1.2.2")], &["MADE-UP-1"], &[]);
    check(&[("unknown", "1.0.0")], &[], &[]);
}

#[test]
fn what_is_unmaintained_or_unsound_counts_and_a_notice_is_told() {
    check(&[("tired", "1.0.0"), ("loose", "1.9.9")], &["MADE-UP-3", "MADE-UP-4"], &[]);
    check(&[("loose", "2.0.0")], &[], &[]);
    check(&[("told", "1.0.0")], &[], &["MADE-UP-5"]);
}

#[test]
fn what_is_ignored_needs_a_reason_and_a_use() {
    let list = |entry: &str| format!("[advisories]\nignore = [{entry}]\n");
    let reasoned = ignored(&list("{ id = \"MADE-UP-3\", reason = \"built, never shipped\" }")).expect("good");
    assert_eq!(reasoned, [Ignored { id: "MADE-UP-3".into(), reason: "built, never shipped".into() }]);
    for entry in ["\"MADE-UP-3\"", "{ id = \"MADE-UP-3\" }", "{ id = \"MADE-UP-3\", reason = \" \" }"] {
        ignored(&list(entry)).expect_err(entry);
    }
    let index = Index::parse(INDEX).expect("an index");
    let verdict = index.judge(&lock(&[("tired", "1.0.0")]), &reasoned).expect("a verdict");
    assert!(verdict.affected.is_empty() && verdict.needless.is_empty(), "{verdict:?}");
    let verdict = index.judge(&lock(&[]), &reasoned).expect("a verdict");
    assert_eq!(verdict.needless, ["MADE-UP-3"]);
}

#[test]
fn a_finding_says_what_to_do() {
    let index = Index::parse(INDEX).expect("an index");
    let verdict = index.judge(&lock(&[("hole", "1.0.0"), ("tired", "3.0.0")]), &[]).expect("a verdict");
    let told: Vec<_> = verdict.affected.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "MADE-UP-1: hole 1.0.0 is vulnerable; mended in >= 1.2.3, < 2.0.0 or >= 2.1.0: run `cargo update -p \
             hole@1.0.0`; https://example.test/1",
            "MADE-UP-3: tired 3.0.0 is unmaintained; no version has it mended: replace the package, or ignore the id \
             in deny.toml with a reason; https://rustsec.org/advisories/",
        ]
    );
}

#[test]
fn an_index_tells_its_age_and_does_not_break_off() {
    let index = Index::parse(INDEX).expect("an index");
    let at = |text: &str| index.age(text.parse::<Timestamp>().expect("a time"));
    assert_eq!(at("2026-03-01T00:00:00Z"), "7 advisories as of 2025-12-31 (59 days ago, c0ffee)");
    assert!(at("2026-05-01T00:00:00Z").contains("WARNING: it is old"));
    let (cut, _) = INDEX.trim_end().rsplit_once('\n').expect("lines");
    Index::parse(cut).expect_err("a line is missing");
    Index::parse("").expect_err("nothing");
}
