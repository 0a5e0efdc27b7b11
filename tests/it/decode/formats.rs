//! One change in three formats is one change.

use std::fs;

use proptest::prelude::*;
use shared::{
    change::{ColumnValue, Operation},
    decode::{self, DecodedMessage, Format, Subject, View},
};

use super::{content_type, contexts, files, name, sample, sample_binary::to_binary};

/// What a body reports, with the format left out of account.
fn decode(body: &[u8], content_type: &str, format: Format) -> DecodedMessage {
    let message = decode::decode(body, Some(content_type)).expect("a sample can be decoded");
    assert_eq!(message.format, format);
    DecodedMessage { format: Format::Json, ..message }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_change_is_the_same_in_every_format(sample in sample::sample()) {
        let node = sample::to_node(&sample);
        let json = decode(&sample::to_json(&sample), "application/json", Format::Json);
        let xml = decode(sample::to_xml(&node).as_bytes(), "application/xml", Format::Xml);
        let binary = decode(&to_binary(&node), "application/msbin1", Format::Binary);
        prop_assert_eq!(&json, &xml);
        prop_assert_eq!(&xml, &binary);

        let [change] = json.changes() else { panic!("one change") };
        prop_assert_eq!(change.contact.0, sample.contact);
        prop_assert_eq!(change.operation == Operation::Create, sample.message == "Create");
        for (column, cell) in &sample.target.columns {
            // Of several values for one column the last counts.
            let last = sample.target.columns.iter().rfind(|(name, _)| name == column).map(|(_, cell)| cell);
            if let (Some(sample::Cell::Text(text)), true) = (last, std::ptr::eq(last.unwrap_or(cell), cell)) {
                prop_assert_eq!(change.columns.get(column), Some(&ColumnValue::Text(text.as_str().into())));
            }
        }
    }
}

#[test]
fn the_two_xml_formats_are_shown_alike_and_json_is_what_remains_without_types() {
    let mut different = Vec::new();
    for path in files(&contexts()) {
        let Some(case) = name(&path).strip_suffix(".xml") else { continue };
        let shown = |extension: &str, view| {
            let path = contexts().join(format!("{case}.{extension}"));
            let body = fs::read(&path).expect("a fixture can be read");
            let payload = decode::open(&body, content_type(&path)).expect("a fixture can be opened");
            let context = payload.context().expect("a fixture can be decoded");
            serde_json::to_value(context.shown(view)).expect("a context can be shown")
        };
        assert_eq!(shown("xml", View::Full), shown("msbin1", View::Full), "{case}");
        if shown("xml", View::Json) != shown("json", View::Full) {
            different.push(case.to_owned());
        }
    }
    // What cannot be the same: collections that are not modelled, roles and enumerations by name, dates of servers
    // that are not in UTC, a text that looks like a date, and a double that .NET writes with more digits than it needs.
    let expected = [
        "contact-create-related-entities",
        "contact-create-webapi-return-representation",
        "contact-update-concurrency",
        "contact-update-datetime-local-losangeles",
        "contact-update-datetime-unspecified-istanbul",
        "contact-update-double",
        "contact-update-generation-2016",
        "contact-update-markup-text",
        "contact-update-unknown-types",
    ];
    assert_eq!(different, expected);
}

/// What a fixture reports, which must be the same in each format that it exists in.
#[track_caller]
fn message(case: &str) -> DecodedMessage {
    let read = |extension: &str| {
        let path = contexts().join(format!("{case}.{extension}"));
        let body = fs::read(&path).expect("a fixture can be read");
        let message = decode::decode(&body, content_type(&path)).expect("a fixture can be decoded");
        DecodedMessage { format: Format::Json, ..message }
    };
    let [json, xml, binary] = ["json", "xml", "msbin1"].map(read);
    assert_eq!(json, xml, "{case}");
    assert_eq!(xml, binary, "{case}");
    json
}

