//! What must be refused is refused, with the place and without a word of the body.

use std::{fs, path::Path};

use shared::decode::{self, DecodeProblem};

use super::{content_type, contexts, files, name};

/// Content type that the notes of the fixtures announce for a file.
fn announced(file: &str) -> Option<&'static str> {
    match file {
        "no-content-type-plain-text.bin" => None,
        "empty-body.bin" => Some("application/msbin1"),
        _ => content_type(Path::new(file)).or(Some("application/json")),
    }
}

#[test]
fn every_malformed_body_is_refused() {
    let mut refused = 0;
    for path in files(&contexts().join("malformed")) {
        let file = name(&path);
        let body = fs::read(&path).expect("a fixture can be read");
        match (file, decode::decode(&body, announced(file))) {
            ("NOTES.md", _) => {}
            // The bytes decide, so a wrong announcement is forgiven.
            ("wrong-content-type-json-holds-binary.bin", result) => {
                result.unwrap_or_else(|error| panic!("{file}: {error}"));
            }
            (_, Ok(message)) => panic!("{file} was decoded to {message:?}"),
            (_, Err(_)) => refused += 1,
        }
    }
    assert!(refused >= 31, "only {refused} files");
}

#[track_caller]
fn check(file: &str, expected: &str) {
    let body = fs::read(contexts().join("malformed").join(file)).expect("a fixture can be read");
    let error = decode::decode(&body, announced(file)).expect_err(file);
    assert_eq!(error.to_string(), expected, "{file}");
}

#[test]
fn an_error_says_what_was_expected_and_where() {
    check(
        "json-nan-number.json",
        "expected a JSON value at byte 437 in InputParameters[0].value.Attributes[0].value",
    );
    check("json-bad-guid.json", "expected a GUID at byte 1061 in InputParameters[0].value.Id");
    check("json-bad-utf8.json", "text is not valid UTF-8 at byte 483");
    check("json-duplicate-keys.json", "member is given twice at byte 1313 in MessageName");
    check("json-input-parameters-object.json", "expected a list at byte 129 in InputParameters");
    check("json-missing-identity.json", "MessageName is missing");
    check("json-trailing-garbage.json", "body goes on after the end of the document at byte 2087");
    check("xml-billion-laughs.xml", "document type declarations are refused at byte 470");
    check("xml-external-entity.xml", "document type declarations are refused at byte 77");
    check(
        "xml-undeclared-prefix.xml",
        "namespace prefix is not declared at byte 738 in InputParameters[0].value.Attributes[0]",
    );
    check(
        "xml-mismatched-tags.xml",
        "expected the matching end tag at byte 2235 in InputParameters[0].value.Attributes",
    );
    check(
        "xml-truncated.xml",
        "body ends too early at byte 2000 in InputParameters[0].value.Attributes[6].value.LogicalName",
    );
    check("xml-wrong-root.xml", "expected a RemoteExecutionContext at byte 132");
    check("bin-giant-text-length.msbin1", "body ends too early at byte 136 in MessageName");
    check("bin-giant-name-length.msbin1", "body ends too early at byte 6");
    check("bin-giant-array.msbin1", "expected an element at byte 152 in InputParameters[0]");
    check(
        "bin-unknown-dictionary-string.msbin1",
        "dictionary string 0 is used, but no dictionary was agreed at byte 1",
    );
    check(
        "bin-bad-decimal-scale.msbin1",
        "expected a decimal with a scale of at most 28 at byte 665 in InputParameters[0].value.Attributes[0].value",
    );
    check("bin-unbalanced-ends.msbin1", "body goes on after the end of the document at byte 119");
    check(
        "bin-bad-utf8.msbin1",
        "text is not valid UTF-8 at byte 774 in InputParameters[0].value.Attributes[1].value",
    );
    check("bin-negative-length.msbin1", "expected a length that is not negative at byte 136 in MessageName");
    check(
        "bin-truncated.msbin1",
        "body ends too early at byte 1499 in InputParameters[0].value.Attributes[6].value.LogicalName",
    );
    check("wrapped-truncated.bin", "body ends too early at byte 64");
    check("empty-body.bin", "body is empty");
    check("no-content-type-plain-text.bin", "body is neither JSON nor XML nor .NET binary XML at byte 0");
}

#[test]
fn nesting_is_limited_in_every_format() {
    for file in [
        "json-deep-nesting.json",
        "json-deep-parent-context.json",
        "xml-deep-nesting.xml",
        "bin-deep-nesting.msbin1",
    ] {
        let body = fs::read(contexts().join("malformed").join(file)).expect("a fixture can be read");
        let error = decode::decode(&body, announced(file)).expect_err(file);
        assert!(matches!(error.problem, DecodeProblem::Limit { .. }), "{file}: {error}");
    }
}
