//! Every fixture, in every format, means what its expected file says.

mod formats;
mod hostile;
mod malformed;
mod sample;
mod sample_binary;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use shared::decode::{
    self, Context, Format, View,
    value::{ContextValue as Field, ContractMember, Parameters},
};

/// Folder of the fixtures.
fn contexts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/contexts")
}

/// Files of a folder, in a stable order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of fixtures can be read");
    let mut files: Vec<_> =
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a fixture has a plain name")
}

fn content_type(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()? {
        "json" => Some("application/json"),
        "xml" => Some("application/xml"),
        "msbin1" => Some("application/msbin1"),
        _ => None,
    }
}

/// The `context` member of an expected file.
fn expected(case: &str, format: Format) -> Value {
    let suffix = if format == Format::Json { "expected-json" } else { "expected" };
    let path = contexts().join(format!("{case}.{suffix}.json"));
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut file: Value = serde_json::from_slice(&text).expect("an expected file is JSON");
    without_spelling(file["context"].take())
}

/// Doubles are compared by their bits: .NET does not always write the shortest digits.
fn without_spelling(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            if members.get("t").is_some_and(|tag| tag == "double") {
                members.remove("v");
            }
            members.values_mut().for_each(|member| *member = without_spelling(member.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_spelling(item.take())),
        _ => {}
    }
    value
}

#[track_caller]
fn check(path: &Path, case: &str) {
    let body = fs::read(path).expect("a fixture can be read");
    let payload =
        decode::open(&body, content_type(path)).unwrap_or_else(|error| panic!("{}: {error}", name(path)));
    let context = payload.context().unwrap_or_else(|error| panic!("{}: {error}", name(path)));
    let shown = serde_json::to_value(context.shown(View::Full)).expect("a context can be shown");
    let (shown, expected) = (without_spelling(shown), expected(case, payload.format()));
    // Comparing member by member names the culprit, where the whole would fill pages.
    let members = expected.as_object().expect("a context is an object");
    for (member, expected) in members {
        assert_eq!(shown.get(member), Some(expected), "{} of {}", member, name(path));
    }
    assert_eq!(shown.as_object().map(serde_json::Map::len), Some(members.len()), "members of {}", name(path));
}

/// All cases of one format; says how many, so that an empty folder does not pass.
fn check_all(extension: &str, at_least: usize) {
    let of_format = |path: &&PathBuf| {
        path.extension().is_some_and(|found| found == extension) && !name(path).contains(".expected")
    };
    let files = files(&contexts());
    let cases: Vec<_> = files.iter().filter(of_format).collect();
    assert!(cases.len() >= at_least, "only {} cases in {extension}", cases.len());
    for path in cases {
        check(path, path.file_stem().and_then(|stem| stem.to_str()).expect("a case has a name"));
    }
}

#[test]
fn every_json_context_means_what_its_expected_file_says() {
    check_all("json", 60);
}

#[test]
fn every_xml_context_means_what_its_expected_file_says() {
    check_all("xml", 60);
}

#[test]
fn every_binary_context_means_what_its_expected_file_says() {
    check_all("msbin1", 60);
}

#[test]
fn other_spellings_of_a_context_mean_the_same() {
    let mut checked = 0;
    for path in files(&contexts().join("variants")) {
        let file = name(&path);
        let needs_strings = file.contains("bin-dictionary") || file.contains("bin-session");
        if file.contains(".strings") || needs_strings {
            continue;
        }
        check(&path, file.split('.').next().expect("a variant is named after its case"));
        checked += 1;
    }
    assert!(checked >= 18, "only {checked} variants");
}

#[test]
fn binary_that_relies_on_a_string_table_is_refused_with_the_id() {
    for spelling in ["bin-dictionary", "bin-session"] {
        let path = contexts().join(format!("variants/contact-update-string.{spelling}.msbin1"));
        let body = fs::read(&path).expect("a fixture can be read");
        let error = decode::decode(&body, Some("application/msbin1")).expect_err(spelling);
        assert!(matches!(error.problem, decode::DecodeProblem::Dictionary(_)), "{spelling}: {error}");
    }
}

/// When the target of a context was modified.
fn modified(context: &Context<'_>) -> Option<jiff::Timestamp> {
    let Some(Field::Entity(target)) = parameter(&context.input_parameters, "Target") else { return None };
    let Some(Field::DateTime(date)) = parameter(&target.attributes, "modifiedon") else { return None };
    date.as_instant()
}

fn parameter<'v, 'a>(list: &'v ContractMember<Parameters<'a>>, wanted: &str) -> Option<&'v Field<'a>> {
    list.items().iter().find(|(key, _)| key == wanted).map(|(_, value)| value)
}

/// Captures are not ours to publish: they are read in place where they are, and missed aloud where not.
#[test]
fn published_captures_decode() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/real");
    if !folder.is_dir() {
        println!("no captures at {}, nothing checked", folder.display());
        return;
    }
    let captures: Vec<_> = files(&folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == "json"))
        .collect();
    for path in &captures {
        let body = fs::read(path).expect("a capture can be read");
        let message = decode::decode(&body, content_type(path));
        let message = message.unwrap_or_else(|error| panic!("{}: {error}", name(path)));
        let created = message.origin.created.unwrap_or_else(|| panic!("{}: when", name(path)));
        let payload = decode::open(&body, content_type(path)).expect("it was decoded");
        let context = payload.context().expect("it was decoded");
        // In asynchronous messages the zone of the time of the event is lost. It is found again if the time comes
        // out within seconds of the record's own, whatever the zone of the server.
        if let (Some(1), Some(modified)) = (context.mode.get(), modified(&context)) {
            let seconds = created.duration_since(modified).as_secs();
            assert!((-2..=2).contains(&seconds), "{}: {seconds} s apart", name(path));
        }
    }
    println!("{} captures decoded", captures.len());
}