/// The names of the columns that the one change of a fixture sets.
#[track_caller]
fn check(case: &str, operation: Operation, columns: &[&str]) {
    let message = message(case);
    let [change] = message.changes() else { panic!("{case} is about {:?}", message.subject) };
    assert_eq!(change.operation, operation, "{case}");
    assert_eq!(change.contact.to_string(), "03d0d059-3dcf-41f2-9e20-57b85dbff932", "{case}");
    assert_eq!(change.columns.iter().map(|(name, _)| name).collect::<Vec<_>>(), columns, "{case}");
    assert!(change.version.is_some() && change.organization.is_some() && !change.truncated, "{case}");
}

#[test]
fn every_pipeline_message_reports_its_operation_and_columns() {
    let platform = ["contactid", "modifiedby", "modifiedon", "modifiedonbehalfby"];
    let update = ["contactid", "emailaddress1", "firstname", "fullname", "lastname"];
    let update = [&update[..], &platform[1..]].concat();
    check("contact-create-minimal", Operation::Create, &["contactid", "lastname"]);
    check("contact-update-string", Operation::Update, &update);
    check("contact-delete", Operation::Delete, &[]);
    check("contact-delete-sync-no-image", Operation::Delete, &[]);
    check("contact-merge", Operation::Merge, &["jobtitle", "telephone1"]);
    check("contact-setstate", Operation::Administrative, &["statecode", "statuscode"]);
    check("contact-assign", Operation::Administrative, &[]);
    check("contact-upsert-alternate-key", Operation::Create, &["lastname"]);
}

#[test]
fn a_message_about_several_contacts_reports_each() {
    let message = message("contact-updatemultiple");
    let changes: Vec<_> =
        message.changes().iter().map(|change| (change.contact.to_string(), change.columns.len())).collect();
    let expected = [("03d0d059-3dcf-41f2-9e20-57b85dbff932", 1), ("b61c3362-3e2d-4805-8801-e3d6eab77de5", 2)];
    assert_eq!(changes, expected.map(|(id, columns)| (id.to_owned(), columns)));
}

#[test]
fn images_beside_several_contacts_are_not_copied_into_each() {
    let body = br#"{"MessageName":"UpdateMultiple","PrimaryEntityName":"contact",
        "PreEntityImages":[{"key":"a","value":{"Attributes":[{"key":"c","value":1}]}}],
        "InputParameters":[{"key":"Targets","value":{"__type":"EntityCollection:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts",
        "Entities":[{"Id":"03d0d059-3dcf-41f2-9e20-57b85dbff932"},{"Id":"b61c3362-3e2d-4805-8801-e3d6eab77de5"}]}}]}"#;
    let message = decode::decode(body, None).expect("a context can be decoded");
    assert_eq!(message.changes().len(), 2);
    assert!(message.changes().iter().all(|change| change.before.is_empty()));
}

#[test]
fn what_is_no_change_of_a_contact_says_what_it_is() {
    assert_eq!(message("contact-associate").subject, Subject::NoChange);
    assert_eq!(message("account-update").subject, Subject::OtherEntity { name: "account".into() });
    assert_eq!(
        message("email-create-activity-parties").subject,
        Subject::OtherEntity { name: "email".into() }
    );
}

#[test]
fn images_are_taken_together_except_the_automatic_one() {
    let registered = message("contact-update-images");
    assert!(registered.changes()[0].before.get("emailaddress1").is_some());
    assert!(!registered.changes()[0].after.is_empty());
    let automatic = message("contact-update-async-auto-image");
    assert!(automatic.changes()[0].before.is_empty() && automatic.changes()[0].after.is_empty());
}

#[test]
fn a_stripped_context_still_names_its_contact() {
    let empty = message("contact-update-stripped-empty");
    assert!(empty.truncated && empty.changes()[0].truncated && empty.changes()[0].columns.is_empty());
    // The members may also be missing altogether.
    let body = br#"{"MessageName":"Update","PrimaryEntityName":"contact","OrganizationId":null,
        "PrimaryEntityId":"03d0d059-3dcf-41f2-9e20-57b85dbff932"}"#;
    let message = decode::decode(body, None).expect("a stripped context can be decoded");
    assert!(message.changes()[0].truncated);
    let body = br#"{"MessageName":"UpdateMultiple","PrimaryEntityName":"contact"}"#;
    let message = decode::decode(body, None).expect("a stripped context can be decoded");
    assert_eq!((message.subject, message.truncated), (Subject::Stripped, true));
}

#[test]
fn the_senders_marker_is_noted_and_a_whole_body_is_believed_all_the_same() {
    let mut message = message("contact-update-string");
    message.mark_truncated();
    let [change] = message.changes() else { panic!("one change") };
    assert!(message.origin.marked && change.origin.marked && !message.truncated && !change.truncated);
    assert!(DecodedMessage::is_truncation_marker("MessageMaxSizeExceeded"));
    assert!(DecodedMessage::is_truncation_marker(
        "http://schemas.microsoft.com/xrm/2011/Claims/MessageMaxSizeExceeded"
    ));
    assert!(!DecodedMessage::is_truncation_marker(
        "http://schemas.microsoft.com/xrm/2011/Claims/RequestName"
    ));
}

#[test]
fn the_row_version_is_the_most_exact_part_of_a_version() {
    let version = |case| message(case).changes()[0].version.expect("a fixture has a time");
    assert_eq!(version("contact-update-concurrency").row.map(|row| row.number), Some(5_948_260));
    assert_eq!(version("contact-create-full").row.map(|row| row.number), Some(5_948_260));
    assert_eq!(version("contact-update-string").row, None);
    assert_eq!(version("contact-update-string").at, "2024-03-14T09:26:53Z".parse().expect("a time"));
}

#[test]
fn a_choice_brings_the_label_that_the_user_saw() {
    let body = br#"{"MessageName":"Update","PrimaryEntityName":"contact","InputParameters":[{"key":"Target","value":{
        "__type":"Entity:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts","Id":"03d0d059-3dcf-41f2-9e20-57b85dbff932",
        "Attributes":[{"key":"gendercode","value":{"__type":"OptionSetValue:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts","Value":2}}],
        "FormattedValues":[{"key":"zz","value":"x"},{"key":"gendercode","value":"Female"}]}}]}"#;
    let message = decode::decode(body, None).expect("a context can be decoded");
    let expected = ColumnValue::Choice { value: 2, label: Some("Female".into()) };
    assert_eq!(message.changes()[0].columns.get("gendercode"), Some(&expected));
}

#[test]
fn a_lookup_brings_its_id_and_the_name_if_it_has_one() {
    let message = message("contact-update-lookup");
    let lookup = |name: &str| match message.changes()[0].columns.get(name) {
        Some(ColumnValue::Lookup { id, name }) => (id.map(|id| id.to_string()), name.as_deref()),
        other => panic!("{other:?}"),
    };
    let id = |id: &str| Some(id.to_owned());
    let contoso = id("0e34e1ea-7e0d-4f2d-9159-bbb80dcfff0c");
    assert_eq!(lookup("parentcustomerid"), (contoso, Some("Contoso, Ltd.")));
    assert_eq!(lookup("ownerid"), (id("41bc1a78-1b0f-4741-9ef6-0aad5d4893b1"), None));
    assert_eq!(lookup("preferredserviceid"), (id("f106e872-fdae-442c-93a7-a720e4138397"), None));
    assert_eq!(lookup("new_empty"), (None, None));
}

#[test]
fn ids_that_disagree_are_refused() {
    let body = br#"{"MessageName":"Delete","PrimaryEntityName":"contact","PrimaryEntityId":"03d0d059-3dcf-41f2-9e20-57b85dbff932",
        "InputParameters":[{"key":"Target","value":{"__type":"EntityReference:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts",
        "Id":"b61c3362-3e2d-4805-8801-e3d6eab77de5","LogicalName":"contact"}}]}"#;
    let error = decode::decode(body, None).expect_err("two contacts");
    assert_eq!(error.problem, decode::DecodeProblem::IdsDisagree);
}
